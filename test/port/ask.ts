import { connect } from 'node:net';
import { within } from '../ensemble/client.ts';

/** How a word is asked. */
export interface Asking {
  /** Says at once that this was all, as `nc -N` does. */
  readonly ends?: boolean;
  /** Sends the bytes one at a time. */
  readonly torn?: boolean;
}

/** What comes back for `text` until the server ends the connection. */
export function ask(port: number, text: string, { ends = false, torn = false }: Asking = {}): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    let told = '';
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, async () => {
      for (const piece of torn ? text : [text]) await new Promise<void>((written) => socket.write(piece, () => setImmediate(written)));
      if (ends) socket.end();
    });
    socket.on('data', (chunk) => (told += chunk));
    // A connection that is refused is reset or closed, as it happens.
    socket.on('error', () => {});
    socket.on('close', () => resolve(told));
  });
  return within(`the answer to ${text}`, answer);
}

/** Names and values of a report, one pair a line. */
export const linesOf = (text: string, between: string): Map<string, string> =>
  new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf(between)), line.slice(line.indexOf(between) + between.length)] as const),
  );
