/**
 * Outcomes of whole scripts, to the cent: by value at a constant price of 0.01 SEK, holds never expire, triggers never fire.
 * The large scripts are not part of the product; a small one, whose outcome was worked out by hand, is.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { customerAddress } from './addresses.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type { BookRules } from './schema/trading.ts';
import { checkBooks } from './testing_customers.ts';
import { bodyOf, checkPositions, commandType, oreE5, parseLine, positionsIn, valueBook } from './testing_trading.ts';
import { TestWorld } from './testing.ts';

const folder = new URL('../../shared/data/workloads/', import.meta.url);
const files = ['1userWorkLoad.txt', '10User_testWorkLoad.txt', '100User_testWorkLoad.txt'] as const;

interface Outcome {
  ok: Record<string, number>;
  errors: Record<string, number>;
  cashCents: number;
  stockCents: number;
  pendingBuyCents: number;
  pendingSellCents: number;
  reservedBuyCents: number;
  reservedSellCents: number;
  totalCents: number;
  openBuyTriggers: number;
  openSellTriggers: number;
}

/** Runs the lines and adds up what is left. */
function play(lines: readonly string[], pendingRule: BookRules['pendingRule']): Outcome & { world: TestWorld } {
  const world = new TestWorld({ partitions: 4 });
  const rules = valueBook(pendingRule);
  const ok: Record<string, number> = {};
  const errors: Record<string, number> = {};
  for (const text of lines) {
    const line = parseLine(text);
    const quote = { priceE5Sek: oreE5, at: world.now };
    const body = { ...bodyOf(line, quote, rules), ...(line.user === '-' && { all: true }) };
    const result = world.send(customerAddress(`book/${line.user}`), commandType(line.command), body);
    const counts = result.ok ? ok : errors;
    counts[line.command] = (counts[line.command] ?? 0) + 1;
  }
  checkBooks(world);
  checkPositions(world);
  const customers = world.partitions.flatMap((partition) => partition.all<CustomerState>('customer'));
  const positions = world.partitions.flatMap((partition) => positionsIn(partition));
  const cents = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / oreE5;
  const units = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  const parts = {
    cashCents: cents(customers.map(({ sek }) => sek.available)),
    stockCents: units(positions.map(({ available }) => available)),
    pendingBuyCents: cents(customers.map(({ sek }) => sek.pending)),
    pendingSellCents: units(positions.map(({ pending }) => pending)),
    reservedBuyCents: cents(customers.map(({ reservedE5Sek }) => reservedE5Sek)),
    reservedSellCents: units(positions.map(({ reserved }) => reserved)),
  };
  return {
    world,
    ok,
    errors,
    ...parts,
    totalCents: Object.values(parts).reduce((sum, part) => sum + part, 0),
    openBuyTriggers: positions.filter(({ buy }) => buy?.trigger).length,
    openSellTriggers: positions.filter(({ sell }) => sell?.trigger).length,
  };
}

/** `cash_cents` as the outcomes are written, `cashCents` as here; `err` is `errors`. */
const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** Triggers that are armed at the end; the outcomes on file count those that a new amount has cleared. */
const triggers: Record<(typeof files)[number], Record<BookRules['pendingRule'], [buy: number, sell: number]>> = {
  '1userWorkLoad.txt': { stack: [0, 0], slot: [0, 0] },
  '10User_testWorkLoad.txt': { stack: [45, 51], slot: [45, 45] },
  '100User_testWorkLoad.txt': { stack: [147, 46], slot: [147, 39] },
};

function linesOf(file: string): string[] | null {
  const [plain, zipped] = [new URL(file, folder), new URL(`${file}.gz`, folder)];
  const text = existsSync(plain)
    ? readFileSync(plain, 'utf8')
    : existsSync(zipped)
      ? gunzipSync(readFileSync(zipped)).toString()
      : null;
  return text?.split('\n').filter((line) => line.trim() !== '') ?? null;
}
type Expected = Record<string, Record<BookRules['pendingRule'], Record<string, unknown>>>;

