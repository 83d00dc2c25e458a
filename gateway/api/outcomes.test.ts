import { expect, test } from 'vitest';
import type { JournalReader } from '#engine/projections/journal';
import type { CommitRecord, JournalEntry, ReplyOut } from '#engine/wire';
import { outcomeFinder } from './outcomes.ts';

const reply = (customer: string | null, commandId: string, value: unknown): ReplyOut => ({
  inbox: '',
  token: 0,
  commandId,
  result: { ok: true, value },
  ...(customer !== null && { entity: ['customer', customer] as [string, string] }),
});

/** A journal that holds records `first` … of these replies, and the readers that are open on it. */
function journalOf(records: ReplyOut[][], first = 1) {
  const seen = { open: 0, most: 0, asked: 0 };
  const reader: JournalReader = {
    partitions: 1,
    bounds: () => Promise.resolve({ first, last: first + records.length - 1 }),
    tail: (partition, from, onEntry) => {
      seen.open += 1;
      seen.most = Math.max(seen.most, seen.open);
      seen.asked += 1;
      let stopped = false;
      const run = async () => {
        for (const [i, replies] of records.entries()) {
          await new Promise((resolve) => setImmediate(resolve));
          const record = { replies } as CommitRecord;
          const entry: JournalEntry = { partition, sequence: first + i, record };
          if (!stopped && entry.sequence >= from) await onEntry(entry);
        }
      };
      void run();
      return Promise.resolve({
        ended: new Promise<undefined>(() => {}),
        stop: () => {
          if (!stopped) seen.open -= 1;
          stopped = true;
          return Promise.resolve();
        },
      });
    },
  };
  return { seen, find: outcomeFinder(reader) };
}
const query = { partition: 0, kind: 'customer', entity: 'anna', commandId: 'x', from: 1 };

test('the record of the decision is found, with its position', async () => {
  const { find, seen } = journalOf([[], [reply('anna', 'y', 1)], [reply('anna', 'y', 2), reply('anna', 'x', 3)], []]);
  expect(await find(query)).toEqual({ ok: true, value: 3, at: '0:3' });
  expect(seen.open).toBe(0);
});

test('the same id of another customer, or a repeated answer that names nobody, is not taken for it', async () => {
  const { find } = journalOf([
    [reply('bert', 'x', 'his')],
    [reply(null, 'x', 'repeated')],
    [reply('anna', 'x', 'hers')],
  ]);
  expect(await find(query)).toMatchObject({ value: 'hers' });
  expect(await find({ ...query, from: 1, to: 2 })).toBeUndefined();
});

test('what is not there is not waited for', async () => {
  const { find, seen } = journalOf([[reply('anna', 'x', 1)]], 50);
  expect(await find({ ...query, commandId: 'never' })).toBeUndefined();
  // Purged below 50: the search begins where the journal does.
  expect(await find({ ...query, from: 7 })).toMatchObject({ at: '0:50' });
  expect(await find({ ...query, from: 51 })).toBeUndefined();
  expect(seen.open).toBe(0);
});

test('at most four look at once, the others wait for their turn', async () => {
  const { find, seen } = journalOf([[], [], [reply('anna', 'x', 1)]]);
  const found = await Promise.all(Array.from({ length: 12 }, () => find(query)));
  expect(found.every((result) => result?.at === '0:3')).toBe(true);
  expect([seen.most, seen.asked, seen.open]).toEqual([4, 12, 0]);
});
