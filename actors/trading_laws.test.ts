import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DomainIndex } from './domain_index.ts';
import type { BookRules, PositionState, WatchState } from './schema/trading.ts';
import { checkBooks, sekE5, tellPrice } from './testing_customers.ts';
import { checkPositions, positionsIn, TestTrader, valueBook } from './testing_trading.ts';
import { TestWorld } from './testing.ts';
import type { CommandName } from './trade_log.ts';

/** Of a book each, so that all rules are played: by units and by value, a stack and one per side, with and without an end. */
const books: Record<string, BookRules | undefined> = {
  ada: undefined,
  'b/bob': { ...valueBook('slot'), denomination: 'units', holdTimeoutMs: 30_000, triggers: true, feed: '' },
  'v/eve': valueBook('stack'),
};
const traders = Object.keys(books);
const instruments = ['A', 'A', 'B', 'energy:nord-1'] as const;

type Deed =
  | { trader: string; command: CommandName; args: string[]; priceE5Sek: number }
  | { tick: 'A' | 'B'; priceE5Sek: number }
  | { slotE5SekPerKwh: number; capped: boolean }
  | { advanceMs: number }
  | { relays: number };

const trader = fc.constantFrom('ada', 'ada', 'ada', 'b/bob', 'b/bob', 'v/eve');
const instrument = fc.constantFrom(...instruments);
const amount = fc.oneof(
  fc.integer({ min: 1, max: 5_000 }).map((cents) => (cents / 100).toFixed(2)),
  fc.constantFrom('0.01', '1.00', '10.00', '99999.99'),
);
const price = fc.oneof(fc.constantFrom('0.50', '1.00', '2.00', '3.00'), amount);
const quoted = fc.constantFrom(50_000, 100_000, 133_333, 200_000, 300_000);
const does = (command: CommandName, ...args: fc.Arbitrary<string>[]): fc.Arbitrary<Deed> =>
  fc.record({ trader, command: fc.constant(command), args: fc.tuple(...args), priceE5Sek: quoted });

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: does('ADD', amount) },
  { weight: 8, arbitrary: does('BUY', instrument, amount) },
  { weight: 8, arbitrary: does('COMMIT_BUY') },
  { weight: 3, arbitrary: does('CANCEL_BUY') },
  { weight: 6, arbitrary: does('SELL', instrument, amount) },
  { weight: 5, arbitrary: does('COMMIT_SELL') },
  { weight: 2, arbitrary: does('CANCEL_SELL') },
  { weight: 4, arbitrary: does('SET_BUY_AMOUNT', instrument, amount) },
  { weight: 5, arbitrary: does('SET_BUY_TRIGGER', instrument, price) },
  { weight: 2, arbitrary: does('CANCEL_SET_BUY', instrument) },
  { weight: 4, arbitrary: does('SET_SELL_AMOUNT', instrument, amount) },
  { weight: 5, arbitrary: does('SET_SELL_TRIGGER', instrument, price) },
  { weight: 2, arbitrary: does('CANCEL_SET_SELL', instrument) },
  { weight: 1, arbitrary: does('QUOTE', instrument) },
  { weight: 1, arbitrary: does('DISPLAY_SUMMARY') },
  { weight: 6, arbitrary: fc.record({ tick: fc.constantFrom('A', 'B'), priceE5Sek: quoted }) },
  {
    weight: 3,
    arbitrary: fc.record({ slotE5SekPerKwh: fc.constantFrom(-20_000, 50_000, 100_000, 300_000), capped: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ advanceMs: fc.constantFrom(1, 12_000, 30_001, 60_000, 60_001, 3_600_000) }) },
  { weight: 3, arbitrary: fc.record({ relays: fc.integer({ min: 1, max: 6 }) }) },
);
const deeds = fc.array(deed, { minLength: 20, maxLength: 120, size: 'max' });

class Play {
  readonly world = new TestWorld({ partitions: 3 });
  readonly #traders = new Map(traders.map((id) => [id, new TestTrader(this.world, id, books[id])]));

