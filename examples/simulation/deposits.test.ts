import { expect, test } from 'vitest';
import { ExplorationFailed, explore, replay } from 'zab-ensemble/testing';
import { deposits } from './scenario.ts';

/* How such an exploration stands in a project's tests. `npx vitest run examples` */

test('no deposit is lost', async () => {
  await explore({ ...deposits(true), seeds: 20 });
});

test('this test finds the naive lock, and can show it again', async () => {
  const lines: string[] = [];
  const failed = await explore({ ...deposits(false), seeds: 300, print: (line) => lines.push(line) }).catch((error: unknown) => error);
  if (!(failed instanceof ExplorationFailed)) throw new Error('nothing was found');
  const { result } = failed;
  expect(result.failure).toMatchObject({ name: 'Violation', rule: 'NoDepositIsLost' });
  // Only somebody who is held up for too long writes too late.
  expect(result.faults.map(({ kind }) => kind)).toContain('pause');
  expect(lines.join('\n')).toMatch(/: pause \d for \d+ ms[\s\S]*FAILED: NoDepositIsLost/);

  const again = await replay(result.seed, { ...deposits(false), faults: result.faults });
  expect(again.digest).toBe(result.digest);
});
