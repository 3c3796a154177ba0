import { readFileSync } from 'node:fs';

/** One captured frame of the client port, with its length (see test/vectors). */
export interface ClientRow {
  readonly type: string;
  readonly seq: number;
  readonly step: string;
  readonly conn: number;
  readonly dir: 'c2s' | 's2c';
  readonly frame: string;
  // biome-ignore lint/suspicious/noExplicitAny: the decoded form differs from frame to frame
  readonly decoded: any;
}

/** The frames of a capture of the client port. */
export function clientRows(file: string): ClientRow[] {
  return readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ClientRow)
    .filter((row) => row.type === 'frame');
}
