import type Long from 'long';
import { Op } from '../model/codes.ts';
import { type SetWatchesRequest, WatchMode } from '../wire/client-requests.ts';

/** A request for watches is not larger, as ZooKeeper's clients have it: the servers' limit would end the connection. Bytes. */
const MAX_BYTES = 128 * 1024;

type List = keyof SetWatchesRequest['lists'];

/**
 * The requests that restore the watches of a session (PROTOCOL 10): setWatches, or setWatches2 if there are persistent ones. `since` is the zxid up to which nothing was missed. Persistent
 * watches come last: a server of 3.8.0 keeps the last mode that it is asked for on a path.
 */
export function watchRequests(
  since: Long,
  shots: { readonly data: readonly string[]; readonly exist: readonly string[]; readonly child: readonly string[] },
  persistent: ReadonlyMap<string, 0 | 1>,
  toServer: (path: string) => string,
): SetWatchesRequest[] {
  const op = persistent.size > 0 ? Op.setWatches2 : Op.setWatches;
  const requests: SetWatchesRequest[] = [];
  let lists: Record<List, string[]> | null = null;
  let bytes = 0;
  const add = (list: List, path: string): void => {
    const onWire = toServer(path);
    const size = 4 + 3 * onWire.length;
    if (lists === null || bytes + size > MAX_BYTES) {
      lists = { data: [], exist: [], child: [], persistent: [], persistentRecursive: [] };
      requests.push({ op, since, lists });
      bytes = 0;
    }
    lists[list].push(onWire);
    bytes += size;
  };
  for (const path of shots.data) add('data', path);
  for (const path of shots.exist) add('exist', path);
  for (const path of shots.child) add('child', path);
  for (const [path, mode] of persistent) add(mode === WatchMode.persistent ? 'persistent' : 'persistentRecursive', path);
  return requests;
}
