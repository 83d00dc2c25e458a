import { beforeEach, expect, test } from 'vitest';
import { checkBooks, sekE5, systemBalance, TestCustomer, tellPrice } from './testing_customers.ts';
import { TestWorld } from './testing.ts';

let world: TestWorld;
let ada: TestCustomer;

beforeEach(() => {
  world = new TestWorld({ partitions: 3, compare: true });
  tellPrice(world);
  ada = new TestCustomer(world);
});

test('a new customer has no money and a battery of 100 kWh that is half full', () => {
  expect(ada.sek).toEqual({ available: 0, pending: 0 });
  expect(ada.energyWh).toBe(50_000);
  expect(ada.state.capacityWh).toBe(100_000);
  expect(systemBalance(world, 'Wh', 'opening')).toBe(-50_000);
  ada.ask('customer.open', { name: 'somebody else' });
  expect(ada.state.name).toBe('ada');
  checkBooks(world);
});

test('what is paid in can be taken out, to the last unit and no further', () => {
  expect(ada.deposit(100)).toEqual({ availableE5Sek: 10_000_000, heldE5Sek: 0, creditLimitE5Sek: 0 });
  ada.ask('customer.credit', { limitE5Sek: 5 * sekE5 });
  expect(ada.refused('customer.withdraw', { amountE5Sek: 10_000_001 })).toBe('insufficient_funds');
  ada.ask('customer.withdraw', { amountE5Sek: 10_000_000 });
  expect(ada.sek.available).toBe(0);
  expect(systemBalance(world, 'SEK', 'deposits')).toBe(0);
  checkBooks(world);
});

test('a deposit beyond what an integer sum can hold is refused', () => {
  for (let n = 0; n < 80; n++) ada.deposit(1_000_000_000);
  expect(ada.refused('customer.deposit', { amountE5Sek: 1 })).toBe('bad_amount');
  checkBooks(world);
});

test.each([
  ['customer.deposit', { amountE5Sek: 0 }],
  ['customer.deposit', { amountE5Sek: -1 }],
  ['customer.deposit', { amountE5Sek: 1.5 }],
  ['customer.deposit', { amountE5Sek: Number.NaN }],
  ['customer.deposit', { amountE5Sek: 100_000_000_000_001 }],
  ['customer.withdraw', { amountE5Sek: 0 }],
  ['customer.credit', { limitE5Sek: -1 }],
  ['order.buy', { station: 'nord-1', slot: null, energyWh: 0 }],
  ['order.buy', { station: 'nord-1', slot: null, energyWh: -1 }],
  ['order.sell', { station: 'nord-1', slot: -1, energyWh: 1 }],
  ['order.commit', { side: 'both', order: null }],
])('%s %j is malformed and changes nothing', (type, body) => {
  ada.deposit(100);
  expect(ada.refused(type, body)).toBe('bad_request');
});

test('one hold expires, one is cancelled, one is committed; the balance is right to the unit at each step', () => {
  ada.deposit(100);
  const first = ada.buy(10_000);
  expect(first).toMatchObject({ order: 'ada-1', priceE5SekPerKwh: 100_000, amountE5Sek: 1_000_000 });
  expect(ada.sek).toEqual({ available: 9_000_000, pending: 1_000_000 });
  world.advance(60_001);
  expect(ada.sek).toEqual({ available: 10_000_000, pending: 0 });

  tellPrice(world);
  ada.buy(20_000);
  expect(ada.cancel('buy')).toMatchObject({ order: 'ada-2', state: 'cancelled' });
  expect(ada.sek).toEqual({ available: 10_000_000, pending: 0 });

  ada.buy(10_000);
  expect(ada.commit('buy')).toMatchObject({ order: 'ada-3', state: 'delivering', deliveredWh: 0 });
  expect(ada.sek).toEqual({ available: 9_000_000, pending: 1_000_000 });
  world.advance(3_600_000);
  expect(ada.sek).toEqual({ available: 9_000_000, pending: 0 });
  expect(ada.energyWh).toBe(60_000);
  expect(ada.state.orders).toEqual([]);
  expect(ada.trades.map(({ order, state }) => `${order} ${state}`)).toEqual([
    'ada-1 held',
    'ada-1 expired',
    'ada-2 held',
    'ada-2 cancelled',
    'ada-3 held',
    'ada-3 delivering',
    'ada-3 completed',
  ]);
  expect(systemBalance(world, 'SEK', 'revenue')).toBe(1_000_000);
  checkBooks(world);
});

test('10 kWh bought at ×1 and sold at ×3: 100 − 10 + 30 SEK', () => {
  ada.deposit(100);
  ada.buy(10_000);
  ada.commit('buy');
  world.advance(3_600_000);
  tellPrice(world, { priceE5SekPerKwh: 300_000, tier: 'triple' });
  expect(ada.sell(10_000)).toMatchObject({ amountE5Sek: 3_000_000 });
  expect(ada.state.wh).toEqual({ available: 50_000, pending: 10_000 });
  ada.commit('sell');
  world.advance(3_600_000);
  expect(ada.sek).toEqual({ available: 12_000_000, pending: 0 });
  expect(ada.energyWh).toBe(50_000);
  checkBooks(world);
});

test('a hold is valid at an age of 60,000 ms and has expired at 60,001', () => {
  ada.deposit(100);
  const { expiresAt } = ada.buy(1_000);
  expect(expiresAt).toBe(world.now + 60_000);
  world.advance(60_000);
  expect(ada.commit('buy').state).toBe('delivering');

  tellPrice(world);
  ada.buy(1_000);
  world.advance(60_001);
  expect(ada.refused('order.commit', { side: 'buy', order: null })).toBe('nothing_pending');
  expect(ada.refused('order.commit', { side: 'buy', order: 'ada-2' })).toBe('order_ended');
  checkBooks(world);
});

