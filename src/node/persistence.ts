import type { Storage } from '../seams/storage.ts';
import type { History } from '../zab/history.ts';
import type { PersistOp } from '../zab/outbox.ts';
import type { ReplicaState } from './replica-state.ts';
import { TreeRecovery } from './tree-recovery.ts';

/**
 * Carries out the protocol's writes to disk. The store keeps the order of the calls, so the numbers come back in order too: `durable` is told of a number when everything
 * up to it is on disk, or of the error that ended it.
 */
export class Persistence {
  constructor(
    readonly storage: Storage,
    readonly history: History,
    readonly state: ReplicaState,
    readonly durable: (error: Error | null, seq: number) => void,
  ) {}

  carryOut(op: PersistOp): void {
    const { storage, history, state } = this;
    const done = (error: Error | null) => this.durable(error, op.seq);
    switch (op.kind) {
      case 'append':
        return storage.append(op.entries, done);
      case 'acceptedEpoch':
        return storage.setAcceptedEpoch(op.epoch, (error) => {
          if (error === null) history.acceptedEpoch = op.epoch;
          done(error);
        });
      case 'currentEpoch':
        return storage.setCurrentEpoch(op.epoch, (error) => {
          if (error === null) history.currentEpoch = op.epoch;
          done(error);
        });
      case 'installSnapshot':
        state.adoptSnapshot(op.entries);
        return storage.installSnapshot(state.openSnapshot(), done);
      case 'truncate':
        if (!op.reload) return storage.truncate(op.zxid, done);
        storage.truncate(op.zxid, (error) => error !== null && done(error));
        return this.#reload(done);
    }
  }

  /** Reads the tree again after a truncation below what was applied. This ends before any later write of the synchronisation is durable. */
  #reload(done: (error: Error | null) => void): void {
    const sink = new TreeRecovery(this.state);
    this.storage.recover(sink, (error) => {
      if (error === null) this.state.incoming = sink.tree;
      done(error);
    });
  }
}
