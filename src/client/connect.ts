import { ZabError } from '../model/errors.ts';
import type { Session } from '../node/api.ts';
import { abortError } from '../node/calls.ts';
import { type ConnectOptions, resolveConnectOptions } from './options.ts';
import { RemoteSession } from './remote-session.ts';
import { Timer } from './timer.ts';

/**
 * Opens a session at a ZooKeeper ensemble over the wire, or goes on with one. `servers` is a list such as `host:2181,host2:2181`, tried in random order; a path behind it
 * (`/app`) is what all paths of the session are relative to, and must exist.
 *
 * Rejects with CONNECTION_LOSS when no server has opened the session within `openTimeout`, with SESSION_EXPIRED when the one to go on with does not exist, with AUTH_FAILED, with
 * ABORTED by the signal, and with BAD_OPTIONS.
 */
export function connectSession(servers: string, options: ConnectOptions): Promise<Session> {
  return new Promise((resolve, reject) => {
    const resolved = resolveConnectOptions(servers, options);
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal, undefined, 'not-done');
    const patience = new Timer(resolved.clock);
    const session = new RemoteSession(resolved, (error) => {
      patience.clear();
      signal?.removeEventListener('abort', aborted);
      if (error === null) resolve(session);
      else reject(error);
    });
    const giveUp = (error: ZabError): void => {
      patience.clear();
      signal?.removeEventListener('abort', aborted);
      session.abandon();
      reject(error);
    };
    const aborted = (): void => giveUp(abortError(signal!, undefined, 'unknown'));
    signal?.addEventListener('abort', aborted);
    if (resolved.openTimeout !== Number.POSITIVE_INFINITY) {
      patience.set(resolved.openTimeout, () => {
        const trouble = session.trouble === '' ? 'no server has answered' : session.trouble;
        const message = `CONNECTION_LOSS: no session within ${resolved.openTimeout} ms (${trouble}); if one was created it will expire`;
        giveUp(new ZabError('CONNECTION_LOSS', message, 'unknown'));
      });
    }
    session.start();
  });
}
