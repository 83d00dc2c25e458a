/**
 * For tests: whole scripts of commands, by value at a constant price of 0.01 SEK, where holds never expire and triggers never
 * fire. The large ones are not part of the product and lie beside the repository.
 */
import { customerAddress } from './addresses.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type { BookRules } from './schema/trading.ts';
import { checkBooks } from './testing_customers.ts';
import { bodyOf, checkPositions, commandType, oreE5, parseLine, positionsIn, valueBook } from './testing_trading.ts';
import { TestWorld } from './testing.ts';

export type File = '1userWorkLoad.txt' | '10User_testWorkLoad.txt' | '100User_testWorkLoad.txt';

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

/** Every rule once: a stack of two, a sell of what was bought, a new amount that clears its trigger, a user who never paid in. */
export const smallScript = `
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

/** Runs the lines and adds up what is left. */
export function play(lines: readonly string[], pendingRule: BookRules['pendingRule']): Outcome & { world: TestWorld } {
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
const triggers: Record<File, Record<BookRules['pendingRule'], [buy: number, sell: number]>> = {
  '1userWorkLoad.txt': { stack: [0, 0], slot: [0, 0] },
  '10User_testWorkLoad.txt': { stack: [45, 51], slot: [45, 45] },
  '100User_testWorkLoad.txt': { stack: [147, 46], slot: [147, 39] },
};

/** As the outcomes are written, by file and rule. */
type Expected = Record<string, Record<BookRules['pendingRule'], Record<string, unknown>>>;

/** What came of a script, and what should have: counts by command, sums in cents, armed triggers. */
export function outcomes(text: string, expected: string, file: File, rule: BookRules['pendingRule']) {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const { ok, errors, openBuyTriggers, openSellTriggers, ...sums } = play(lines, rule);
  const all = JSON.parse(expected) as Expected;
  const { ok: okWanted, err, ...others } = (all[file] ?? all[`${file}.gz`])![rule];
  const cents = Object.entries(others).filter(([name]) => name.endsWith('_cents'));
  return {
    came: {
      ...{ ok, errors, triggers: [openBuyTriggers, openSellTriggers] },
      cents: cents.map(([name]) => [name, (sums as unknown as Record<string, unknown>)[camel(name)]]),
    },
    wanted: { ok: okWanted, errors: err, triggers: triggers[file][rule], cents },
  };
}
