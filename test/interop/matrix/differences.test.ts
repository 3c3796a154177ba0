import { expect, test } from 'vitest';
import { asOtherClients, compare, type Difference } from './differences.ts';
import type { Step } from './record.ts';

/* The comparison can fail: what is not listed, or not as it is listed, is told. */

const step = (answer: unknown, command = 'events a', chapter = 'c'): Step => ({ chapter, command, answer: JSON.stringify(answer) });

const byEntries: Difference = { chapter: 'c', command: /^events /, entries: / overflow /, reason: 'why' };
const byAnswer: Difference = { chapter: 'c', command: /^setData /, clients: ['java'], theirs: /-4/, ours: /-8/, reason: 'why' };

test('equal steps are counted, and other answers told', () => {
  const { equal, listed, unlisted } = compare([step({}), step({ error: -101 })], [step({}), step({ error: -102 })], [], 'c');
  expect([equal, listed]).toEqual([1, []]);
  expect(unlisted).toEqual(['c: events a\n  theirs {"error":-101}\n  ours   {"error":-102}']);
});

test('a play that ended early is told', () => {
  expect(compare([step({}), step({})], [step({})], [byEntries], 'c').unlisted).toEqual(['c: events a\n  theirs {}\n  ours   undefined']);
});

test('entries that one has may be listed, but the others must be equal', () => {
  const theirs = [step({ events: ['w NodeCreated /a'] })];
  const differences = [byEntries];
  expect(compare(theirs, [step({ events: ['w NodeCreated /a', 'p overflow /'] })], differences, 'c').listed).toEqual([byEntries]);
  expect(compare(theirs, [step({ events: ['w NodeDeleted /a', 'p overflow /'] })], differences, 'c').unlisted).toHaveLength(1);
});

test('answers are listed for their step and client only', () => {
  const both = (command: string, client: string) =>
    compare([step({ error: -4 }, command)], [step({ error: -8 }, command)], [byAnswer], client).listed;
  expect(both('setData a', 'java')).toEqual([byAnswer]);
  expect(both('setData a', 'kazoo')).toEqual([]);
  expect(both('delete a', 'java')).toEqual([]);
});

test('the order of replies is no matter between libraries', () => {
  const [{ answer }] = asOtherClients([step({ events: ['= sync', 'w NodeCreated /a', '= create'] })]);
  expect(JSON.parse(answer)).toEqual({ events: ['w NodeCreated /a'] });
});