  constructor() {
    tellPrice(this.world);
    this.of('ada').does('ADD', '100.00');
    this.of('b/bob').does('ADD', '20.00');
    this.of('v/eve').does('ADD', '5.00');
  }
  of(id: string): TestTrader {
    return this.#traders.get(id)!;
  }

  perform(deed: Deed) {
    const { world } = this;
    if ('advanceMs' in deed) world.advance(deed.advanceMs);
    else if ('relays' in deed) world.deliverRelays(deed.relays);
    else if ('tick' in deed) this.of('ada').tick(deed.tick, deed.priceE5Sek);
    else if ('slotE5SekPerKwh' in deed)
      tellPrice(world, { priceE5SekPerKwh: deed.slotE5SekPerKwh, tier: deed.capped ? 'capped' : 'normal' });
    else {
      const one = this.of(deed.trader);
      one.priceE5Sek = deed.trader === 'v/eve' ? 1_000 : deed.priceE5Sek;
      one.send(deed.command, ...deed.args);
    }
  }
}

/** Every balance again from the events alone, and what came in is what is there, was spent, or was earned. */
function checkHistory(play: Play) {
  const sums = new Map<string, number>();
  const of = (name: string) => sums.get(name) ?? 0;
  const flows = new Map<string, number>();
  for (const { customer, legs } of play.world.payloads('ledger')) {
    if (customer === null) continue;
    for (const { ledger, account, amount, balance } of legs) {
      if (!account.startsWith(`customer:${customer}:`)) {
        if (ledger === 'SEK') flows.set(`${customer}|${account}`, (flows.get(`${customer}|${account}`) ?? 0) + amount);
        continue;
      }
      const name = `${ledger}|${account}`;
      sums.set(name, of(name) + amount);
      if (balance !== of(name)) throw new Error(`${name}: ${balance} told, ${of(name)} by its legs`);
    }
  }
  for (const id of traders) {
    const owned = (ledger: string) => {
      const [available, pending, reserved] = ['available', 'pending', 'reserved'].map((account) =>
        of(`${ledger}|customer:${id}:${account}`),
      );
      return { available, pending, reserved };
    };
    const one = play.of(id);
    expect(owned('SEK')).toEqual(one.money);
    for (const symbol of ['A', 'B']) expect(owned(`SHARE:${symbol}`)).toEqual(one.shares(symbol));
    const { available, pending, reserved } = one.money;
    const paid = [...flows].filter(([name]) => name.startsWith(`${id}|`) && !name.endsWith('|deposits'));
    const spent = paid.reduce((sum, [, amount]) => sum + amount, 0);
    expect(available + pending + reserved + spent).toBe(-(flows.get(`${id}|deposits`) ?? 0));
  }
}

/** The index of a restarted process says the same as the one that was told of every change. */
function checkIndex({ world }: Play) {
  for (const partition of world.partitions) {
    const anew = new DomainIndex();
    for (const position of positionsIn(partition)) {
      const { customer, instrument } = position;
      const stored = { value: null, context: position };
      anew.changed('position', `${customer}/${instrument}`, undefined, stored);
    }
    const live = (partition.index as DomainIndex).triggers;
    for (const instrument of ['symbol:A', 'symbol:B', 'energy:nord-1'])
      for (const price of [1, 50_000, 133_333, 200_000, 900_000]) {
        expect(live.due('', instrument, price, price)).toEqual(anew.triggers.due('', instrument, price, price));
        expect(live.anyDue('', instrument, price, price)).toBe(anew.triggers.anyDue('', instrument, price, price));
      }
    for (const id of traders) expect(live.positionsOf(id)).toEqual(anew.triggers.positionsOf(id));
  }
}

