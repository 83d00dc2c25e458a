import { expect, test } from 'vitest';
import { boardAddress, exchangeAddress, siteAddress, stationAddress } from './addresses.ts';
import { changeBytesMax, changesMax } from './exchange.ts';
import type { BoardState, ExchangeState } from './schema/customer_entities.ts';
import type { BoardSlotBody } from './schema/customer_internal.ts';
import { demoSite, TestCharger, TestWorld } from './testing.ts';

const slotMs = 12_000;
const slotOf = (world: TestWorld) => Math.floor(world.now / slotMs);
const home = (world: TestWorld, site = 'demo') => world.partitionOf(site).partition;
const boardsOf = (world: TestWorld, source: number) =>
  world.partitions.map(({ partition }) => world.get<BoardState>(boardAddress(partition, source))?.context);

function stations(world: TestWorld, count: number, capacityW = 20_000) {
  world.ask(siteAddress('demo'), 'site.create', {
    name: 'Demo',
    timeZone: 'UTC',
    capacityW: null,
    profile0Networks: [],
  });
  for (let n = 1; n <= count; n++) addStation(world, `st-${String(n).padStart(3, '0')}`, capacityW);
}
const addStation = (world: TestWorld, id: string, capacityW = 20_000) =>
  world.ask(stationAddress('demo', id), 'station.create', {
    site: 'demo',
    name: id,
    capacityW,
    baseE5SekPerKwh: 100_000,
  });
/** A car at full power of 11,040 W. */
function charging(world: TestWorld, id: string, station: string) {
  const charger = new TestCharger(world, 'demo', id);
  charger.register({ station });
  charger.meter(charger.start().transaction, { w: 11_040 });
  return charger;
}

test('every partition hears a change of tier at the border, with the stations that changed and no others', () => {
  const world = new TestWorld({ partitions: 4 });
  stations(world, 2, 11_500);
  charging(world, 'CP-1', 'st-002');
  world.advance(2_000);
  world.advanceTo((slotOf(world) + 1) * slotMs);
  const first = slotOf(world);
  const price = (station: string, slot: number, factor: number, tier: string) => ({
    station,
    site: 'demo',
    slot,
    priceE5SekPerKwh: factor * 100_000,
    tier,
    importOpen: tier !== 'capped',
  });
  world.advance(slotMs);
  expect(world.bodies<BoardSlotBody>('board.slot').filter(({ slot }) => slot === first)).toEqual(
    Array.from({ length: 4 }, () => ({
      slot: first,
      changed: [price('st-001', first, 1, 'normal'), price('st-002', first, 2, 'double')],
    })),
  );
  // 11,040 of 11,500 W are 96 %; a second car makes it 192 %.
  charging(world, 'CP-2', 'st-002');
  world.advance(slotMs);
  const capped = { slot: first + 2, changed: [price('st-002', first + 2, 3, 'capped')] };
  expect(world.bodies<BoardSlotBody>('board.slot').slice(-4)).toEqual([capped, capped, capped, capped]);
  for (const board of boardsOf(world, home(world))) {
    expect(board).toMatchObject({
      slot: first + 2,
      prices: [price('st-001', first, 1, 'normal'), price('st-002', first + 2, 3, 'capped')],
    });
  }
});

test('when nothing has changed every partition is told just that, each slot once', () => {
  const world = new TestWorld({ partitions: 3 });
  stations(world, 1);
  world.advance(slotMs);
  const before = world.bodies('board.slot').length;
  world.advance(5 * slotMs);
  const slot = slotOf(world);
  expect(world.bodies<BoardSlotBody>('board.slot').slice(before)).toEqual(
    [4, 3, 2, 1, 0].flatMap((ago) => Array.from({ length: 3 }, () => ({ slot: slot - ago, changed: [] }))),
  );
  const images = world.partitions.map((p) => p.images());
  world.ask(exchangeAddress(home(world)), 'exchange.tell', { slot });
  world.ask(exchangeAddress(home(world)), 'exchange.tell', { slot: slot - 3 });
  expect(world.bodies('board.slot')).toHaveLength(before + 15);
  expect(world.partitions.map((p) => p.images())).toEqual(images);
});