for (const file of files) {
  for (const rule of ['stack', 'slot'] as const) {
    test(`${file} with a ${rule} of pending orders comes out exact to the cent`, { timeout: 300_000 }, (context) => {
      const lines = linesOf(file);
      if (!lines) return context.skip(`${file} is not on this machine: the scripts lie beside the repository`);
      const { ok, errors, ...sums } = play(lines, rule);
      const expected = (JSON.parse(readFileSync(new URL('expected_outcomes.json', folder), 'utf8')) as Expected)[file]![
        rule
      ];
      expect(ok).toEqual(expected['ok']);
      expect(errors).toEqual(expected['err']);
      for (const [name, value] of Object.entries(expected)) {
        const sum = (sums as unknown as Record<string, unknown>)[camel(name)];
        if (name.endsWith('_cents')) expect([name, sum]).toEqual([name, value]);
      }
      expect([sums.openBuyTriggers, sums.openSellTriggers]).toEqual(triggers[file][rule]);
    });
  }
}

/** Every rule once: a stack of two, a sell of what was bought, a new amount that clears its trigger, a user who never paid in. */
const small = `
[1] ADD,ada,100.00
[2] BUY,ada,A,10.00
[3] BUY,ada,B,20.00
[4] COMMIT_BUY,ada
[5] COMMIT_BUY,ada
[6] SELL,ada,B,20.00
[7] SELL,ada,A,4.00
[8] COMMIT_SELL,ada
[9] CANCEL_SELL,ada
[10] SET_BUY_AMOUNT,ada,C,30.00
[11] SET_BUY_TRIGGER,ada,C,1.00
[12] SET_BUY_AMOUNT,ada,C,25.00
[13] SET_SELL_AMOUNT,ada,B,15.00
[14] SET_SELL_TRIGGER,ada,B,2.00
[15] SET_SELL_TRIGGER,ada,A,2.00
[16] BUY,bob,A,1.00
[17] QUOTE,bob,A
[18] BUY,ada,A,1000.00
[19] BUY,ada,D,7.00
[20] DISPLAY_SUMMARY,ada
[21] CANCEL_BUY,ada
[22] CANCEL_BUY,ada
[23] DUMPLOG,out.xml
`
  .trim()
  .split('\n');

test('a small script with a stack of pending orders comes out as worked out by hand', () => {
  const { world, ...outcome } = play(small, 'stack');
  expect(outcome).toEqual({
    ok: {
      ...{ ADD: 1, BUY: 3, COMMIT_BUY: 2, SELL: 2, COMMIT_SELL: 1, CANCEL_SELL: 1, CANCEL_BUY: 1 },
      ...{ SET_BUY_AMOUNT: 2, SET_BUY_TRIGGER: 1, SET_SELL_AMOUNT: 1, SET_SELL_TRIGGER: 1 },
      ...{ QUOTE: 1, DISPLAY_SUMMARY: 1, DUMPLOG: 1 },
    },
    errors: { SET_SELL_TRIGGER: 1, BUY: 2, CANCEL_BUY: 1 },
    cashCents: 4_900,
    stockCents: 1_100,
    pendingBuyCents: 0,
    pendingSellCents: 0,
    reservedBuyCents: 2_500,
    reservedSellCents: 1_500,
    totalCents: 10_000,
    openBuyTriggers: 0,
    openSellTriggers: 1,
  });
  // Everybody's log alone names nobody; who never paid in has no account.
  expect(world.get(customerAddress('book/bob'))).toBeUndefined();
  expect(world.get(customerAddress('book/-'))).toBeUndefined();
});

test('the same with one pending order per side: a new order takes the place of the old one', () => {
  const { ok, errors, cashCents, stockCents, totalCents } = play(small, 'slot');
  expect(ok).toMatchObject({ BUY: 3, COMMIT_BUY: 1 });
  expect(errors).toMatchObject({ COMMIT_BUY: 1 });
  expect({ cashCents, stockCents, totalCents }).toEqual({ cashCents: 7_500, stockCents: 0, totalCents: 10_000 });
});
