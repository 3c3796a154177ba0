import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { apacheServer, modeOf, requirePackages } from './apache.ts';

test('a standalone server starts, answers, and is gone after a kill', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'zab-apache-'));
  const server = apacheServer({ dir, clientPort: (await freePorts(1))[0] });
  try {
    await server.start();
    expect(await modeOf(server)).toBe('standalone');
    expect(await server.fourLetter('ruok')).toBe('imok');
    expect(server.log()).toContain('version');
    await server.stop();
    expect(server.pid).toBeUndefined();
    expect(await modeOf(server)).toBeUndefined();
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a package that is not there is named', () => {
  expect(() => requirePackages('zookeeper.jar', '/nowhere/kazoo')).toThrow(
    /CANNOT RUN\n\/nowhere\/kazoo is missing: apt-get install python3-kazoo$/,
  );
});
