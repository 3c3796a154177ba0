import { Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import type { MultiOp } from '../model/records.ts';
import { multiError, multiResults } from '../node/answers.ts';
import type { ReadResult } from '../node/api.ts';
import { ZnodeData } from '../tree/znode-data.ts';
import {
  type MultiReadResult,
  readAclAndStat,
  readClientInfos,
  readDataAndStat,
  readMultiReadResults,
  readMultiResults,
  readNames,
  readPathAndStat,
} from '../wire/client-replies.ts';
import type { JuteReader } from '../wire/jute.ts';
import type { Chroot } from './chroot.ts';
import type { ReadReply } from './remote-calls.ts';

/* From the bodies of replies to the results of the public API. */

export const nothing: ReadReply = () => undefined;
export const number: ReadReply = (body) => body.int();
export const acl: ReadReply = readAclAndStat;
export const identities: ReadReply = (body) => [...readClientInfos(body)];

export const data: ReadReply = (body: JuteReader): ZnodeData => {
  const { data: octets, stat } = readDataAndStat(body);
  return ZnodeData.of(octets, stat);
};

export const created =
  (chroot: Chroot): ReadReply =>
  (body) => {
    const { path, stat } = readPathAndStat(body);
    return { path: chroot.shown(path), stat };
  };

/** What a prefix finds beside the session's root is not the session's. */
export const ephemerals =
  (chroot: Chroot): ReadReply =>
  (body) =>
    readNames(body)
      .map((path) => chroot.toClient(path))
      .filter((path) => path !== undefined);

/** `ops` are the parts as the session names them. */
export const multi =
  (chroot: Chroot, ops: readonly MultiOp[]): ReadReply =>
  (body) => {
    const results = readMultiResults(body);
    if (results.some(({ err }) => err !== 0)) return multiError(results, ops);
    return multiResults(results.map((result) => (result.path === null ? result : { ...result, path: chroot.shown(result.path) })));
  };

/** `paths` are those of the parts, as the session names them. */
export const multiRead =
  (paths: readonly string[]): ReadReply =>
  (body) =>
    readMultiReadResults(body).map((result, part) => readResult(result, paths[part]));

function readResult(result: MultiReadResult, path: string | undefined): ReadResult {
  switch (result.type) {
    case Op.getData:
      return { type: 'getData', value: ZnodeData.of(result.data, result.stat) };
    case Op.getChildren:
      return { type: 'getChildren', children: [...result.children] };
    default:
      return { type: 'error', error: ZabError.fromNumber(result.err, path) };
  }
}
