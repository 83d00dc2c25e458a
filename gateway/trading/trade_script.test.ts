import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BookRules } from '#actors/schema/trading';
import { smallScript } from '#actors/testing_workload';
import { ConfigError, loadConfig } from '#engine/config/config';
import { integratorCommands } from '#engine/log/mod';
import { startTestRedis, type TestRedis } from '#engine/projections/testing';
import { integratorUser } from '#engine/supervisor/endpoints';
import { partitions, startTestNatsDoor, type Caller, type TestNatsDoor } from '../nats/testing.ts';
import { tradeScriptCommand } from './script_command.ts';
import { scriptRun } from './script_options.ts';
import type { ScriptResult } from './script_report.ts';

const recorded = join(import.meta.dirname, '../../../shared/data/workloads');

let redisServer: TestRedis;
let redis: Redis;
let world: TestNatsDoor;
let acme: Caller;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gridtick-script-'));
  redisServer = await startTestRedis();
  redis = redisServer.client();
  world = await startTestNatsDoor({
    quotes: { redis, feed: 'const:25' },
    scopes: [{ user: integratorUser, hears: [], commands: [...integratorCommands], customers: 'all' }],
  });
  acme = await world.caller('acme');
}, 60_000);
afterAll(async () => {
  await world.close();
  redis.disconnect();
  await redisServer.stop();
  rmSync(folder, { recursive: true });
});

/** A run of the command as a shell would call it, and what it printed. */
async function script(...args: string[]): Promise<{ exitCode: number; result: ScriptResult }> {
  const said: string[] = [];
  const config = { ...loadConfig({}), natsUrl: world.natsUrl, partitions };
  const screen = { say: (line: string) => void said.push(line), write: async () => {}, tell: () => {} };
  const exitCode = await tradeScriptCommand(config, [...args, '--json'], screen);
  return { exitCode, result: JSON.parse(said.join('')) as ScriptResult };
}

const byValue = ['--denomination', 'value', '--feed', 'const:0.01', '--triggers', 'off', '--clock', 'virtual'];

/** With a line that nobody can read. */
const small = smallScript.toSpliced(18, 0, 'no command at all').join('\n');

/** What it comes to, in the form of recorded outcomes. */
const smallOutcome = {
  ...{ users: 2, commands: 24, cash_cents: 4_900, stock_cents: 1_100, pending_buy_cents: 0, pending_sell_cents: 0 },
  ...{ reserved_buy_cents: 2_500, reserved_sell_cents: 1_500, total_cents: 10_000 },
  ok: {
    ...{ ADD: 1, BUY: 3, COMMIT_BUY: 2, SELL: 2, COMMIT_SELL: 1, CANCEL_SELL: 1, CANCEL_BUY: 1 },
    ...{ SET_BUY_AMOUNT: 2, SET_BUY_TRIGGER: 1, SET_SELL_AMOUNT: 1, SET_SELL_TRIGGER: 1 },
    ...{ QUOTE: 1, DISPLAY_SUMMARY: 1, DUMPLOG: 1 },
  },
  err: { SET_SELL_TRIGGER: 1, BUY: 2, CANCEL_BUY: 1 },
};

function smallFiles(outcome: typeof smallOutcome = smallOutcome): [file: string, expected: string] {
  const [file, expected] = [join(folder, 'small.txt'), join(folder, 'expected.json')];
  writeFileSync(file, small);
  writeFileSync(expected, JSON.stringify({ 'small.txt': { stack: outcome } }));
  return [file, expected];
}

