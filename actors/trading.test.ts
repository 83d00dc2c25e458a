import { beforeEach, expect, test } from 'vitest';
import { customerAddress, tickerAddress } from './addresses.ts';
import { decodeImage, encodeImage } from './codec.ts';
import { customer } from './customer.ts';
import { heldMax } from './customer_holds.ts';
import { unitsFor } from './instrument.ts';
import type { AutoReply, OrderFact, SummaryReply } from './schema/trading.ts';
import { checkBooks, sekE5, systemBalance, TestCustomer, tellPrice } from './testing_customers.ts';
import { checkPositions, TestTrader, valueBook } from './testing_trading.ts';
import { TestWorld } from './testing.ts';

let world: TestWorld;
let ada: TestTrader;

/** `compare`: each step is made by XState's public functions too. */
function begin(compare = true) {
  world = new TestWorld({ partitions: 3, compare });
  tellPrice(world);
  ada = new TestTrader(world);
}
beforeEach(() => begin());
const sound = () => {
  checkBooks(world);
  checkPositions(world);
};

test('what is not spent of an amount goes back with the commit, and shares come at the held price', () => {
  ada.does('ADD', '100.00');
  ada.priceE5Sek = 300_000;
  expect(ada.does<OrderFact>('BUY', 'ABC', '10.00')).toEqual({
    order: 'ada-1',
    side: 'buy',
    instrument: 'symbol:ABC',
    state: 'held',
    units: 3,
    priceE5Sek: 300_000,
    amountE5Sek: 1_000_000,
    expiresAt: world.now + 60_000,
  });
  expect(ada.money).toEqual({ available: 9_000_000, pending: 1_000_000, reserved: 0 });
  ada.priceE5Sek = 900_000;
  expect(ada.does<OrderFact>('COMMIT_BUY')).toMatchObject({ state: 'posted', units: 3, amountE5Sek: 900_000 });
  expect(ada.money).toEqual({ available: 9_100_000, pending: 0, reserved: 0 });
  expect(ada.shares('ABC')).toEqual({ available: 3, pending: 0, reserved: 0 });
  expect(systemBalance(world, 'SEK', 'market:ABC')).toBe(900_000);
  expect(systemBalance(world, 'SHARE:ABC', 'market:ABC')).toBe(-3);
  ada.does('SELL', 'ABC', '27.00');
  expect(ada.shares('ABC')).toEqual({ available: 0, pending: 3, reserved: 0 });
  ada.does('COMMIT_SELL');
  expect(ada.money.available).toBe(11_800_000);
  expect(ada.position('symbol:ABC')).toBeUndefined();
  expect(ada.state.positionCount).toBe(0);
  sound();
});

test('the newest pending order of a side is meant, whatever its instrument', () => {
  ada.does('ADD', '100.00');
  ada.does('BUY', 'A', '1.00');
  ada.does('BUY', 'energy:nord-1', '2.00');
  ada.does('BUY', 'B', '3.00');
  expect(ada.does<OrderFact>('COMMIT_BUY')).toMatchObject({ order: 'ada-3', instrument: 'symbol:B' });
  expect(ada.does<OrderFact>('COMMIT_BUY')).toMatchObject({
    ...{ order: 'ada-2', instrument: 'energy:nord-1', state: 'delivering', units: 2_000 },
  });
  expect(ada.does<OrderFact>('CANCEL_BUY')).toMatchObject({ order: 'ada-1', state: 'cancelled' });
  expect(ada.refused('CANCEL_BUY')).toBe('nothing_pending');
  world.advance(3_600_000);
  expect(ada.state.wh.available).toBe(52_000);
  expect(ada.money).toEqual({ available: 9_500_000, pending: 0, reserved: 0 });
  sound();
});

