import type { Session } from 'zab-ensemble';

/** Resolves when the session can be used again; rejects when it has ended. */
export function connected(session: Session): Promise<void> {
  if (session.state === 'connected') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const listen = (): void => {
      if (session.state === 'suspended') return;
      session.off('state', listen);
      if (session.state === 'connected') resolve();
      else reject(new Error(`the session is ${session.state}`));
    };
    session.on('state', listen);
    listen();
  });
}
