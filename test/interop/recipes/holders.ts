import { existsSync, readFileSync } from 'node:fs';

/* Who held what: the file to which every holder appends `begin NAME` when it has the lock, or leads, and `end NAME` before it lets go. */

/** Names of those who held, in order. Throws if anybody began while another held: the order of the lines is the order in which they were written. */
export function holdersIn(file: string): string[] {
  const holders: string[] = [];
  let holder: string | undefined;
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  for (const [n, line] of lines.entries()) {
    const [what, name] = line.split(' ');
    if (what === 'begin' && holder !== undefined) throw new Error(`line ${n + 1}: ${name} holds while ${holder} does`);
    if (what === 'end' && holder !== name) throw new Error(`line ${n + 1}: ${name} ends and ${holder ?? 'nobody'} holds`);
    holder = what === 'begin' ? name : undefined;
    if (what === 'end') holders.push(name);
  }
  return holders;
}