test('a hold can be committed at an age of 60,000 ms and has expired at 60,001, each alone', () => {
  ada.does('ADD', '100.00');
  ada.does('BUY', 'A', '1.00');
  world.advance(30_000);
  ada.does('BUY', 'B', '2.00');
  world.advance(30_000);
  expect(ada.does<OrderFact>('COMMIT_BUY')).toMatchObject({ instrument: 'symbol:B' });
  expect(ada.does<OrderFact>('COMMIT_BUY')).toMatchObject({ instrument: 'symbol:A' });
  ada.does('BUY', 'A', '4.00');
  world.advance(30_000);
  ada.does('BUY', 'B', '5.00');
  world.advance(30_001);
  expect(ada.state.held.map(({ symbol }) => symbol)).toEqual(['B']);
  expect(ada.does<OrderFact>('CANCEL_BUY')).toMatchObject({ instrument: 'symbol:B' });
  expect(ada.refused('COMMIT_BUY')).toBe('expired');
  expect(ada.refused('COMMIT_SELL')).toBe('nothing_pending');
  world.advance(600_000);
  expect(ada.refused('COMMIT_BUY')).toBe('expired');
  world.advance(1);
  expect(ada.refused('COMMIT_BUY')).toBe('nothing_pending');
  expect(ada.money).toEqual({ available: 9_700_000, pending: 0, reserved: 0 });
  expect(ada.log.filter(({ what }) => what === 'system')).toMatchObject([
    { command: 'BUY', txn: 6, instrument: 'symbol:A', amountE5Sek: 400_000, order: { state: 'expired' } },
  ]);
  sound();
});

test('two commits and one pending order: one of them succeeds', () => {
  ada.does('ADD', '10.00');
  ada.does('BUY', 'A', '10.00');
  ada.does('COMMIT_BUY');
  expect(ada.refused('COMMIT_BUY')).toBe('nothing_pending');
  expect(ada.shares('A').available).toBe(10);
  sound();
});

test('in a book with one pending order per side a new one takes the place of the old, if it passes itself', () => {
  const bob = new TestTrader(world, 'run/bob', {
    ...valueBook('slot'),
    denomination: 'units',
    triggers: true,
    feed: '',
  });
  bob.does('ADD', '10.00');
  bob.does('BUY', 'A', '6.00');
  expect(bob.refused('BUY', 'A', '5.00')).toBe('insufficient_funds');
  bob.does('BUY', 'B', '4.00');
  expect(bob.log.at(-1)).toMatchObject({ replaced: 'run/bob-1', order: { order: 'run/bob-2' } });
  expect(bob.money).toEqual({ available: 600_000, pending: 400_000, reserved: 0 });
  world.advance(86_400_000);
  bob.does('COMMIT_BUY');
  expect(bob.refused('COMMIT_BUY')).toBe('nothing_pending');
  bob.does('SELL', 'B', '1.00');
  bob.does('SELL', 'B', '3.00');
  expect(bob.shares('B')).toEqual({ available: 1, pending: 3, reserved: 0 });
  sound();
});

test('who has no account may ask and pay in, and nothing else', () => {
  expect(ada.does('QUOTE', 'A')).toMatchObject({ priceE5Sek: sekE5, ageMs: 0, key: 'a-key' });
  expect(ada.does<SummaryReply>('DISPLAY_SUMMARY')).toMatchObject({ user: 'ada', money: { available: 0 } });
  for (const command of ['COMMIT_BUY', 'CANCEL_SELL'] as const) expect(ada.refused(command)).toBe('unknown_user');
  expect(ada.refused('BUY', 'A', '1.00')).toBe('unknown_user');
  expect(ada.refused('CANCEL_SET_BUY', 'A')).toBe('unknown_user');
  expect(ada.refused('DUMPLOG', 'mine.xml')).toBe('unknown_user');
  expect(world.get(customerAddress('ada'))).toBeUndefined();
  expect(ada.does('ADD', '1.50')).toEqual({ availableE5Sek: 150_000, heldE5Sek: 0, creditLimitE5Sek: 0 });
  expect(ada.state.wh.available).toBe(50_000);
  sound();
});

test('each command has its refusals, and a refused one changes nothing and is told', () => {
  expect(ada.refused('ADD', '0.00')).toBe('bad_amount');
  expect(ada.refused('ADD', '-1.00')).toBe('bad_amount');
  ada.does('ADD', '10.00');
  expect(ada.refused('ADD', '-1.00')).toBe('bad_amount');
  expect(ada.refused('BUY', 'A', '10.01')).toBe('insufficient_funds');
  expect(ada.refused('SELL', 'A', '1.00')).toBe('insufficient_holding');
  ada.priceE5Sek = 200_000;
  expect(ada.refused('BUY', 'A', '1.99')).toBe('amount_too_small');
  expect(ada.refused('SELL', 'A', '1.99')).toBe('amount_too_small');
  expect(ada.refused('SET_BUY_AMOUNT', 'A', '10.01')).toBe('insufficient_funds');
  expect(ada.refused('SET_BUY_AMOUNT', 'energy:elsewhere', '1.00')).toBe('unknown_station');
  expect(ada.refused('SET_BUY_TRIGGER', 'A', '1.00')).toBe('no_amount_set');
  expect(ada.refused('SET_SELL_AMOUNT', 'A', '2.00')).toBe('insufficient_holding');
  expect(ada.refused('SET_SELL_TRIGGER', 'A', '1.00')).toBe('no_amount_set');
  expect(ada.refused('CANCEL_SET_SELL', 'A')).toBe('no_amount_set');
  expect(ada.refused('SELL', 'energy:nord-1', '31.00')).toBe('battery_low');
  expect(ada.refused('BUY', 'energy:elsewhere', '1.00')).toBe('unknown_station');
  expect(ada.log.filter(({ code }) => code !== undefined)).toHaveLength(15);
  sound();
});