/** No trigger is left that the price of its symbol fires, once everybody has heard of it; those armed since wait for the next. */
function checkFired({ world }: Play, symbol: string) {
  for (const partition of world.partitions)
    for (const { instrument, buyE5Sek } of partition.all<WatchState>('watch'))
      for (const { feed, buy, sell, ...position } of positionsIn(partition)) {
        if (feed !== '' || position.instrument !== instrument || instrument !== `symbol:${symbol}`) continue;
        const armedBefore = (auto: PositionState['buy']) => auto?.trigger && auto.trigger.armedAt < world.now;
        if (armedBefore(buy)) expect(buy!.trigger!.priceE5Sek).toBeLessThan(buyE5Sek);
        if (armedBefore(sell)) expect(sell!.trigger!.priceE5Sek).toBeGreaterThan(buyE5Sek);
      }
}

test('whatever traders do, whatever prices do: every book and every position adds up after every step', () => {
  fc.assert(
    fc.property(deeds, fc.boolean(), (plan, relaysWait) => {
      const play = new Play();
      play.world.relaysWait = relaysWait;
      for (const what of plan) {
        play.perform(what);
        checkBooks(play.world);
        checkPositions(play.world);
      }
      checkHistory(play);
      checkIndex(play);
      // In the end no hold is left but those that never expire, and what was under way has arrived.
      play.world.relaysWait = false;
      play.world.deliverRelays();
      play.world.advance(3_600_000);
      for (const id of ['ada', 'b/bob']) expect(play.of(id).state.held).toEqual([]);
      checkBooks(play.world);
      checkPositions(play.world);
      checkHistory(play);
    }),
    { numRuns: 25 },
  );
}, 120_000);

test('a price fires every trigger that it reaches, and cancelled or fired ones never again', () => {
  fc.assert(
    fc.property(deeds, (plan) => {
      const play = new Play();
      for (const what of plan) {
        play.perform(what);
        if ('tick' in what) {
          play.world.advance(1);
          play.perform({ ...what });
          checkFired(play, what.tick);
        }
      }
      // Each that fired was armed by a command of its own.
      for (const id of traders) {
        const log = play.of(id).log;
        const armed = log.filter(
          ({ command, what, code }) => what === 'command' && code === undefined && isTrigger(command),
        );
        const fired = log.filter(({ command, what }) => what === 'system' && isTrigger(command));
        const numbers = fired.map(({ txn }) => txn);
        expect(new Set(numbers).size).toBe(numbers.length);
        for (const txn of numbers) expect(armed.some((command) => command.txn === txn)).toBe(true);
      }
    }),
    { numRuns: 15 },
  );
}, 120_000);
const isTrigger = (command: CommandName) => command === 'SET_BUY_TRIGGER' || command === 'SET_SELL_TRIGGER';

test('traders do not disturb each other: played alone, each ends with what it has among others', () => {
  fc.assert(
    fc.property(deeds, (plan) => {
      const together = new Play();
      for (const what of plan) together.perform(what);
      for (const id of traders) {
        const alone = new Play();
        for (const what of plan) if (!('trader' in what) || what.trader === id) alone.perform(what);
        expect(alone.of(id).state).toEqual(together.of(id).state);
        for (const symbol of ['A', 'B']) expect(alone.of(id).shares(symbol)).toEqual(together.of(id).shares(symbol));
      }
    }),
    { numRuns: 10 },
  );
}, 120_000);

test('an order is worth its amount at most: no commit leaves money below what was there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (cents, priceE5Sek) => {
        const world = new TestWorld();
        const ada = new TestTrader(world);
        ada.priceE5Sek = priceE5Sek;
        const text = (cents / 100).toFixed(2);
        ada.does('ADD', text);
        const bought = ada.send('BUY', 'A', text);
        if (!bought.ok) {
          expect(cents * 1_000).toBeLessThan(priceE5Sek);
          return;
        }
        ada.does('COMMIT_BUY');
        const { available } = ada.shares('A');
        expect(ada.money.available + available * priceE5Sek).toBe(cents * (sekE5 / 100));
        expect(ada.money.available).toBeLessThan(priceE5Sek);
      },
    ),
    { numRuns: 100 },
  );
});
