import { expect, test } from 'vitest';
import { rollingMove } from './rolling-move.ts';

test('an ensemble moves over and back, the leader last', async () => {
  const { steps } = await rollingMove({ order: 'leader last', say: console.log });
  expect(steps.map(({ to, wasLeader }) => [to, wasLeader])).toEqual([
    ['ours', false],
    ['ours', false],
    ['ours', true],
    ['apache', false],
    ['apache', false],
    ['apache', true],
  ]);
});

test('with the leader first, reconfig enabled, and clients that sleep whenever a server goes', async () => {
  const { steps } = await rollingMove({ order: 'leader first', asleep: true, config: { reconfigEnabled: 'true' }, say: console.log });
  expect([steps[0].wasLeader, steps[3].wasLeader]).toEqual([true, true]);
});
