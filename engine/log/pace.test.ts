import { expect, test } from 'vitest';
import { Pace, type PaceClock } from './pace.ts';

/** A clock that stands still until it is moved. */
function handClock() {
  let now = 0;
  const waiting: { at: number; resolve: () => void }[] = [];
  const clock: PaceClock = {
    monotonic: () => now,
    delay: (ms) => new Promise((resolve) => waiting.push({ at: now + ms, resolve })),
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    clock,
    settle,
    async pass(ms: number) {
      now += ms;
      for (const { at, resolve } of waiting) if (at <= now) resolve();
      await settle();
    },
  };
}

/** Who had their turn, in order. */
const watch = (pace: Pace, log: string[]) => (name: string) => void pace.turn().then(() => log.push(name));

test('after a quiet time a turn comes at once, and all of one turn of the event loop share it', async () => {
  const { clock, settle } = handClock();
  const log: string[] = [];
  const ask = watch(new Pace(5, clock), log);
  ask('a');
  ask('b');
  expect(log).toEqual([]);
  await settle();
  expect(log).toEqual(['a', 'b']);
});

test('soon after a beat everybody waits for the next one, which is everyMs after the last', async () => {
  const { clock, settle, pass } = handClock();
  const log: string[] = [];
  const ask = watch(new Pace(5, clock), log);
  ask('first');
  await settle();
  await pass(2);
  ask('a');
  await pass(1);
  ask('b');
  await pass(1);
  expect(log).toEqual(['first']);
  await pass(1);
  expect(log).toEqual(['first', 'a', 'b']);
  await pass(5);
  ask('later');
  await settle();
  expect(log.at(-1)).toBe('later');
});
