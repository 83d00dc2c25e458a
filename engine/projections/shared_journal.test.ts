import { expect, test } from 'vitest';
import type { JournalEntry } from '../wire.ts';
import type { JournalReader, OnEntry } from './journal.ts';
import { sharedJournal } from './shared_journal.ts';
import { until } from './testing.ts';

/** A journal in memory that counts its tails; `add` appends a record. */
function memoryJournal() {
  const entries: JournalEntry[] = [];
  const waiting = new Set<() => void>();
  let open = 0;
  let opened = 0;
  const fail = new Set<(error: Error) => void>();
  const journal: JournalReader = {
    partitions: 1,
    bounds: () => Promise.resolve({ first: 1, last: entries.length }),
    tail(_, from, onEntry: OnEntry) {
      let stopped = false;
      let end: (error?: Error) => void = () => undefined;
      const ended = new Promise<Error | undefined>((resolve) => (end = resolve));
      open += 1;
      opened += 1;
      fail.add(end);
      void (async () => {
        for (let next = from; !stopped; next++) {
          while (!entries[next - 1] && !stopped) await new Promise<void>((resolve) => waiting.add(resolve));
          if (!stopped) await onEntry(entries[next - 1] as JournalEntry);
        }
      })();
      return Promise.resolve({
        ended,
        stop: () => {
          if (!stopped) open -= 1;
          stopped = true;
          for (const wake of waiting) wake();
          return Promise.resolve();
        },
      });
    },
  };
  const add = (count: number) => {
    for (let i = 0; i < count; i++) {
      entries.push({
        partition: 0,
        sequence: entries.length + 1,
        record: { entities: [], events: [], replies: [] } as unknown as JournalEntry['record'],
      });
    }
    for (const wake of [...waiting]) wake();
    waiting.clear();
  };
  return {
    journal,
    add,
    open: () => open,
    opened: () => opened,
    fail: (error: Error) => fail.forEach((f) => f(error)),
  };
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('readers that keep pace share one tail, and each gets every record once and in order', async () => {
  const { journal, add, opened, open } = memoryJournal();
  const shared = sharedJournal(journal, 20);
  const seen: number[][] = [[], [], []];
  const tails = await Promise.all(seen.map((list) => shared.tail(0, 1, (e) => void list.push(e.sequence))));
  add(100);
  await until('all seen', () => seen.every((list) => list.length === 100));
  for (const list of seen) expect(list).toEqual(upTo(1, 100));
  expect(opened()).toBe(1);
  for (const tail of tails) await tail.stop();
  expect(open()).toBe(0);
});

test('a reader that stands still delays no other, falls out of the window, and comes back without a hole', async () => {
  const { journal, add, open, opened } = memoryJournal();
  const shared = sharedJournal(journal, 20);
  const slow: number[] = [];
  const fast: number[] = [];
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const tails = [
    await shared.tail(0, 1, async (e) => {
      slow.push(e.sequence);
      if (e.sequence === 5) await held;
    }),
    await shared.tail(0, 1, (e) => void fast.push(e.sequence)),
  ];
  add(500);
  await until('the fast one has all', () => fast.length === 500);
  expect(slow).toEqual([1, 2, 3, 4, 5]);
  release();
  await until('the slow one has all', () => slow.length === 500);
  add(10);
  await until('both go on', () => slow.length === 510 && fast.length === 510);
  expect(slow).toEqual(upTo(1, 510));
  expect(fast).toEqual(upTo(1, 510));
  expect(opened()).toBeGreaterThan(1);
  await until('one tail again', () => open() === 1);
  for (const tail of tails) await tail.stop();
});

test('readers that start at different places each get their own part whole', async () => {
  const { journal, add } = memoryJournal();
  add(300);
  const shared = sharedJournal(journal, 20);
  const seen = new Map<number, number[]>([
    [200, []],
    [1, []],
    [290, []],
    [301, []],
  ]);
  const tails = [];
  for (const [from, list] of seen)
    tails.push(await shared.tail(0, from, (e) => (list.push(e.sequence), from === 1 ? Promise.resolve() : undefined)));
  add(20);
  await until('all at the end', () => [...seen.values()].every((list) => list.at(-1) === 320));
  for (const [from, list] of seen) expect(list).toEqual(upTo(from, 320));
  for (const tail of tails) await tail.stop();
});

test('a reader that throws ends alone; a journal that fails ends all', async () => {
  const { journal, add, fail } = memoryJournal();
  const shared = sharedJournal(journal, 20);
  const seen: number[] = [];
  const bad = await shared.tail(0, 1, () => {
    throw new Error('no such row');
  });
  const good = await shared.tail(0, 1, (e) => void seen.push(e.sequence));
  add(50);
  expect((await bad.ended)?.message).toBe('no such row');
  await until('the other goes on', () => seen.length === 50);
  fail(new Error('went back in time'));
  expect((await good.ended)?.message).toBe('went back in time');
});
