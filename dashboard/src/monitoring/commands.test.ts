import { expect, test } from 'vitest';
import type { DeviceCommandView } from '#actors/schema/device_commands';
import { configOf, isCancellable, newestFirst, stepsOf, whyOf, wordsOf } from './commands.ts';

const command = (more: Partial<DeviceCommandView> = {}): DeviceCommandView => ({
  ...{ command: 'c-1', charger: 'CP-1', kind: 'charger.reset', arguments: { mode: 'soft' }, state: 'queued' },
  ...{ reason: null, result: null, requestedBy: 'operator', requestedAt: 1_000, sentAt: null, answeredAt: null },
  ...{ endedAt: null, attempts: 0 },
  ...more,
});
const steps = (more: Partial<DeviceCommandView>) => stepsOf(command(more)).map(({ state }) => state);

test('an answer is not the effect: the last step is ahead until the effect was seen', () => {
  expect(steps({})).toEqual(['now', 'ahead', 'ahead', 'ahead']);
  expect(steps({ state: 'sent', sentAt: 2_000 })).toEqual(['past', 'now', 'ahead', 'ahead']);
  expect(steps({ state: 'answered', sentAt: 2_000, answeredAt: 2_400 })).toEqual(['past', 'past', 'now', 'ahead']);
  const done = command({ state: 'done', sentAt: 2_000, answeredAt: 2_400, endedAt: 40_000 });
  expect(stepsOf(done).map(({ at }) => at)).toEqual([1_000, 2_000, 2_400, 40_000]);
});

test('what failed ends at the step that it had reached, with the reason and the words of the charger', () => {
  const failed = { state: 'failed', sentAt: 2_000, answeredAt: 2_400, endedAt: 2_400 } as const;
  expect(steps({ ...failed, reason: 'rejected' })).toEqual(['past', 'past', 'lost', 'ahead']);
  expect(whyOf(command({ ...failed, reason: 'rejected', result: { status: 'Rejected' } }))).toBe(
    'The charger refused it. It said “Rejected”.',
  );
  expect(whyOf(command({ ...failed, reason: 'no_effect' }))).toMatch(/effect was not seen in time/);
  expect(whyOf(command({ ...failed, reason: 'a_new_reason' }))).toBe('a_new_reason');
});

test('what was never sent ends at the beginning; without an answer nobody knows yet', () => {
  expect(steps({ state: 'expired', endedAt: 61_000 })).toEqual(['lost', 'ahead', 'ahead', 'ahead']);
  expect(steps({ state: 'unknown', sentAt: 2_000 })).toEqual(['past', 'now', 'ahead', 'ahead']);
  expect(whyOf(command({ state: 'unknown', sentAt: 2_000 }))).toBeNull();
  expect([command(), command({ state: 'sent', sentAt: 2_000 })].map(isCancellable)).toEqual([true, false]);
});

test('each kind says what it asks for', () => {
  expect(wordsOf(command())).toBe('Reset: Soft');
  expect(wordsOf({ kind: 'session.requestStart', arguments: { connector: 2, tag: 'DEMO0001' } })).toBe(
    'Start a session: connector 2, card DEMO0001',
  );
  expect(wordsOf({ kind: 'session.requestStop', arguments: { transaction: 7 } })).toBe('Stop a session: transaction 7');
  expect(wordsOf({ kind: 'config.set', arguments: { key: 'HeartbeatInterval', value: '60' } })).toBe(
    'Set configuration: HeartbeatInterval = 60',
  );
  expect(wordsOf({ kind: 'config.get', arguments: { keys: ['A', 'B'] } })).toBe('Read configuration: A, B');
});

test('the live topic knows better than what was read before, and the newest stands first', () => {
  const known = [command(), command({ command: 'c-2', requestedAt: 5_000 })];
  const live = [command({ state: 'done', endedAt: 9_000 }), command({ command: 'c-3', requestedAt: 7_000 })];
  expect(newestFirst(known, live).map(({ command: id, state }) => [id, state])).toEqual([
    ['c-3', 'queued'],
    ['c-2', 'queued'],
    ['c-1', 'done'],
  ]);
});

test('what the charger tells of its configuration is read out of the result', () => {
  const result = { status: 'Accepted', values: [{ key: 'A', value: '1', readonly: true }], unknown: ['B'] };
  expect(configOf({ result })).toEqual({ values: result.values, unknown: ['B'] });
  expect(configOf({ result: null })).toEqual({ values: [], unknown: [] });
});