test('a symbol is bought at a quote of up to 60,000 ms, and never without one', () => {
  ada.does('ADD', '10.00');
  const buy = (quote: object | null) =>
    world.send(customerAddress('ada'), 'trade.buy', {
      ...{ txn: 9, instrument: 'symbol:A', amountE5Sek: 100_000, slot: null },
      quote: quote && { priceE5Sek: 100_000, user: 'ada', key: 'k', hit: true, ...quote },
    });
  expect(buy({ at: world.now - 60_001 })).toMatchObject({ ok: false, code: 'quote_stale' });
  expect(buy(null)).toMatchObject({ ok: false, code: 'quote_unavailable' });
  expect(buy({ at: world.now - 60_000 })).toMatchObject({ ok: true });
  // What the feed was asked for is in the log, with its key.
  expect(ada.log.at(-1)!.quote).toMatchObject({ at: world.now - 60_000, key: 'k', user: 'ada', priceE5Sek: 100_000 });
});

test('above the cap no energy is bought by amount', () => {
  ada.does('ADD', '10.00');
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 300_000, tier: 'capped' });
  expect(ada.refused('BUY', 'energy:nord-1', '3.00')).toBe('station_capped');
  expect(ada.does<OrderFact>('SELL', 'energy:nord-1', '3.00')).toMatchObject({ units: 1_000, priceE5Sek: 300_000 });
});

test('pending orders are bounded', () => {
  begin(false);
  ada.does('ADD', '1000.00');
  for (let n = 0; n < heldMax; n++) ada.does('BUY', 'A', '1.00');
  expect(ada.refused('BUY', 'A', '1.00')).toBe('too_many_orders');
  ada.does('CANCEL_BUY');
  ada.does('BUY', 'A', '1.00');
  sound();
});

test('units are what a price buys, rounded down, and 0.01 SEK each in a book by value', () => {
  expect(unitsFor(1_000_000, 333_333, 'units')).toBe(3);
  expect(unitsFor(999_998, 333_333, 'units')).toBe(2);
  expect(unitsFor(1_000_000, 77, 'value')).toBe(1_000);
  expect(unitsFor(1_000_000, 150_000, 'units', 1_000)).toBe(6_666);
  expect(unitsFor(100_000_000_000_000, 1, 'units', 1_000)).toBe(100_000_000_000_000_000);
  const bob = new TestTrader(world, 'run/bob', valueBook('stack'));
  bob.does('ADD', '10.00');
  expect(bob.refused('BUY', 'A', '1.00')).toBe('quote_unavailable');
  bob.priceE5Sek = 1_000;
  expect(bob.does<OrderFact>('BUY', 'A', '1.00').units).toBe(100);
});

// --- automatic orders -----------------------------------------------------------------------------------------------------

test('a new amount takes the place of the old one if it is affordable, and clears the trigger', () => {
  ada.does('ADD', '10.00');
  ada.does('SET_BUY_AMOUNT', 'A', '6.00');
  ada.does('SET_BUY_TRIGGER', 'A', '1.00');
  expect(ada.money).toEqual({ available: 400_000, pending: 0, reserved: 600_000 });
  expect(ada.refused('SET_BUY_AMOUNT', 'A', '10.01')).toBe('insufficient_funds');
  expect(ada.does<AutoReply>('SET_BUY_AMOUNT', 'A', '10.00')).toMatchObject({
    reserved: 1_000_000,
    triggerE5Sek: null,
  });
  ada.tick('A', 50_000);
  expect(ada.money).toEqual({ available: 0, pending: 0, reserved: 1_000_000 });
  ada.does('CANCEL_SET_BUY', 'A');
  expect(ada.money).toEqual({ available: 1_000_000, pending: 0, reserved: 0 });
  expect(ada.position('symbol:A')).toBeUndefined();
  sound();
});

