import { expect, test } from 'vitest';
import { boardAddress } from './addresses.ts';
import { boardOf, priceInForce } from './board.ts';
import type { BoardPrice, BoardState } from './schema/customer_entities.ts';
import { checkBooks, TestCustomer } from './testing_customers.ts';
import { demoSite, TestWorld } from './testing.ts';

const slotMs = 12_000;
const price = (station: string, priceE5SekPerKwh: number, slot = 10): BoardPrice => ({
  station,
  site: 'demo',
  slot,
  priceE5SekPerKwh,
  tier: 'normal',
  importOpen: true,
});

function board() {
  const world = new TestWorld({ now: 10 * slotMs });
  const partition = world.partitions[0]!;
  const hear = (slot: number, changed: BoardPrice[], source = 3) =>
    world.ask(boardAddress(0, source), 'board.slot', { slot, changed });
  const state = (source = 3) => world.get<BoardState>(boardAddress(0, source))!.context;
  const at = (station: string, slot: number | null) =>
    priceInForce(boardOf(partition, station), station, slot, world.now);
  return { world, partition, hear, state, at };
}

test('a board keeps the newest prices and what they were one slot before', () => {
  const { world, hear, state, at } = board();
  hear(10, [price('b', 1), price('a', 2)]);
  world.advance(slotMs + 50);
  hear(11, [price('a', 5, 11)]);
  expect(state()).toEqual({
    slot: 11,
    arrivedAt: 11 * slotMs + 50,
    previousSlot: 10,
    prices: [price('a', 5, 11), price('b', 1)],
    previous: [price('a', 2)],
  });
  expect(at('a', null)).toMatchObject({ slot: 11, priceE5SekPerKwh: 5 });
  expect(at('a', 10)).toMatchObject({ slot: 10, priceE5SekPerKwh: 2 });
  expect(at('b', 10)).toMatchObject({ slot: 10, priceE5SekPerKwh: 1 });
  expect(at('b', 9)).toMatchObject({ refuse: 'price_moved' });
});

test('a slot that is told again or too late changes nothing', () => {
  const { hear, state } = board();
  hear(10, [price('a', 1)]);
  hear(11, []);
  const before = state();
  hear(11, [price('a', 9, 11)]);
  hear(10, [price('a', 9)]);
  expect(state()).toEqual(before);
});

test('the slot before the newest is not taken once its price has lapsed: after an interruption it may be hours old', () => {
  const { world, hear, at } = board();
  hear(10, [price('a', 1)]);
  // Slot 10 lapses 24 s after its start, slot 11 arrives 1 s before that.
  world.advance(23_000);
  hear(11, [price('a', 3, 11)]);
  world.advance(1_000);
  expect(at('a', 10)).toMatchObject({ slot: 10, priceE5SekPerKwh: 1 });
  world.advance(1);
  expect(at('a', 10)).toEqual({ refuse: 'price_moved', detail: { slot: 11 } });

  world.advanceTo(300 * slotMs);
  hear(300, [price('a', 9, 300)]);
  expect(at('a', 11)).toEqual({ refuse: 'price_moved', detail: { slot: 300 } });
  expect(at('a', 300)).toMatchObject({ priceE5SekPerKwh: 9 });
});

test('a station that is new in a slot has no price in the one before it', () => {
  const { hear, at } = board();
  hear(10, [price('a', 1)]);
  hear(11, [price('c', 7, 11)]);
  expect(at('c', 11)).toMatchObject({ priceE5SekPerKwh: 7 });
  expect(at('c', 10)).toMatchObject({ refuse: 'price_moved' });
  expect(at('d', 11)).toMatchObject({ refuse: 'unknown_station' });
});

test('of two boards that name the same station the one of the lower partition holds, whichever came first', () => {
  const { hear, at } = board();
  hear(10, [price('a', 8)], 12);
  hear(10, [price('a', 1)], 3);
  hear(10, [price('a', 9)], 14);
  expect(at('a', null)).toMatchObject({ priceE5SekPerKwh: 1 });
});

test('customers of every partition buy at the price of a station elsewhere, and what they draw makes the next one', () => {
  const world = new TestWorld({ partitions: 3 });
  demoSite(world, { capacityW: 12_000, chargers: 0 });
  world.advance(slotMs);
  const customers = ['ada', 'bob', 'eve', 'joe'].map((id) => new TestCustomer(world, id));
  expect(new Set(customers.map(({ id }) => world.partitionOf(id).partition)).size).toBeGreaterThan(1);
  const [ada, bob, eve] = customers as [TestCustomer, TestCustomer, TestCustomer];
  for (const customer of customers) customer.deposit(100);
  bob.buy(1_000);
  expect(ada.buy(10_000)).toMatchObject({ priceE5SekPerKwh: 100_000 });
  ada.commit('buy');
  world.advance(slotMs);
  // 11 of 12 kW
  expect(eve.quote()).toMatchObject({ tier: 'double', buyE5SekPerKwh: 200_000 });
  // The price that was held is the price that is paid.
  expect(bob.commit('buy').state).toBe('delivering');
  world.advance(slotMs);
  expect(eve.quote()).toMatchObject({ tier: 'capped', importOpen: false });
  expect(eve.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('station_capped');
  eve.sell(5_000);
  eve.commit('sell');
  world.advance(slotMs);
  expect(eve.quote()).toMatchObject({ tier: 'double', importOpen: true });
  world.advance(60 * 60_000);
  expect(eve.quote()).toMatchObject({ tier: 'normal' });
  expect(bob.trades.at(-1)).toMatchObject({ state: 'completed', settledE5Sek: 100_000 });
  expect(eve.trades.at(-1)).toMatchObject({ state: 'completed', settledE5Sek: 1_500_000 });
  checkBooks(world);
});
