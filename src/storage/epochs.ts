import type Long from 'long';
import { epochOf, formatZxid } from '../model/zxid.ts';
import { octetsFromText, octetsToBytes } from '../util/bytes.ts';
import type { Disk } from './disk.ts';
import type { Steps } from './steps.ts';

/*
 * The two epoch files (PROTOCOL 16): decimal text without a newline.
 */

export type EpochName = 'acceptedEpoch' | 'currentEpoch';

export interface Epochs {
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
}

/** Throws if `epoch` cannot be the next value of `name`: epochs never fall, and a current one has been accepted before. */
export function checkEpoch(epochs: Epochs, name: EpochName, epoch: number): void {
  if (!Number.isSafeInteger(epoch) || epoch < epochs[name] || epoch > 0xffffffff) {
    throw new Error(`${name}: ${epoch} cannot follow ${epochs[name]}`);
  }
  if (name === 'currentEpoch' && epoch > epochs.acceptedEpoch) {
    throw new Error(`currentEpoch: ${epoch} has not been accepted, only ${epochs.acceptedEpoch}`);
  }
}

/** Replaces an epoch file durably. */
export function* writeEpoch(disk: Disk, folder: string, name: EpochName, epoch: number): Steps<void> {
  yield* disk.replace(folder, name, octetsToBytes(octetsFromText(String(epoch))));
}

/**
 * Reads both epochs and makes them fit a history that ends at `lastZxid`. A missing file means the epoch of the history. A history that has come further than
 * `currentEpoch` is what a crash leaves between the end of a synchronisation and the writing of that file (faults 1653, 2354): transactions of an epoch come
 * behind everything that its leader began with, so having one means having its whole first history, and the epoch is raised. It can only be so for an epoch that
 * was accepted first.
 */
export function* readEpochs(disk: Disk, folder: string, lastZxid: Long): Steps<Epochs> {
  const reached = epochOf(lastZxid);
  const accepted = yield* readEpoch(disk, folder, 'acceptedEpoch');
  const current = yield* readEpoch(disk, folder, 'currentEpoch');
  const acceptedEpoch = accepted ?? reached;
  const currentEpoch = Math.max(current ?? reached, reached);
  if (acceptedEpoch < reached) {
    throw new Error(`${folder}/acceptedEpoch: ${acceptedEpoch} is older than the last transaction, ${formatZxid(lastZxid)}`);
  }
  if (acceptedEpoch < currentEpoch) {
    const shown = accepted === undefined ? `missing, so ${acceptedEpoch}` : String(acceptedEpoch);
    throw new Error(`${folder}/acceptedEpoch: ${shown} is older than currentEpoch, ${currentEpoch}`);
  }
  if (current !== undefined && current < currentEpoch) yield* writeEpoch(disk, folder, 'currentEpoch', currentEpoch);
  return { acceptedEpoch, currentEpoch };
}

function* readEpoch(disk: Disk, folder: string, name: EpochName): Steps<number | undefined> {
  const text = yield* disk.readText(`${folder}/${name}`);
  if (text === undefined) return undefined;
  const epoch = Number(text.trim());
  if (!/^\d{1,10}$/.test(text.trim()) || epoch > 0xffffffff) throw new Error(`${folder}/${name}: ${JSON.stringify(text)} is no epoch`);
  return epoch;
}