test('a buy fires once when the feed comes to its price or below, at the price that came; the rest goes back', () => {
  ada.does('ADD', '10.00');
  ada.does('SET_BUY_AMOUNT', 'A', '10.00');
  ada.does('SET_BUY_TRIGGER', 'A', '3.00');
  ada.tick('A', 300_001);
  expect(ada.shares('A').available).toBe(0);
  ada.priceE5Sek = 1;
  ada.does('QUOTE', 'A');
  expect(ada.shares('A').available).toBe(0);
  world.advance(1);
  ada.tick('A', 270_000);
  expect(ada.shares('A')).toEqual({ available: 3, pending: 0, reserved: 0 });
  expect(ada.money).toEqual({ available: 190_000, pending: 0, reserved: 0 });
  world.advance(1);
  ada.tick('A', 100_000);
  expect(ada.shares('A').available).toBe(3);
  expect(ada.refused('CANCEL_SET_BUY', 'A')).toBe('no_amount_set');
  expect(ada.log.filter(({ what }) => what === 'system')).toMatchObject([
    { command: 'SET_BUY_TRIGGER', txn: 3, amountE5Sek: 1_000_000, order: { units: 3, amountE5Sek: 810_000 } },
  ]);
  sound();
});

test('a sell sets aside what its amount is at the trigger, follows a new trigger, and fires at the better price', () => {
  ada.does('ADD', '10.00');
  ada.does('BUY', 'A', '10.00');
  ada.does('COMMIT_BUY');
  ada.does('SET_SELL_AMOUNT', 'A', '10.00');
  expect(ada.refused('SET_SELL_TRIGGER', 'A', '10.01')).toBe('insufficient_holding');
  expect(ada.refused('SET_SELL_TRIGGER', 'A', '0.90')).toBe('insufficient_holding');
  ada.does('SET_SELL_TRIGGER', 'A', '5.00');
  expect(ada.shares('A')).toEqual({ available: 8, pending: 0, reserved: 2 });
  ada.does('SET_SELL_TRIGGER', 'A', '2.00');
  expect(ada.shares('A')).toEqual({ available: 5, pending: 0, reserved: 5 });
  ada.tick('A', 199_999);
  world.advance(1);
  ada.tick('A', 250_000);
  expect(ada.shares('A')).toEqual({ available: 5, pending: 0, reserved: 0 });
  expect(ada.money.available).toBe(1_250_000);
  ada.does('SET_SELL_AMOUNT', 'A', '5.00');
  ada.does('SET_SELL_TRIGGER', 'A', '2.00');
  ada.does('CANCEL_SET_SELL', 'A');
  expect(ada.shares('A')).toEqual({ available: 5, pending: 0, reserved: 0 });
  sound();
});

test('a cancelled trigger never fires and a fired one cannot be cancelled, however often they race', () => {
  begin(false);
  ada.does('ADD', '1000000.00');
  let fired = 0;
  for (let n = 0; n < 1_000; n++) {
    ada.does('SET_BUY_AMOUNT', 'A', '1.00');
    ada.does('SET_BUY_TRIGGER', 'A', '1.00');
    world.advance(1);
    const isFirst = (n * 7_919) % 3 === 0;
    if (isFirst) ada.tick('A', sekE5);
    const cancelled = ada.send('CANCEL_SET_BUY', 'A').ok;
    if (!isFirst) ada.tick('A', sekE5);
    fired += isFirst ? 1 : 0;
    expect([cancelled, ada.shares('A').available]).toEqual([!isFirst, fired]);
  }
  expect(ada.log.filter(({ what }) => what === 'system')).toHaveLength(fired);
  sound();
});

test('triggers fire in the order in which they were armed, all of them, also when they are many', () => {
  begin(false);
  const traders = Array.from({ length: 300 }, (_, n) => new TestTrader(world, `t${n}`));
  for (const trader of traders) {
    trader.does('ADD', '1.00');
    trader.does('SET_BUY_AMOUNT', 'A', '1.00');
    trader.does('SET_BUY_TRIGGER', 'A', '1.00');
    world.advance(1);
  }
  ada.tick('A', 50_000);
  world.advance(1);
  for (const trader of traders) expect(trader.shares('A').available).toBe(2);
  for (const partition of world.partitions) {
    const here = traders.filter(({ id }) => world.partitionOf(id) === partition).map(({ id }) => id);
    const fired = world
      .payloads('trade_log')
      .flatMap(({ what, customer }) => (what === 'system' && here.includes(customer) ? [customer] : []));
    expect(fired).toEqual(here);
  }
  sound();
});

