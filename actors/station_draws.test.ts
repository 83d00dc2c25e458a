import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountAddress, stationAddress } from './addresses.ts';
import { encodeImage, decodeImage } from './codec.ts';
import type { AccountState } from './schema/customer_entities.ts';
import type { StationState } from './schema/entities.ts';
import { station as stationDefinition } from './station.ts';
import { TestCustomer } from './testing_customers.ts';
import { demoSite, TestWorld, type DemoOptions } from './testing.ts';

const slotMs = 12_000;
const station = stationAddress('demo', 'nord-1');
const setUp = (options: DemoOptions = {}) => {
  const world = new TestWorld();
  const chargers = demoSite(world, { capacityW: 100_000, ...options });
  return { world, charger: chargers[0]! };
};
let counted = 0;
const draw = (world: TestWorld, customer: string, powerW: number, count = (counted += 1)) =>
  world.ask(station, 'station.draw', { customer, powerW, count });
const drawnW = (world: TestWorld) => world.get<StationState>(station)!.context.draws.powerW;
const loads = (world: TestWorld, node = 'nord-1') =>
  world
    .payloads('load')
    .filter((load) => load.node === node)
    .map(({ loadW }) => loadW);

test("the orders of customers are load from the moment their word arrives, to the watt-millisecond, like a charger's", () => {
  const { world, charger } = setUp();
  const { transaction } = charger.start();
  charger.meter(transaction, { w: 6_000 });
  world.advance(3_000);
  draw(world, 'ada', 11_000);
  world.advance(6_000);
  draw(world, 'bob', 11_000);
  world.advance(3_000);
  world.advance(4_000);
  draw(world, 'ada', 0);
  world.advance(8_000);
  // 6,000 W all along; ada 9 s and bob 3 s of the first slot, ada 4 s and bob all of the second.
  expect(loads(world)).toEqual([6_000 + (11_000 * 12) / 12, 6_000 + (11_000 * 4) / 12 + 11_000].map(Math.round));
  expect(loads(world, 'demo')).toEqual(loads(world));
  expect(world.payloads('price').map(({ utilisationBp }) => utilisationBp)).toEqual([1_700, 2_067]);
});

test('an order that is complete at the very border, in the partition of the station, was load until then', () => {
  const { world } = setUp({ capacityW: 12_000, chargers: 0 });
  world.advance(slotMs);
  const ada = new TestCustomer(world);
  ada.deposit(100);
  // 11 Wh take 3,600 ms at 11 kW.
  world.advance(slotMs - 3_600);
  ada.buy(11);
  ada.commit('buy');
  world.advance(3_600);
  expect(ada.trades.at(-1)).toMatchObject({ state: 'completed', at: world.now });
  expect(loads(world).at(-1)).toBe((11_000 * 3_600) / slotMs);
  world.advance(slotMs);
  expect(loads(world).at(-1)).toBe(0);
});

test('orders alone make a price', () => {
  const { world } = setUp({ capacityW: 20_000 });
  draw(world, 'ada', 11_000);
  draw(world, 'bob', 11_000);
  world.advance(slotMs);
  expect(world.payloads('price')).toMatchObject([{ loadW: 22_000, utilisationBp: 11_000, tier: 'triple' }]);
  draw(world, 'bob', 0);
  world.advance(slotMs);
  expect(world.payloads('price').at(-1)).toMatchObject({ loadW: 11_000, tier: 'normal' });
});

test('sales relieve the station, and never leave it with less than nothing', () => {
  const { world, charger } = setUp();
  charger.meter(charger.start().transaction, { w: 9_000 });
  draw(world, 'ada', -5_000);
  world.advance(slotMs);
  draw(world, 'bob', -11_000);
  world.advance(slotMs);
  expect(loads(world)).toEqual([4_000, 0]);
  expect(loads(world, 'demo')).toEqual([4_000, 0]);
  expect(world.payloads('price').at(-1)).toMatchObject({ loadW: 0, utilisationBp: 0, tier: 'normal' });
});

test('what is sold at one station serves its neighbour behind the same connection', () => {
  const { world } = setUp({ siteCapacityW: 100_000, capacityW: 20_000 });
  world.ask(stationAddress('demo', 'syd-1'), 'station.create', {
    site: 'demo',
    name: 'syd-1',
    capacityW: 20_000,
    baseE5SekPerKwh: 100_000,
  });
  draw(world, 'ada', -11_000);
  world.ask(stationAddress('demo', 'syd-1'), 'station.draw', { customer: 'ada', powerW: 15_000, count: 1 });
  world.advance(slotMs);
  expect([loads(world), loads(world, 'syd-1'), loads(world, 'demo')]).toEqual([[0], [15_000], [4_000]]);
});

test('a word that comes after a newer one of the same customer changes nothing', () => {
  const { world } = setUp();
  draw(world, 'ada', 11_000, 2);
  const images = world.partitions[0]!.images();
  draw(world, 'ada', 5_000, 1);
  draw(world, 'ada', 0, 1);
  draw(world, 'ada', 11_000, 2);
  expect(drawnW(world)).toBe(11_000);
  expect(world.partitions[0]!.images()).toEqual(images);
  draw(world, 'bob', 4_000, 1);
  expect(drawnW(world)).toBe(15_000);
});

