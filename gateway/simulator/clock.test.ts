import { expect, test } from 'vitest';
import { DrivenClock, wallClock } from './clock.ts';

test('a driven clock stands still; told the time, it does what is due in order, each at its own moment', () => {
  const clock = new DrivenClock(1_000);
  const done: string[] = [];
  const note = (name: string) => () => done.push(`${name} at ${clock.now()}`);
  clock.after(50, note('b'));
  clock.after(10, note('a'));
  clock.after(50, note('c'));
  clock.after(200, note('later'));
  const back = clock.after(20, note('taken back'));
  back();
  expect(clock.nextAt).toBe(1_010);
  expect(done).toEqual([]);
  clock.run(1_100);
  expect(done).toEqual(['a at 1010', 'b at 1050', 'c at 1050']);
  expect([clock.now(), clock.nextAt]).toEqual([1_100, 1_200]);
  expect(() => clock.run(1_099)).toThrow(/cannot go back to 1099/);
});

test('what a task asks for within the time told happens too, and what is due at once is made known', () => {
  const clock = new DrivenClock(0);
  const done: number[] = [];
  const again = () => {
    done.push(clock.now());
    clock.after(30, again);
  };
  clock.after(0, again);
  clock.run(100);
  expect(done).toEqual([0, 30, 60, 90]);
  let known = 0;
  clock.onDue = () => (known += 1);
  clock.after(-5, () => done.push(-1));
  expect(known).toBe(1);
  clock.run();
  expect(done.at(-1)).toBe(-1);
});

test('the wall clock calls once, and not when it is taken back', async () => {
  const called: string[] = [];
  const back = wallClock.after(1, () => called.push('taken back'));
  await new Promise<void>((resolve) => {
    wallClock.after(5, () => {
      called.push('kept');
      resolve();
    });
    back();
  });
  expect(called).toEqual(['kept']);
  expect(Math.abs(wallClock.now() - Date.now())).toBeLessThan(1_000);
});
