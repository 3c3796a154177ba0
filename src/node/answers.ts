import { Err, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { MultiOp } from '../model/records.ts';
import type { OpResult } from '../tree/tree.ts';
import type { MultiErrorResults, MultiResult } from './api.ts';

/** The error of a multi: the code and path of the part at fault, and what was said about each part. Nothing of the multi was applied. */
export class MultiError extends ZabError implements MultiErrorResults {
  constructor(
    error: ZabError,
    part: number,
    readonly results: readonly (ZabError | null)[],
  ) {
    super(error.code, `${error.message} (part ${part} of a multi)`, 'not-done', error.path);
  }
}

/** The results of a multi that was applied, one for each operation (PROTOCOL 3.3). */
export function multiResults(results: readonly OpResult[]): MultiResult[] {
  return results.map(({ type, path, stat }) => {
    switch (type) {
      case Op.delete:
        return { type: 'delete' };
      case Op.check:
        return { type: 'check' };
      case Op.setData:
        return { type: 'setData', stat: stat! };
      default:
        return { type: 'create', path: path!, stat };
    }
  });
}

/** The error of a multi that failed in one part; the parts after that say RUNTIME_INCONSISTENCY, those before it null. */
export function multiError(results: readonly OpResult[], ops: readonly MultiOp[]): ZabError {
  const errors = results.map(({ err }, part) => (err === Err.ok ? null : ZabError.fromNumber(err, ops[part]?.path)));
  const part = errors.findIndex((error) => error !== null);
  return new MultiError(errors[part]!, part, errors);
}
