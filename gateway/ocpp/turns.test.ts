import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('what exceeds a turn goes on in the next ones, in order and once each', async () => {
  const turns = new Turns(2);
  const went: number[] = [];
  const waiters = [0, 1, 2, 3, 4, 5].map((i) => ({
    queued: false,
    goOn() {
      this.queued = false;
      if (turns.take(this)) went.push(i);
    },
  }));
  for (const waiter of waiters) {
    waiter.goOn();
    if (waiter.queued) expect(turns.take(waiter)).toBe(false);
  }
  expect(went).toEqual([0, 1]);
  await nextTurn();
  expect(went).toEqual([0, 1, 2, 3]);
  await nextTurn();
  expect(went).toEqual([0, 1, 2, 3, 4, 5]);
});
