import type Long from 'long';
import { Op } from '../../../src/model/codes.ts';
import type { Stat } from '../../../src/model/records.ts';
import {
  readAclAndStat,
  readChildrenAndStat,
  readClientInfos,
  readDataAndStat,
  readMultiReadResults,
  readMultiResults,
  readNames,
  readPathAndStat,
  readStat,
} from '../../../src/wire/client-replies.ts';
import { JuteReader } from '../../../src/wire/jute.ts';
import type { AnyRequest, RawEvent, RawReply } from '../raw.ts';

/** A value that compares by its JSON text. */
export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

export interface ReplyView {
  readonly kind: 'reply';
  readonly xid: number;
  readonly zxid: string;
  readonly err: number;
  /** The body as ZooKeeper's records have it; absent behind an error. */
  readonly body: Plain;
}

export interface EventView {
  readonly kind: 'event';
  readonly zxid: string;
  readonly type: number;
  readonly state: number;
  readonly path: string;
}

export type FrameView = ReplyView | EventView;

/** Takes out of frames what may differ between two servers: the epoch of zxids, session ids, times, and the order of lists that have none. */
export class Viewer {
  readonly #epoch: number;
  readonly #sessions = new Map<string, string>();

  /** @param epoch the epoch in which the server's zxids of this run are */
  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  /** Gives a session a name that is the same everywhere. */
  name(sessionId: Long, name: string): void {
    this.#sessions.set(sessionId.toUnsigned().toString(), name);
  }

  /** The counter of a zxid; 0 and -1, which are no transaction's, as they are. */
  zxid(zxid: Long): string {
    if (zxid.isZero() || (zxid.high === -1 && zxid.low === -1)) return zxid.toSigned().toString();
    const epoch = zxid.high - this.#epoch;
    return epoch === 0 ? String(zxid.low >>> 0) : `${epoch}:${zxid.low >>> 0}`;
  }

  event({ zxid, type, state, path }: RawEvent): EventView {
    return { kind: 'event', zxid: this.zxid(zxid), type, state, path };
  }

  reply(request: AnyRequest, reply: RawReply): ReplyView {
    const { xid, err } = reply;
    const r = new JuteReader(reply.body);
    const body = err === 0 ? this.#body(request.op, r) : null;
    const rest = r.remaining === 0 ? {} : { trailing: r.remaining };
    return { kind: 'reply', xid, zxid: this.zxid(reply.zxid), err, body, ...rest };
  }

  #body(op: number, r: JuteReader): Plain {
    switch (op) {
      case Op.create:
      case Op.sync:
        return { path: r.string() };
      case Op.create2:
      case Op.createContainer:
      case Op.createTtl: {
        const { path, stat } = readPathAndStat(r);
        return { path, stat: this.stat(stat) };
      }
      case Op.exists:
      case Op.setData:
      case Op.setAcl:
        return { stat: this.stat(readStat(r)) };
      case Op.getData: {
        const { data, stat } = readDataAndStat(r);
        return { data, stat: this.stat(stat) };
      }
      case Op.getAcl: {
        const { acl, stat } = readAclAndStat(r);
        return { acl: acl.map((entry) => ({ ...entry })), stat: this.stat(stat) };
      }
      case Op.getChildren:
      case Op.getEphemerals:
        return { names: readNames(r).sort() };
      case Op.getChildren2: {
        const { children, stat } = readChildrenAndStat(r);
        return { names: children.sort(), stat: this.stat(stat) };
      }
      case Op.getAllChildrenNumber:
      case Op.addWatch:
        return { number: r.int() };
      case Op.whoAmI:
        return {
          ids: readClientInfos(r)
            .map(({ scheme, id }) => `${scheme}:${id}`)
            .sort(),
        };
      case Op.multi:
        return readMultiResults(r).map(({ stat, ...part }) => ({ ...part, stat: stat === null ? null : this.stat(stat) }));
      case Op.multiRead:
        return readMultiReadResults(r).map((part) => {
          if (part.type === Op.getData) return { ...part, stat: this.stat(part.stat) };
          return part.type === Op.getChildren ? { ...part, children: [...part.children].sort() } : part;
        });
      default:
        return {};
    }
  }

  stat(stat: Stat): Plain {
    const { ctime, mtime, czxid, mzxid, pzxid, ephemeralOwner, ...rest } = stat;
    const owner = ephemeralOwner.toUnsigned().toString();
    return {
      ...rest,
      czxid: this.zxid(czxid),
      mzxid: this.zxid(mzxid),
      pzxid: this.zxid(pzxid),
      ephemeralOwner: owner === '0' ? null : (this.#sessions.get(owner) ?? 'nobody known'),
      // The hours themselves are each server's own.
      timesFit: czxid.equals(mzxid) ? ctime === mtime : ctime <= mtime,
    };
  }
}