test('only the feed of its book fires a trigger, and none where triggers are off', () => {
  const rules = { ...valueBook('stack'), denomination: 'units' as const };
  const [walk, off] = [{ ...rules, triggers: true, feed: 'walk:7' }, rules];
  const traders = [walk, off].map((book, n) => new TestTrader(world, `run${n}/bob`, book));
  for (const trader of traders) {
    trader.does('ADD', '1.00');
    trader.does('SET_BUY_AMOUNT', 'A', '1.00');
    trader.does('SET_BUY_TRIGGER', 'A', '1.00');
  }
  ada.tick('A', 1_000);
  ada.tick('A', 1_000, rules.feed);
  expect(traders.map((trader) => trader.shares('A').available)).toEqual([0, 0]);
  ada.tick('A', 100_000, 'walk:7');
  expect(traders.map((trader) => trader.shares('A').available)).toEqual([1, 0]);
  sound();
});

test('a fired energy trigger is an order that is delivered, at the price of the slot', () => {
  ada.does('ADD', '10.00');
  ada.does('SET_BUY_AMOUNT', 'energy:nord-1', '10.00');
  ada.does('SET_BUY_TRIGGER', 'energy:nord-1', '0.80');
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 80_001 });
  expect(ada.state.orders).toEqual([]);
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 75_000 });
  expect(ada.state.orders).toMatchObject([{ state: 'delivering', energyWh: 13_333, priceE5SekPerKwh: 75_000 }]);
  expect(ada.money).toEqual({ available: 25, pending: 999_975, reserved: 0 });
  sound();
  world.advance(2 * 3_600_000);
  expect(ada.money).toEqual({ available: 25, pending: 0, reserved: 0 });
  expect(ada.state.wh.available).toBe(63_333);
  expect(new TestCustomer(world).trades.map(({ state }) => state)).toEqual(['delivering', 'completed']);
  sound();
});

test('energy that waits to be sold is set aside above the floor, and leaves the battery when the price has come', () => {
  ada.does('ADD', '0.01');
  ada.does('SET_SELL_AMOUNT', 'energy:nord-1', '30.00');
  expect(ada.refused('SET_SELL_TRIGGER', 'energy:nord-1', '0.99')).toBe('insufficient_holding');
  ada.does('SET_SELL_TRIGGER', 'energy:nord-1', '3.00');
  expect(ada.state).toMatchObject({ wh: { available: 40_000 }, reservedWh: 10_000 });
  expect(ada.refused('SELL', 'energy:nord-1', '20.01')).toBe('battery_low');
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 300_000, tier: 'capped' });
  expect(ada.state).toMatchObject({ wh: { available: 40_000, pending: 10_000 }, reservedWh: 0 });
  world.advance(3_600_000);
  expect(ada.money.available).toBe(3_001_000);
  expect(ada.state.wh.available).toBe(40_000);
  sound();
});

test('a buy of energy waits while the station is capped or the battery is full, and fires later', () => {
  const before = new TestCustomer(world);
  before.deposit(100);
  before.buy(50_000);
  ada.does('SET_BUY_AMOUNT', 'energy:nord-1', '10.00');
  ada.does('SET_BUY_TRIGGER', 'energy:nord-1', '3.00');
  const orders = () => ada.state.orders.map(({ energyWh, state }) => `${state} ${energyWh}`);
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 100_000 });
  expect(orders()).toEqual(['held 50000']);
  before.cancel('buy');
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 300_000, tier: 'capped' });
  expect(orders()).toEqual([]);
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 100_000 });
  expect(orders()).toEqual(['delivering 10000']);
  sound();
});

// --- what is told ---------------------------------------------------------------------------------------------------------

