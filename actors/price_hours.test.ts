import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stationAddress } from './addresses.ts';
import { hoursKept, priceAt } from './price_hours.ts';
import { demoSite, TestWorld } from './testing.ts';

const slotMs = 12_000;
const hourMs = 3_600_000;
const slotsPerHour = 300;
const home = (world: TestWorld) => world.partitionOf('demo');
const at = (world: TestWorld, time: number) => priceAt(home(world), 'nord-1', time);

/** The station is told the load of the slot before `slot`, in % of its capacity of 10,000 W. */
function tick(world: TestWorld, slot: number, percent: number) {
  const loadWMs = percent * 100 * slotMs;
  world.ask(stationAddress('demo', 'nord-1'), 'station.tick', { slot, durationMs: slotMs, loadWMs, stale: false });
}
function setUp() {
  const world = new TestWorld();
  demoSite(world, { capacityW: 10_000, chargers: 0 });
  return { world, s0: world.now / slotMs };
}
const records = (world: TestWorld) =>
  home(world)
    .images()
    .filter(([name]) => name.startsWith('price_hour|'))
    .map(([name]) => Number(name.slice(name.lastIndexOf('/') + 1)) - world.now / hourMs);

test('a price is in force from the start of its slot to the next change', () => {
  const { world, s0 } = setUp();
  tick(world, s0 + 1, 50);
  tick(world, s0 + 2, 90);
  tick(world, s0 + 3, 90);
  tick(world, s0 + 4, 110);
  const price = (ms: number) => at(world, s0 * slotMs + ms);
  expect(price(12_000)).toEqual({ since: s0 + 1, priceE5SekPerKwh: 100_000 });
  expect(price(23_999)).toEqual({ since: s0 + 1, priceE5SekPerKwh: 100_000 });
  expect(price(24_000)).toEqual({ since: s0 + 2, priceE5SekPerKwh: 200_000 });
  expect(price(47_999)).toEqual({ since: s0 + 2, priceE5SekPerKwh: 200_000 });
  expect(price(48_000)).toEqual({ since: s0 + 4, priceE5SekPerKwh: 300_000 });
  // A clock that is ahead gets the newest there is.
  expect(price(10 * hourMs)).toEqual({ since: s0 + 4, priceE5SekPerKwh: 300_000 });
});

test('an hour has its own record from its first slot on, changed or not', () => {
  const { world, s0 } = setUp();
  tick(world, s0 + slotsPerHour - 1, 90);
  tick(world, s0 + slotsPerHour, 90);
  tick(world, s0 + slotsPerHour + 1, 90);
  const border = s0 * slotMs + hourMs;
  expect(at(world, border - 1)).toEqual({ since: s0 + slotsPerHour - 1, priceE5SekPerKwh: 200_000 });
  expect(at(world, border)).toEqual({ since: s0 + slotsPerHour, priceE5SekPerKwh: 200_000 });
  expect(records(world)).toEqual([0, 1]);
});

test('a slot that was not produced costs what the last one before it did, over hours and days', () => {
  const { world, s0 } = setUp();
  tick(world, s0 + 10, 90);
  tick(world, s0 + 60 * slotsPerHour + 5, 10);
  const after = (hours: number) => at(world, s0 * slotMs + hours * hourMs).priceE5SekPerKwh;
  expect([after(1), after(2), after(47), after(60)]).toEqual([200_000, 200_000, 200_000, 200_000]);
  expect(at(world, (s0 + 60 * slotsPerHour + 5) * slotMs).priceE5SekPerKwh).toBe(100_000);
});

test('before its first price energy has the price that came first, at a station that never had one the base price', () => {
  const { world, s0 } = setUp();
  expect(at(world, world.now)).toEqual({ since: -1, priceE5SekPerKwh: 100_000 });
  tick(world, s0 + 3, 110);
  expect(at(world, world.now)).toEqual({ since: s0 + 3, priceE5SekPerKwh: 300_000 });
});

test('prices older than 48 hours are dropped, but for the last that was in force before', () => {
  const { world, s0 } = setUp();
  for (let hour = 0; hour <= hoursKept + 3; hour++) tick(world, s0 + hour * slotsPerHour, hour % 2 === 0 ? 50 : 90);
  expect(records(world)).toEqual(Array.from({ length: hoursKept + 1 }, (_, i) => i + 3));
  const exact = (s0 + 3 * slotsPerHour) * slotMs;
  expect(at(world, exact)).toEqual({ since: s0 + 3 * slotsPerHour, priceE5SekPerKwh: 200_000 });
  expect(at(world, exact - 1)).toEqual({ since: s0 + 3 * slotsPerHour, priceE5SekPerKwh: 200_000 });
});

test('whatever slots are produced, the price in force is that of the last one', () => {
  const steps = fc.array(
    fc.record({ skip: fc.integer({ min: 1, max: 700 }), percent: fc.integer({ max: 130, min: 0 }) }),
    {
      minLength: 1,
      maxLength: 20,
    },
  );
  fc.assert(
    fc.property(steps, fc.array(fc.nat(12_000), { maxLength: 10 }), (plan, asked) => {
      const { world, s0 } = setUp();
      const produced = new Map<number, number>();
      let slot = s0;
      for (const { skip, percent } of plan) {
        slot += skip;
        tick(world, slot, percent);
        produced.set(slot, world.payloads('price').at(-1)!.priceE5SekPerKwh);
      }
      for (const offset of asked) {
        const last = [...produced.keys()].filter((known) => known <= s0 + offset).at(-1) ?? [...produced.keys()][0]!;
        expect(at(world, (s0 + offset) * slotMs + 7).priceE5SekPerKwh).toBe(produced.get(last));
      }
    }),
    { numRuns: 40 },
  );
});