test('a customer who draws nothing any more leaves no record behind, and may draw again', () => {
  const { world } = setUp();
  const records = () =>
    world.partitions.flatMap((p) => p.images()).filter(([name]) => name.startsWith('station_draw|'));
  draw(world, 'ada', 11_000, 1);
  draw(world, 'bob', -3_000, 1);
  expect(records().length).toBe(2);
  draw(world, 'ada', 0, 2);
  draw(world, 'eve', 0, 1);
  expect(records().map(([name]) => name)).toEqual(['station_draw|nord-1/bob']);
  draw(world, 'ada', 5_000, 3);
  expect(drawnW(world)).toBe(2_000);
  draw(world, 'ada', 0, 4);
  draw(world, 'bob', 0, 2);
  expect([drawnW(world), records()]).toEqual([0, []]);
});

test('customers and stations whose names run into each other are kept apart', () => {
  const { world } = setUp({ station: 'a' });
  const say = (id: string, customer: string, powerW: number) =>
    world.ask(stationAddress('demo', id), 'station.draw', { customer, powerW, count: 1 });
  world.ask(stationAddress('demo', 'a/b'), 'station.create', {
    site: 'demo',
    name: 'x',
    capacityW: 1_000,
    baseE5SekPerKwh: 1,
  });
  say('a', 'b/c', 7_000);
  say('a/b', 'c', 500);
  const drawn = (id: string) => world.get<StationState>(stationAddress('demo', id))!.context.draws.powerW;
  expect([drawn('a'), drawn('a/b')]).toEqual([7_000, 500]);
});

test('any words in any order: the load is the sum of the newest words, integrated over the milliseconds', () => {
  const words = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 9_000 }),
      customer: fc.constantFrom('ada', 'bob', 'cyd'),
      powerW: fc.oneof(fc.constant(0), fc.integer({ min: -11_000, max: 11_000 })),
      count: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 14 },
  );
  fc.assert(
    fc.property(words, (plan) => {
      const { world } = setUp({ chargers: 0 });
      const newest = new Map<string, { powerW: number; count: number }>();
      const begin = world.now;
      const wMs = new Map<number, number>();
      const pass = (ms: number) => {
        const powerW = [...newest.values()].reduce((sum, word) => sum + word.powerW, 0);
        for (let t = world.now; t < world.now + ms; t++) {
          const slot = Math.floor(t / slotMs);
          wMs.set(slot, (wMs.get(slot) ?? 0) + powerW);
        }
        world.advance(ms);
      };
      for (const { afterMs, customer, powerW, count } of plan) {
        pass(afterMs);
        draw(world, customer, powerW, count);
        if (count <= (newest.get(customer)?.count ?? 0)) continue;
        if (powerW === 0) newest.delete(customer);
        else newest.set(customer, { powerW, count });
      }
      pass(2 * slotMs - ((world.now - begin) % slotMs));
      const expected = loads(world).map((_, i) => Math.max(0, wMs.get(begin / slotMs + i) ?? 0) / slotMs);
      for (const [i, loadW] of loads(world).entries()) expect(Math.abs(loadW - expected[i]!)).toBeLessThanOrEqual(0.5);
      expect(loads(world).length).toBeGreaterThan(0);
    }),
    { numRuns: 30 },
  );
});

test('a delivery leaves the inventory for transit in one batch, and a sale comes back the same way', () => {
  const { world } = setUp();
  const balance = (name: string) => world.get<AccountState>(accountAddress(0, 'Wh', name))?.context.balance ?? 0;
  world.ask(station, 'station.deliver', { customer: 'ada', batch: 'ada:7', energyWh: 36 });
  expect([balance('station:nord-1:inventory'), balance('transit')]).toEqual([-36, 36]);
  world.ask(station, 'station.deliver', { customer: 'ada', batch: 'ada:8', energyWh: -50 });
  world.ask(station, 'station.deliver', { customer: 'ada', batch: 'ada:9', energyWh: 0 });
  expect([balance('station:nord-1:inventory'), balance('transit')]).toEqual([14, -14]);
  const leg = (account: string, amount: number) => ({ ledger: 'Wh', account, amount, balance: null });
  expect(world.payloads('ledger')).toEqual([
    {
      customer: null,
      batch: 'ada:7',
      kind: 'delivery',
      cause: 'ada:7',
      at: world.now,
      legs: [leg('station:nord-1:inventory', -36), leg('transit', 36)],
    },
    {
      customer: null,
      batch: 'ada:8',
      kind: 'delivery',
      cause: 'ada:8',
      at: world.now,
      legs: [leg('station:nord-1:inventory', 50), leg('transit', -50)],
    },
  ]);
});

test('a station from before orders counted has none', () => {
  const { draws, ...before } = { ...setUp().world.get<StationState>(station)!.context };
  const fields = Object.values(before);
  expect(decodeImage(stationDefinition, ['unpriced', ...fields], 1)).toEqual({
    value: 'unpriced',
    context: { ...before, draws: { ...draws, sinceMs: 0, slot: 0 } },
  });
  expect(encodeImage(stationDefinition, 'unpriced', { ...before, draws })).toHaveLength(fields.length + 2);
});