test('each hold expires alone', () => {
  ada.deposit(100);
  ada.buy(1_000);
  world.advance(20_000);
  tellPrice(world);
  ada.buy(2_000);
  world.advance(40_001);
  expect(ada.state.orders.map(({ order }) => order)).toEqual(['ada-2']);
  world.advance(20_000);
  expect(ada.state.orders).toEqual([]);
  expect(ada.sek).toEqual({ available: 10_000_000, pending: 0 });
});

test('the newest hold of the side is meant, or the one that is named', () => {
  ada.deposit(100);
  for (const wh of [1_000, 2_000, 3_000]) ada.buy(wh);
  ada.sell(500);
  expect(ada.commit('buy').order).toBe('ada-3');
  expect(ada.cancel('buy', 'ada-1').order).toBe('ada-1');
  expect(ada.commit('buy').order).toBe('ada-2');
  expect(ada.refused('order.commit', { side: 'buy', order: null })).toBe('nothing_pending');
  expect(ada.refused('order.cancel', { side: 'buy', order: 'ada-3' })).toBe('nothing_pending');
  expect(ada.refused('order.cancel', { side: 'buy', order: 'ada-1' })).toBe('order_ended');
  expect(ada.refused('order.cancel', { side: 'buy', order: 'ada-4' })).toBe('unknown_order');
  expect(ada.refused('order.commit', { side: 'sell', order: 'ada-9' })).toBe('unknown_order');
  expect(ada.refused('order.stop', { order: 'bob-1' })).toBe('unknown_order');
});

test('the newest slot is taken, the one before it for 3 s, none older than 24 s', () => {
  ada.deposit(100);
  const old = ada.quote().slot;
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 200_000, tier: 'double' });
  expect(ada.quote()).toMatchObject({ slot: old + 1, buyE5SekPerKwh: 200_000, sellE5SekPerKwh: 200_000 });
  world.advance(3_000);
  expect(ada.buy(1_000, 'nord-1', old).priceE5SekPerKwh).toBe(100_000);
  expect(ada.buy(1_000, 'nord-1', old + 1).priceE5SekPerKwh).toBe(200_000);
  world.advance(1);
  expect(ada.refused('order.buy', { station: 'nord-1', slot: old, energyWh: 1 })).toBe('price_moved');
  expect(ada.refused('order.buy', { station: 'nord-1', slot: old + 2, energyWh: 1 })).toBe('price_moved');
  world.advanceTo((old + 3) * 12_000);
  expect(ada.quote().slot).toBe(old + 1);
  world.advance(1);
  expect(ada.refused('order.quote', { station: 'nord-1' })).toBe('quote_stale');
  expect(ada.refused('order.sell', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('quote_stale');
  expect(ada.refused('order.quote', { station: 'elsewhere' })).toBe('unknown_station');
});

test('above the cap nothing is bought, not at the price before it either, but sold', () => {
  ada.deposit(100);
  const before = ada.quote().slot;
  world.advance(12_000);
  tellPrice(world, { priceE5SekPerKwh: 300_000, tier: 'capped' });
  for (const slot of [null, before])
    expect(ada.refused('order.buy', { station: 'nord-1', slot, energyWh: 1 })).toBe('station_capped');
  expect(ada.sell(1_000).amountE5Sek).toBe(300_000);
});

test('the last öre may be spent, one unit more may not', () => {
  ada.ask('customer.deposit', { amountE5Sek: 100_000 });
  expect(ada.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 1_001 })).toBe('insufficient_funds');
  ada.buy(1_000);
  expect(ada.sek).toEqual({ available: 0, pending: 100_000 });
  ada.ask('customer.credit', { limitE5Sek: 50_000 });
  expect(ada.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 501 })).toBe('insufficient_funds');
  ada.buy(500);
  ada.ask('customer.credit', { limitE5Sek: 0 });
  expect(ada.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('credit_used_up');
  checkBooks(world);
});

test('open buys take room in the battery, open sells take energy above its floor of 20 %', () => {
  ada.deposit(1_000);
  ada.buy(30_000);
  ada.buy(20_000);
  expect(ada.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('battery_full');
  ada.sell(30_000);
  expect(ada.refused('order.sell', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('battery_low');
  ada.cancel('buy');
  ada.buy(20_000);
});

test('32 orders may be open', () => {
  ada.deposit(1_000);
  for (let n = 0; n < 32; n++) ada.buy(1_000);
  expect(ada.refused('order.sell', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('too_many_orders');
  ada.cancel('buy');
  ada.sell(1);
  checkBooks(world);
});

test('a price below zero turns the money round and keeps every book', () => {
  ada.deposit(1);
  world.advance(12_000);
  tellPrice(world, { station: 'syd-1', priceE5SekPerKwh: -50_000 });
  ada.buy(1_000, 'syd-1');
  expect(ada.sek).toEqual({ available: 100_000, pending: 0 });
  ada.sell(2_000, 'syd-1');
  expect(ada.sek).toEqual({ available: 0, pending: 100_000 });
  expect(ada.refused('order.sell', { station: 'syd-1', slot: null, energyWh: 1 })).toBe('insufficient_funds');
  ada.commit('buy');
  ada.commit('sell');
  world.advance(3_600_000);
  expect(ada.sek).toEqual({ available: 50_000, pending: 0 });
  checkBooks(world);
});

test('two customers of one partition share no money and no battery', () => {
  const bob = new TestCustomer(world, 'bob');
  const before = bob.state;
  ada.deposit(100);
  ada.buy(10_000);
  ada.commit('buy');
  world.advance(3_600_000);
  expect(bob.state).toEqual(before);
  expect(bob.trades).toEqual([]);
});
