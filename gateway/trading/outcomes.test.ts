import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runInLanes } from './lanes.ts';
import { compareOutcomes, expectedOutcome, NothingExpected, type PendingRule, type ScriptOutcome } from './outcomes.ts';
import { readScriptFile, type ScriptCommand, type ScriptProblem } from './script.ts';
import { PlainBook } from './testing_book.ts';

const recorded = join(import.meta.dirname, '../../../shared/data/workloads');

const figures = {
  ...{ cash_cents: 1, stock_cents: 2, pending_buy_cents: 3, pending_sell_cents: 4 },
  ...{ reserved_buy_cents: 5, reserved_sell_cents: 6, total_cents: 21, open_buy_triggers: 7, open_sell_triggers: 8 },
};
const file = JSON.stringify({
  'a.txt': {
    stack: { users: 1, symbols: 2, commands: 5, errors: 2, ok: { ADD: 3 }, err: { SELL: 2 }, ...figures },
    slot: { users: 1 },
  },
});
const right: ScriptOutcome = {
  ...{ users: 1, commands: 5, ok: { ADD: 3 }, errors: { SELL: 2 }, cashCents: 1, stockCents: 2, pendingBuyCents: 3 },
  ...{ pendingSellCents: 4, reservedBuyCents: 5, reservedSellCents: 6, totalCents: 21 },
};

test('what is expected comes by file name and pending rule, in our words; open triggers are not compared', () => {
  expect(expectedOutcome(file, 'a.txt', 'stack')).toEqual(right);
});

test('every difference is named with both figures; a command that is not named came 0 times', () => {
  expect(compareOutcomes(right, right)).toEqual([]);
  expect(compareOutcomes(right, { ...right, ok: { ADD: 3, BUY: 0 } })).toEqual([]);
  const wrong = { ...right, cashCents: 0, ok: { ADD: 2, BUY: 1 }, errors: {} };
  expect(compareOutcomes(right, wrong)).toEqual([
    { field: 'cashCents', expected: 1, got: 0 },
    { field: 'ok.ADD', expected: 3, got: 2 },
    { field: 'ok.BUY', expected: 0, got: 1 },
    { field: 'errors.SELL', expected: 2, got: 0 },
  ]);
});

test.each<[string, string, string, PendingRule, string]>([
  ['is no JSON', '{', 'a.txt', 'stack', 'no JSON'],
  ['knows another file', file, 'b.txt', 'stack', "nothing is expected of 'b.txt' under 'stack'; there is a.txt"],
  ['lacks figures', file, 'a.txt', 'slot', "'a.txt', 'slot'"],
  ['is something else', 'null', 'a.txt', 'slot', 'there is nothing'],
])('a file that %s is refused in words', (_, text, name, rule, message) => {
  expect(() => expectedOutcome(text, name, rule)).toThrow(NothingExpected);
  expect(() => expectedOutcome(text, name, rule)).toThrow(message);
});

describe.skipIf(!existsSync(recorded))('the recorded workloads (need the workload files)', () => {
  const expected = () => readFileSync(join(recorded, 'expected_outcomes.json'), 'utf8');

  async function played(name: string, rules: PendingRule[], recordedSigns: boolean) {
    const problems: ScriptProblem[] = [];
    const commands: ScriptCommand[] = [];
    const read = readScriptFile(join(recorded, name), (problem) => void problems.push(problem), { recordedSigns });
    for await (const command of read) commands.push(command);
    const mismatches = [];
    for (const rule of rules) {
      const book = new PlainBook({ rule, price: () => 1_000, isByValue: true });
      await runInLanes(commands, async (batch) => batch.forEach((command) => book.apply(command)), { lanes: 8 });
      expect(book.outcome().totalCents).toBe(book.paidIn / 1_000);
      mismatches.push(...compareOutcomes(expectedOutcome(expected(), name, rule), book.outcome()));
    }
    return { problems, mismatches };
  }

  test.each(['1userWorkLoad.txt', '10User_testWorkLoad.txt', '100User_testWorkLoad.txt.gz'])(
    '%s, read and sent in lanes, comes out as expected under both rules',
    async (name) => {
      expect(await played(name, ['stack', 'slot'], true)).toEqual({ problems: [], mismatches: [] });
    },
    120_000,
  );

  test('without the recorded signs one line of 10User_testWorkLoad.txt is none, and nothing else differs', async () => {
    const { problems, mismatches } = await played('10User_testWorkLoad.txt', ['stack'], false);
    expect(problems).toMatchObject([{ line: 9_962, code: 'bad_amount', command: 'ADD' }]);
    expect(mismatches.map(({ field, expected, got }) => [field, got - expected])).toEqual([
      ['commands', -1],
      ['cashCents', 7_327_942],
      ['totalCents', 7_327_942],
      ['ok.ADD', -1],
    ]);
  });

  test('one_of_each_command.txt, with CRLF and numbers out of order, is read whole', async () => {
    const problems: ScriptProblem[] = [];
    const words: string[] = [];
    const path = join(recorded, 'one_of_each_command.txt');
    for await (const { command, user } of readScriptFile(path, (problem) => void problems.push(problem)))
      words.push(user === null ? `${command} of all` : command);
    expect(problems).toEqual([]);
    expect(words).toHaveLength(17);
    expect(new Set(words)).toHaveLength(17);
  });
});