test('a small script comes out as worked out by hand, and resumed it changes nothing', async () => {
  const [file, expected] = smallFiles();
  const { exitCode, result } = await script(file, ...byValue, '--expect', expected);
  expect(result.mismatches).toEqual([]);
  expect(result).toMatchObject({
    ...{ depositsCents: 10_000, totalCents: 10_000, conserved: true, openBuyTriggers: 0, openSellTriggers: 1 },
    ...{ errors: { UNREADABLE: 1 }, repeated: 0, quoteHits: 3, quoteCostSek: '0.15' },
    codes: { unknown_user: 1, insufficient_funds: 1, nothing_pending: 1, no_amount_set: 1, unreadable_line: 1 },
    ledgerHash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(exitCode).toBe(0);

  const again = await script(file, ...byValue, '--expect', expected, '--resume', result.book);
  expect(again.result.mismatches).toEqual([]);
  expect(again.result).toMatchObject({ cashCents: 4_900, stockCents: 1_100, ledgerHash: result.ledgerHash });
  expect(again.result.repeated).toBeGreaterThan(0);
  expect(again.exitCode).toBe(0);
});

test('an outcome that was not expected is named, and the exit code tells', async () => {
  const [file, expected] = smallFiles({ ...smallOutcome, cash_cents: 4_901 });
  const { exitCode, result } = await script(file, ...byValue, '--expect', expected);
  expect(result.mismatches).toEqual([{ field: 'cashCents', expected: 4_901, got: 4_900 }]);
  expect(exitCode).toBe(1);
});

test('a generated script at walking prices loses and makes no money, and disturbs no other book', async () => {
  const { exitCode, result } = await script(
    ...['--generate', 'coherent', '--users', '20', '--commands', '400', '--seed', '7'],
    ...['--feed', 'walk:7', '--triggers', 'off', '--rate', '2000', '--concurrency', '4'],
  );
  expect(result).toMatchObject({ commands: 400, users: 20, conserved: true, repeated: 0 });
  expect(result.totalCents).toBe(result.depositsCents);
  expect(Object.values(result.ok).reduce((sum: number, count) => sum + count!, 0)).toBeGreaterThan(350);
  expect(result.p50Ms).toBeGreaterThan(0);
  expect(exitCode).toBe(0);
});

const rules: BookRules = {
  ...{ denomination: 'units', pendingRule: 'stack', holdTimeoutMs: 60_000, triggers: true, feed: 'const:10' },
};
const add = { user: 'eve', id: 'a:1', type: 'trade.add', body: { txn: 1, amountE5Sek: 10_000_000 } };
const buy = {
  ...{ user: 'eve', id: 'a:2', type: 'trade.buy' },
  body: { txn: 2, instrument: 'symbol:ABC', amountE5Sek: 2_500_000, slot: null },
};

test("prices are the door's: by the feed of the book, by the installation's for whoever has none", async () => {
  const { results, quoteHits } = await acme.ask('in.acme.book.eves', { rules, commands: [add, buy] });
  expect(results[1]).toMatchObject({ id: 'a:2', ok: true, value: { priceE5Sek: 1_000_000, units: 2, state: 'held' } });
  expect(quoteHits).toBe(1);
  const { user: _add, ...plainAdd } = add;
  const { user: _buy, ...plainBuy } = buy;
  const plain = await acme.ask('in.acme.customer.eve', { commands: [plainAdd, plainBuy] });
  expect(plain.results[1]).toMatchObject({ ok: true, value: { priceE5Sek: 2_500_000, units: 1 } });
});

test.each([
  ['names a price', { rules, commands: [{ ...buy, body: { ...buy.body, quote: null } }] }, 'bad_request', 1],
  ['brings rules with its money', { rules, commands: [{ ...add, body: { ...add.body, rules } }] }, 'bad_request', 1],
  ['asks a strange quote server', { rules: { ...rules, feed: 'tcp:10.0.0.1:80' }, commands: [add] }, 'bad_request', 0],
  ['has rules of no kind', { rules: { ...rules, pendingRule: 'heap' }, commands: [add] }, 'bad_request', 0],
  ['names nobody', { rules, commands: [{ ...add, user: 'a/b' }] }, 'bad_request', 0],
  ['is empty', { rules, commands: [] }, 'bad_request', 0],
])('a batch to a book that %s is refused', async (_, batch, code, inResults) => {
  const answer = await acme.ask('in.acme.book.eves', batch);
  expect(inResults ? answer.results[0] : answer).toMatchObject({ ok: false, code });
});

test('an integrator of named customers has no book', async () => {
  const shop = await world.caller('shop');
  const answer = await shop.ask('in.shop.book.eves', { rules, commands: [add] });
  expect(answer).toMatchObject({ ok: false, code: 'scope_missing' });
});

test.each([
  ['no script', [], 'name script files'],
  ['a value book at other prices', ['a', '--denomination', 'value'], '--feed const:0.01'],
  ['an unknown rule', ['a', '--pending', 'heap'], '--pending is stack or slot'],
  ['a rate of nothing', ['a', '--rate', '0'], '--rate is an integer'],
  ['no feed', ['a', '--feed', 'moon'], 'no quote feed'],
  ['a number without --generate', ['a', '--users', '3'], 'are of --generate'],
  ['half of --generate', ['--generate', 'raw', '--users', '3'], '--commands is an integer'],
  ['a book with a slash', ['a', '--resume', 'a/b'], 'a book is'],
  ['an option of another command', ['a', '--drop-older'], 'drop-older'],
])('%s: refused with what is allowed', (_, args, message) => {
  expect(() => scriptRun(args)).toThrow(ConfigError);
  expect(() => scriptRun(args)).toThrow(message);
});

describe.skipIf(!existsSync(recorded))('the recorded workloads (need the workload files)', () => {
  test.each(['stack', 'slot'])(
    '1userWorkLoad.txt with one user comes out exact, pending orders as a %s',
    async (pending) => {
      const { exitCode, result } = await script(
        ...[join(recorded, '1userWorkLoad.txt'), ...byValue, '--pending', pending],
        ...['--expect', join(recorded, 'expected_outcomes.json')],
      );
      expect(result.mismatches).toEqual([]);
      expect(result).toMatchObject({ commands: 100, conserved: true });
      expect(exitCode).toBe(0);
    },
  );
});
