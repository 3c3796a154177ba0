import { Op } from '../../model/codes.ts';
import type { TxnResult } from '../../tree/tree.ts';
import { writeMultiResults, writePathAndStat, writeStat } from '../../wire/client-replies.ts';
import type { JuteWriter } from '../../wire/jute.ts';

/** The writes that a client may ask for. */
const WRITES: ReadonlySet<number> = new Set([
  Op.create,
  Op.create2,
  Op.createContainer,
  Op.createTtl,
  Op.delete,
  Op.setData,
  Op.setAcl,
  Op.multi,
  Op.reconfig,
  Op.closeSession,
]);

export const isWriteOp = (op: number): boolean => WRITES.has(op);

/** Writes the body of the answer to a write that was done (PROTOCOL 3.2). */
export function writeResult(w: JuteWriter, op: number, { path, stat, results }: TxnResult): void {
  switch (op) {
    case Op.create:
      return w.string(path);
    case Op.create2:
    case Op.createContainer:
    case Op.createTtl:
      return writePathAndStat(w, path!, stat!);
    case Op.setData:
    case Op.setAcl:
      return writeStat(w, stat!);
    case Op.multi:
      return writeMultiResults(w, results!);
  }
}