test('each partition with stations has a board of its own in every partition', () => {
  const world = new TestWorld({ partitions: 4 });
  demoSite(world, { site: 'a', station: 'a-1', chargers: 0 });
  demoSite(world, { site: 'b', station: 'b-1', chargers: 0, baseE5SekPerKwh: 150_000 });
  expect(home(world, 'a')).not.toBe(home(world, 'b'));
  world.advance(slotMs);
  const stationsOn = (source: number) =>
    boardsOf(world, source).map((board) => board?.prices.map((p) => [p.station, p.priceE5SekPerKwh]));
  expect(stationsOn(home(world, 'a'))).toEqual(Array.from({ length: 4 }, () => [['a-1', 100_000]]));
  expect(stationsOn(home(world, 'b'))).toEqual(Array.from({ length: 4 }, () => [['b-1', 150_000]]));
});

test('after downtime the boards hear of the newest slot only', () => {
  const world = new TestWorld({ partitions: 2 });
  stations(world, 1);
  world.advance(slotMs);
  const before = world.bodies('board.slot').length;
  world.jumpTo(world.now + 400 * slotMs + 5_000);
  expect(world.bodies<BoardSlotBody>('board.slot').slice(before)).toEqual(
    Array.from({ length: 2 }, () => ({ slot: slotOf(world), changed: [] })),
  );
});

test('a hundred stations of one partition are told in one slot; a site without stations tells nothing', () => {
  const world = new TestWorld({ partitions: 16 });
  stations(world, 0);
  world.advance(slotMs);
  expect(world.bodies('board.slot')).toEqual([]);
  stations(world, 100);
  world.advance(slotMs);
  const told = world.bodies<BoardSlotBody>('board.slot');
  expect(told).toHaveLength(16);
  for (const { changed } of told) expect(changed).toHaveLength(100);
  expect(boardsOf(world, home(world)).map((board) => board?.prices.length)).toEqual(Array<number>(16).fill(100));
  world.advance(slotMs);
  expect(world.bodies<BoardSlotBody>('board.slot').slice(16)).toEqual(
    Array.from({ length: 16 }, () => ({ slot: slotOf(world), changed: [] })),
  );
});

test('more changes than one record holds go with the next slots, those first that have waited longest', () => {
  const partitions = 64;
  const perSlot = changesMax / partitions;
  const world = new TestWorld({ partitions });
  stations(world, perSlot + 20);
  world.advance(slotMs);
  const names = (slot: number) =>
    world
      .bodies<BoardSlotBody>('board.slot')
      .filter((body) => body.slot === slot)[0]!
      .changed.map(({ station }) => station);
  expect(names(slotOf(world))).toHaveLength(perSlot);
  // The first one changes again while twenty still wait for their first word.
  charging(world, 'CP-1', 'st-001');
  charging(world, 'CP-2', 'st-001');
  world.advance(slotMs);
  expect(names(slotOf(world))).toEqual([
    ...Array.from({ length: 20 }, (_, i) => `st-${String(perSlot + 1 + i).padStart(3, '0')}`),
    'st-001',
  ]);
  const { told } = world.get<ExchangeState>(exchangeAddress(home(world)))!.context;
  expect(told.map(({ station }) => station)).toEqual(
    [...told].sort((a, b) => (a.station < b.station ? -1 : 1)).map(({ station }) => station),
  );
  expect(told).toHaveLength(perSlot + 20);
});

test('the longer the names, the fewer changes go into one slot: all of them fit a record, and all are told in the end', () => {
  const partitions = 64;
  const world = new TestWorld({ partitions });
  const count = 70;
  stations(world, 0);
  const long = (n: number) => String(n).padStart(128, 'x');
  for (let n = 1; n <= count; n++) addStation(world, long(n));
  world.advance(slotMs);
  const told = (slot: number) => world.bodies<BoardSlotBody>('board.slot').filter((body) => body.slot === slot);
  const first = told(slotOf(world));
  expect(first).toHaveLength(partitions);
  expect(first[0]!.changed.length).toBeGreaterThan(30);
  expect(first[0]!.changed.length).toBeLessThan(count);
  const names = first.flatMap(({ changed }) => changed.map(({ station }) => station)).join('');
  expect(names.length).toBeLessThan(changeBytesMax);
  world.advance(slotMs);
  const second = told(slotOf(world))[0]!.changed;
  expect(first[0]!.changed.length + second.length).toBe(count);
  for (const board of boardsOf(world, home(world))) expect(board!.prices).toHaveLength(count);
});
