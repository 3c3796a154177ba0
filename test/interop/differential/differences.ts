import { Err, Op } from '../../../src/model/codes.ts';
import type { AnyRequest } from '../raw.ts';
import type { Step } from './steps.ts';
import type { FrameView, Plain, ReplyView } from './view.ts';

/** Something in which our servers answer otherwise than Apache ZooKeeper 3.8.0, on purpose. */
export interface Difference {
  readonly what: string;
  readonly why: string;
  /** Whether it is all that tells the frame of one from the frame of the other; `request` is what a reply answers. */
  frame?(request: AnyRequest | undefined, apache: FrameView, ours: FrameView): boolean;
  /** The same for the outcome of a step on a connection. */
  outcome?(step: Step, apache: Plain, ours: Plain): boolean;
  /** The same for a znode in the end. */
  znode?(path: string, apache: Plain, ours: Plain): boolean;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    what: 'the data of /zookeeper/config',
    why: 'a standalone ZooKeeper has no members to write there; ours is an ensemble, of one at least',
    znode: (path) => path === '/zookeeper/config',
  },
  {
    what: 'checkWatches finds only what the connection itself has',
    why: '3.8.0 says yes as soon as anybody has a watch on the path; removeWatches, which looks closer, agrees with ours',
    frame: (request, apache, ours) =>
      request?.op === Op.checkWatches && same(apache, { err: Err.ok }) && same(ours, { err: Err.noWatcher }),
  },
  {
    what: 'characters beyond 16 bits in a path that is echoed, by sync or in an event',
    why: '3.8.0 writes each half of the pair by itself, which is no UTF-8 (PROTOCOL 1); no znode can have such a path',
    frame: (_request, apache, ours) => JSON.stringify(apache) === JSON.stringify(ours).replace(/[\ud800-\udfff]/g, '\ufffd\ufffd\ufffd'),
  },
  {
    what: 'the order of the identities that take the place of the scheme auth in an ACL',
    why: 'in 3.8.0 it is that of a hash table; ours is that in which they were proved',
    frame: (_request, apache, ours) => withoutOrder(apache) === withoutOrder(ours),
    znode: (_path, apache, ours) => withoutOrder(apache) === withoutOrder(ours),
  },
  {
    what: 'getAllChildrenNumber of the path ""',
    why: '3.8.0 counts the root among its own descendants when it is called by this name',
    frame: (request) => request?.op === Op.getAllChildrenNumber && request.path === '',
  },
  {
    what: 'checkWatches of a path that does not begin with a slash',
    why: '3.8.0 fails with -5 while anybody has a recursive watch, and says -121 otherwise, as ours always does',
    frame: (request, apache, ours) =>
      request?.op === Op.checkWatches &&
      !request.path.startsWith('/') &&
      same(apache, { err: Err.marshallingError }) &&
      same(ours, { err: Err.noWatcher }),
  },
];

/** A value's text with the entries of ACLs in an order of their own. */
const withoutOrder = (value: unknown): string =>
  JSON.stringify(value, (key, part) =>
    key === 'acl' && Array.isArray(part) ? part.map((entry: unknown) => JSON.stringify(entry)).sort() : part,
  );

/** Whether a frame is a reply with these fields. */
const same = (frame: FrameView, fields: Partial<ReplyView>): boolean =>
  frame.kind === 'reply' && Object.entries(fields).every(([name, value]) => frame[name as keyof ReplyView] === value);

/** What a run leaves out, since Apache ZooKeeper 3.8.0 does not answer alike itself, or breaks. */
export const LEFT_OUT: readonly { readonly what: string; readonly why: string }[] = [
  {
    what: 'requests in flight behind a setACL',
    why: '3.8.0 checks them against the old list until the setACL has been applied, and so as it happens',
  },
  {
    what: 'watches of different kinds of one connection on one path, and halves of a persistent watch removed',
    why: '3.8.0 keeps one mode per path and table (PROTOCOL 10); ours keeps them apart, as later versions do',
  },
  { what: 'watches on the path ""', why: 'in 3.8.0 they never fire; ours are watches on the root, whose other name it is' },
  {
    what: 'TTL flags on create, create2 and createContainer in a multi',
    why: '3.8.0 fails the multi with -5 and keeps the changes of the parts before for what is in flight; ours answers -8 for the part',
  },
  { what: 'a getEphemerals of the prefix "/" with a NUL', why: 'the space that Java trims off has control characters in it' },
  { what: 'quotas that are none', why: 'a server of 3.8.0 ends when it comes to count with one' },
  {
    what: 'limits set where there are statistics already',
    why: 'ours counts anew then, 3.8.0 goes on from whatever the statistics say',
  },
  { what: 'a check outside a multi', why: '3.8.0 never answers it and spoils its log with it (PROTOCOL 17)' },
  { what: 'the order in which the end of a session deletes its znodes', why: 'in 3.8.0 it is that of a hash table' },
];
