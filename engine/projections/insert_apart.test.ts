import { expect, test } from 'vitest';
import { HistoryRefused, HistoryUnavailable } from '../history/errors.ts';
import { insertApart } from './insert_apart.ts';

const refusal = (text: string) => new HistoryRefused(text, { isAboutData: true });

/** A table that refuses a batch whole when it holds a bad row. */
function tableRefusing(isBad: (row: number) => boolean) {
  const stored: number[] = [];
  let inserts = 0;
  return {
    stored,
    inserts: () => inserts,
    insert(rows: number[]) {
      inserts += 1;
      const bad = rows.find(isBad);
      if (bad !== undefined) return Promise.reject(refusal(`${bad} does not fit`));
      stored.push(...rows);
      return Promise.resolve();
    },
  };
}
const rows = Array.from({ length: 1_000 }, (_, n) => n);

test('of a refused batch only the refused rows are left out, each with its own reason, after a few halvings', async () => {
  const table = tableRefusing((row) => row === 17 || row === 999);
  expect(await insertApart(rows, (part) => table.insert(part))).toEqual([
    { row: 17, reason: '17 does not fit' },
    { row: 999, reason: '999 does not fit' },
  ]);
  expect(table.stored).toEqual(rows.filter((row) => row !== 17 && row !== 999));
  expect(table.inserts()).toBeLessThan(45);
});

test('a batch that is taken costs one insert, none when it is empty', async () => {
  const table = tableRefusing(() => false);
  expect(await insertApart(rows, (part) => table.insert(part))).toEqual([]);
  await insertApart([], (part: number[]) => table.insert(part));
  expect(table.inserts()).toBe(1);
});

test('a store that is away, or refuses whatever comes, refuses no row', async () => {
  const away = new HistoryUnavailable('away');
  await expect(insertApart(rows, () => Promise.reject(away))).rejects.toBe(away);
  const unknownTable = new HistoryRefused('UNKNOWN_TABLE 60');
  await expect(insertApart(rows, () => Promise.reject(unknownTable))).rejects.toBe(unknownTable);
  const table = tableRefusing(() => true);
  await expect(insertApart(rows, (part) => table.insert(part))).rejects.toThrow('500 does not fit');
});

test('however many rows are refused, those that are taken go on', async () => {
  const table = tableRefusing((row) => row % 2 === 1);
  expect(await insertApart(rows, (part) => table.insert(part))).toHaveLength(500);
  expect(table.stored).toEqual(rows.filter((row) => row % 2 === 0));
  const late = tableRefusing((row) => row > 200);
  expect(await insertApart(rows, (part) => late.insert(part))).toHaveLength(799);
});