test('a summary is one state: money, holdings with their newest price, pending orders newest first, reserves, triggers', () => {
  ada.does('ADD', '100.00');
  ada.does('BUY', 'A', '10.00');
  ada.does('COMMIT_BUY');
  ada.tick('A', 123_456);
  ada.does('BUY', 'B', '1.00');
  ada.does('SELL', 'A', '2.00');
  ada.does('SET_BUY_AMOUNT', 'C', '5.00');
  ada.does('SET_BUY_TRIGGER', 'C', '0.50');
  ada.does('SET_SELL_AMOUNT', 'A', '4.00');
  ada.does('BUY', 'energy:nord-1', '3.00');
  ada.does('COMMIT_BUY');
  expect(ada.does<SummaryReply>('DISPLAY_SUMMARY')).toEqual({
    user: 'ada',
    asOf: world.now,
    money: { available: 8_100_000, pending: 400_000, reserved: 500_000 },
    holdings: [{ instrument: 'symbol:A', available: 8, pending: 2, reserved: 0, mark: 123_456 }],
    battery: { wh: 50_000, bp: 5_000, floorBp: 2_000 },
    pending: [
      expect.objectContaining({ side: 'sell', instrument: 'symbol:A', units: 2, expiresAt: world.now + 60_000 }),
      expect.objectContaining({ side: 'buy', instrument: 'symbol:B', amountE5Sek: 100_000 }),
    ],
    reserves: [
      { side: 'sell', instrument: 'symbol:A', amountE5Sek: 400_000, reserved: 0 },
      { side: 'buy', instrument: 'symbol:C', amountE5Sek: 500_000, reserved: 500_000 },
    ],
    triggers: [{ side: 'buy', instrument: 'symbol:C', amountE5Sek: 500_000, priceE5Sek: 50_000, armedAt: world.now }],
    deliveries: [expect.objectContaining({ side: 'buy', instrument: 'energy:nord-1', energyWh: 3_000 })],
  });
});

test('the log has each command, and its postings by their batch: what was added and removed is what is available', () => {
  ada.does('ADD', '100.00');
  ada.does('BUY', 'A', '10.00');
  ada.does('COMMIT_BUY');
  ada.refused('CANCEL_BUY');
  ada.does('SET_BUY_AMOUNT', 'A', '10.00');
  ada.does('SET_BUY_TRIGGER', 'A', '2.00');
  ada.does('BUY', 'B', '3.00');
  world.advance(60_001);
  ada.tick('A', 150_000);
  expect(
    ada.log.map(({ what, txn, command, code, order }) => [what, txn, command, code, order?.state].join(' ')),
  ).toEqual([
    'command 1 ADD  ',
    'command 2 BUY  held',
    'command 3 COMMIT_BUY  posted',
    'command 4 CANCEL_BUY nothing_pending ',
    'command 5 SET_BUY_AMOUNT  ',
    'command 6 SET_BUY_TRIGGER  ',
    'command 7 BUY  held',
    'system 7 BUY  expired',
    'system 6 SET_BUY_TRIGGER  posted',
  ]);
  const byBatch = new Map(ada.log.map((fact) => [fact.batch, fact]));
  let available = 0;
  for (const { batch, legs } of world.payloads('ledger')) {
    const leg = legs.find(({ ledger, account }) => ledger === 'SEK' && account === 'customer:ada:available');
    available += leg?.amount ?? 0;
    if (leg) expect(byBatch.has(batch)).toBe(true);
  }
  expect(available).toBe(ada.money.available);
  // The fact comes before its postings.
  const kinds = world.events.map(({ kind, payload }) => (kind === 'ledger' ? payload.batch : kind));
  expect(kinds.indexOf('ada:3')).toBeGreaterThan(kinds.indexOf('trade_log', kinds.indexOf('ada:2')));
});

test('a customer of version 1 trades on: its image holds the fields of that time', () => {
  ada.does('ADD', '10.00');
  const image = encodeImage(customer, 'open', ada.state);
  const version1 = image.slice(0, image.length - 8);
  expect(decodeImage(customer, version1, 1)).toEqual({ value: 'open', context: ada.state });
});

test('a quote of a feed whose clock is ahead does not shut out the ones after it', () => {
  ada.does('ADD', '1.00');
  ada.does('SET_BUY_AMOUNT', 'A', '1.00');
  ada.does('SET_BUY_TRIGGER', 'A', '0.50');
  const quote = (priceE5Sek: number, at: number) =>
    world.send(tickerAddress('', 'A'), 'ticker.quote', { feed: '', symbol: 'A', priceE5Sek, at });
  expect(quote(90_000, world.now + 3_600_000)).toMatchObject({ ok: true, value: { at: world.now } });
  expect(quote(50_000, world.now - 1)).toMatchObject({ ok: true, value: { at: world.now } });
  expect(quote(50_000, world.now - 60_001)).toMatchObject({ ok: false, code: 'quote_stale' });
  expect(ada.shares('A').available).toBe(0);
  world.advance(1);
  quote(50_000, world.now);
  expect(ada.shares('A').available).toBe(2);
});
