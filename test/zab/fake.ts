import type Long from 'long';
import type { Request } from '../../src/model/records.ts';
import { formatZxid, makeZxid, ZXID_NONE } from '../../src/model/zxid.ts';
import type { StateMachine, ZabConfig, ZabContext } from '../../src/zab/context.ts';
import { EnsembleConfig } from '../../src/zab/ensemble-config.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { History } from '../../src/zab/history.ts';
import type { QuorumMessage } from '../../src/zab/messages.ts';
import { Packet } from '../../src/zab/messages.ts';
import { Outbox } from '../../src/zab/outbox.ts';
import { QuorumRules } from '../../src/zab/quorum.ts';

/** What roles are tested with: a context whose outbox can be read as text, one line per effect. */

const BYTES = new Uint8Array(0);

export const z = makeZxid;
export const entry = (zxid: Long): LogEntry => new LogEntry(zxid, BYTES);

export function request(op: number, cxid = 1): Request {
  return { sessionId: ZXID_NONE, cxid, op, auth: [], record: null, body: BYTES };
}

export interface HistoryShape {
  readonly recentLimit?: number;
  readonly tail?: readonly Long[];
  readonly acceptedEpoch?: number;
  readonly currentEpoch?: number;
}

/** A history with these committed entries, and a tail that is not. */
export function historyOf(committed: readonly Long[], shape: HistoryShape = {}): History {
  const history = new History(shape.recentLimit ?? 500);
  for (const zxid of committed) history.recovered(entry(zxid));
  for (const zxid of shape.tail ?? []) history.append(entry(zxid));
  history.acceptedEpoch = shape.acceptedEpoch ?? 0;
  history.currentEpoch = shape.currentEpoch ?? 0;
  return history;
}

export interface Shape extends HistoryShape {
  readonly id?: number;
  readonly voters?: readonly number[];
  readonly observers?: readonly number[];
  readonly committed?: readonly Long[];
  readonly rules?: QuorumRules;
}

/** One end of a link, with a name to show. */
export class FakeLink {
  constructor(readonly name: string) {}
}

/** Remembers what the protocol asked of the state. */
export class FakeState implements StateMachine {
  readonly calls: string[] = [];
  readableEntries = true;
  goodSnapshot = true;
  prepare(r: Request, zxid: Long): LogEntry {
    return new LogEntry(zxid, BYTES, r.cxid);
  }
  touch(touches: readonly unknown[]): void {
    this.calls.push(`touch ${touches.length}`);
  }
  revalidate(): boolean {
    return true;
  }
  readable(): boolean {
    return this.readableEntries;
  }
  touches(): [] {
    return [];
  }
  beginSnapshot(zxid: Long): void {
    this.calls.push(`begin ${short(zxid)}`);
  }
  snapshotHead(): boolean {
    return this.goodSnapshot;
  }
  snapshotNodes(): boolean {
    return this.goodSnapshot;
  }
  endSnapshot(): boolean {
    this.calls.push('end');
    return this.goodSnapshot;
  }
  /** The configuration in the log. */
  config: string | null = null;
  configIn(): string | null {
    return this.config;
  }
}

export class FakeContext implements ZabContext {
  now = 1000;
  readonly config: ZabConfig;
  readonly history: History;
  readonly out = new Outbox();
  readonly app = new FakeState();
  readonly up = new Set<number>();
  /** Configurations that a leader has told. */
  readonly configs: string[] = [];
  /** Why the role wants to end. */
  left: string | null = null;

  constructor(shape: Shape = {}) {
    const voters = shape.voters ?? [1, 2, 3];
    this.history = historyOf(shape.committed ?? [], shape);
    this.config = {
      id: shape.id ?? 1,
      quorum: shape.rules ?? new QuorumRules(voters.map((id) => ({ id }))),
      serverIds: new Set([...voters, ...(shape.observers ?? [])]),
      tickTime: 100,
      initTime: 1000,
      syncTime: 500,
      finalizeWait: 20,
      ensemble: new EnsembleConfig(
        shape.id ?? 1,
        voters.map((id) => ({ id, host: 'h', quorumPort: 10 + id, electionPort: 20 + id })),
      ),
    };
  }

  adoptConfig(text: string): void {
    this.configs.push(text);
  }
  lookAgain(reason: string): void {
    this.left ??= reason;
  }
  electionLinkUp(peer: number): boolean {
    return this.up.has(peer);
  }

  /** The effects since the last call, as text, in the order the driver carries them out; log lines are left out. */
  effects(): string[] {
    const { out } = this;
    const lines: string[] = [];
    for (const op of out.persist) {
      if (op.kind === 'append') lines.push(`append ${op.entries.map((e) => short(e.zxid)).join(' ')}`);
      else if (op.kind === 'installSnapshot') lines.push(`install snapshot ${op.entries.map((e) => short(e.zxid)).join(' ')}`.trim());
      else if (op.kind === 'truncate') lines.push(`truncate ${short(op.zxid)}${op.reload ? ' reload' : ''}`);
      else lines.push(`${op.kind} ${op.epoch}`);
    }
    for (const [i, link] of out.sendLinks.entries()) lines.push(`${nameOf(link)} <- ${messageText(out.sendMessages[i])}`);
    for (const { link, message } of out.durableSends) lines.push(`${nameOf(link)} <- durable ${messageText(message)}`);
    if (out.committed.length > 0) lines.push(`commit ${out.committed.map((e) => short(e.zxid)).join(' ')}`);
    for (const action of out.actions) {
      if (action.kind === 'log') continue;
      if (action.kind === 'closeLink') lines.push(`close ${nameOf(action.link)}`);
      else if (action.kind === 'dial') lines.push(`dial ${action.peer}`);
      else if (action.kind === 'readLog') lines.push(`read log ${short(action.after)}..${short(action.upTo)}`);
      else if (action.kind === 'streamSnapshot') lines.push(`stream ${nameOf(action.link)}`);
      else if (action.kind === 'synced') lines.push(`synced ${action.request.cxid}`);
      else if (action.kind === 'election') {
        const m = action.message;
        const text =
          m.kind === 'notification' ? `${m.state} ${m.leader} ${short(m.zxid)} round ${m.electionEpoch} epoch ${m.peerEpoch}` : m.kind;
        lines.push(`election ${action.peer}: ${text}`);
      } else lines.push(action.kind);
    }
    out.clear();
    return lines;
  }

  /** What the driver reports when the disk has caught up; epochs that were asked for are durable from then on. */
  settleDisk(): number {
    for (const op of this.out.persist) {
      if (op.kind === 'acceptedEpoch') this.history.acceptedEpoch = op.epoch;
      if (op.kind === 'currentEpoch') this.history.currentEpoch = op.epoch;
    }
    return this.out.seq;
  }
}

const nameOf = (link: object): string => (link as FakeLink).name;
export const short = (zxid: Long): string => {
  const text = formatZxid(zxid).slice(2).padStart(9, '0');
  return `${Number.parseInt(text.slice(0, -8), 16)}.${Number.parseInt(text.slice(-8), 16)}`;
};

const names = new Map<number, string>(Object.entries(Packet).map(([name, type]) => [type, name]));

function messageText(m: QuorumMessage): string {
  const name = names.get(m.type) as string;
  if ('entry' in m) return `${name} ${short(m.entry.zxid)}`;
  if (m.type === Packet.UPTODATE) return name;
  if (m.type === Packet.ACKEPOCH) return `${name} ${short(m.zxid)} epoch ${m.currentEpoch}`;
  return 'zxid' in m ? `${name} ${short(m.zxid)}` : name;
}
