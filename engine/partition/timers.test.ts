import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTimerId, slotTimerId, timerId, Timers } from './timers.ts';

/** Takes timers as the loop does: earliest first, each removed when it fires. */
function drain(timers: Timers): [string, number][] {
  const fired: [string, number][] = [];
  for (let due = timers.peek(); due; due = timers.peek()) {
    fired.push([due.id, due.dueAt]);
    timers.delete(due.id);
  }
  return fired;
}

test('timers fire in order of their due time, at the same time in order of their ids', () => {
  const timers = new Timers();
  timers.set('b', 20);
  timers.set('c', 10);
  timers.set('a', 20);
  expect(drain(timers)).toEqual([
    ['c', 10],
    ['a', 20],
    ['b', 20],
  ]);
});

test('a timer that is armed again fires at its new time only', () => {
  const timers = new Timers();
  timers.set('a', 10);
  timers.set('a', 30);
  timers.set('b', 20);
  expect(drain(timers)).toEqual([
    ['b', 20],
    ['a', 30],
  ]);
});

test('whatever is set, moved and deleted, what is left fires once and in order', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    dueAt: fc.option(fc.nat(50)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const timers = new Timers();
      const model = new Map<string, number>();
      for (const { id, dueAt } of steps) {
        if (dueAt === null) {
          timers.delete(id);
          model.delete(id);
        } else {
          timers.set(id, dueAt);
          model.set(id, dueAt);
        }
      }
      const expected = [...model].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
      expect(drain(timers)).toEqual(expected);
    }),
  );
});

test('timer ids keep identities with bars and slots apart', () => {
  expect(parseTimerId(timerId('charger', 'a|b', 'offline'))).toEqual({ kind: 'charger', id: 'a|b', name: 'offline' });
  expect(parseTimerId(slotTimerId('price'))).toEqual({ slot: 'price' });
});
