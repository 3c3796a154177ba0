import { Op } from '../../../src/model/codes.ts';
import type { AnyRequest, RawClient } from '../raw.ts';
import type { Plain, Viewer } from './view.ts';

/** Every znode by its path, as a session that may read all sees it: data, Stat, ACL, number of descendants. */
export async function dump(client: RawClient, view: Viewer): Promise<Map<string, Plain>> {
  const znodes = new Map<string, Plain>();
  const ask = async (request: AnyRequest): Promise<Plain> => view.reply(request, await client.call(request)).body;
  const level = async (path: string): Promise<string[]> => {
    const [data, acl, children, descendants] = await Promise.all([
      ask({ op: Op.getData, path, watch: false }),
      ask({ op: Op.getAcl, path }),
      ask({ op: Op.getChildren2, path, watch: false }),
      ask({ op: Op.getAllChildrenNumber, path }),
    ]);
    znodes.set(path, { data, acl, children, descendants });
    return (children as { names: string[] }).names.map((name) => (path === '/' ? `/${name}` : `${path}/${name}`));
  };
  for (let paths = ['/']; paths.length > 0; ) paths = (await Promise.all(paths.map(level))).flat();
  return znodes;
}
