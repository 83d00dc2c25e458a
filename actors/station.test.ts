import { expect, test } from 'vitest';
import { siteAddress, stationAddress } from './addresses.ts';
import { demoSite, TestCharger, TestWorld } from './testing.ts';

const station = stationAddress('demo', 'nord-1');
const slotMs = 12_000;
const tick = (world: TestWorld, slot: number, loadW: number) =>
  world.ask(station, 'station.tick', { slot, durationMs: slotMs, loadWMs: loadW * slotMs, stale: false });

test('a site is created once; the same again is fine, other contents are refused', () => {
  const world = new TestWorld();
  const body = { name: 'Demo', timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: [] };
  expect(world.ask(siteAddress('demo'), 'site.create', body)).toEqual({ site: 'demo' });
  expect(world.ask(siteAddress('demo'), 'site.create', body)).toEqual({ site: 'demo' });
  expect(world.send(siteAddress('demo'), 'site.create', { ...body, name: 'Other' })).toMatchObject({
    ok: false,
    code: 'already_exists',
  });
  expect(world.send({ kind: 'site', key: 'elsewhere', id: 'other' }, 'site.create', body)).toMatchObject({
    ok: false,
    code: 'bad_request',
  });
});

test('a station needs its site, stays below its limit, and is created once', () => {
  const world = new TestWorld();
  const body = { site: 'demo', name: 'Nord', capacityW: 138_000, baseE5SekPerKwh: 100_000 };
  expect(world.send(station, 'station.create', body)).toMatchObject({ ok: false, code: 'unknown_site' });
  world.ask(siteAddress('demo'), 'site.create', {
    name: 'Demo',
    timeZone: 'Europe/Stockholm',
    capacityW: 100_000,
    profile0Networks: [],
  });
  expect(world.send(station, 'station.create', body)).toMatchObject({ ok: false, code: 'child_above_parent' });
  expect(world.get(station)).toBeUndefined();
  const smaller = { ...body, capacityW: 100_000 };
  expect(world.ask(station, 'station.create', smaller)).toEqual({ station: 'nord-1' });
  expect(world.ask(station, 'station.create', smaller)).toEqual({ station: 'nord-1' });
  expect(world.send(station, 'station.create', { ...smaller, baseE5SekPerKwh: 1 })).toMatchObject({
    ok: false,
    code: 'already_exists',
  });
  expect(world.send(station, 'station.create', { ...smaller, capacityW: 0.5 })).toMatchObject({
    ok: false,
    code: 'bad_request',
  });
});

test('a price whose amounts could not be held exactly is refused, in either direction', () => {
  const world = new TestWorld();
  demoSite(world, { chargers: 0 });
  const dear = stationAddress('demo', 'dear');
  const body = { site: 'demo', name: 'Dear', capacityW: 1_000, baseE5SekPerKwh: 1_000_000_000 };
  for (const baseE5SekPerKwh of [1_000_000_001, -1_000_000_001, Number.MAX_SAFE_INTEGER])
    expect(world.send(dear, 'station.create', { ...body, baseE5SekPerKwh })).toMatchObject({ code: 'bad_request' });
  expect(world.get(dear)).toBeUndefined();
  world.ask(dear, 'station.create', body);
  world.advance(slotMs);
  expect(world.payloads('price').find((price) => price.station === 'dear')).toMatchObject({
    priceE5SekPerKwh: 1_000_000_000,
  });
});

test('the tier walks up at once and down with hysteresis; a slot comes once', () => {
  const world = new TestWorld();
  demoSite(world, { capacityW: 100_000, chargers: 0 });
  const first = Math.floor(world.now / slotMs) + 100;
  const walk = [80_000, 80_001, 78_001, 78_000, 130_000, 118_001, 118_000, 98_001, 98_000, 0];
  walk.forEach((loadW, i) => tick(world, first + i, loadW));
  tick(world, first + 3, 130_000);
  const prices = world.payloads('price');
  expect(prices.map((p) => [p.utilisationBp, p.tier, p.priceE5SekPerKwh, p.importOpen])).toEqual([
    [8_000, 'normal', 100_000, true],
    [8_001, 'double', 200_000, true],
    [7_801, 'double', 200_000, true],
    [7_800, 'normal', 100_000, true],
    [13_000, 'capped', 300_000, false],
    [11_801, 'capped', 300_000, false],
    [11_800, 'triple', 300_000, true],
    [9_801, 'triple', 300_000, true],
    [9_800, 'double', 200_000, true],
    [0, 'normal', 100_000, true],
  ]);
  expect(world.get(station)).toMatchObject({ value: 'normal', context: { slot: first + 9, importOpen: true } });
});

test('the price of a slot comes from the load of the slot before; the first from the part that the station has seen', () => {
  const world = new TestWorld();
  world.advance(8_000);
  const [charger] = demoSite(world, { capacityW: 10_000 });
  const slot = Math.floor(world.now / slotMs);
  const { transaction } = charger!.start();
  charger!.meter(transaction, { w: 9_000 });
  world.advanceTo((slot + 1) * slotMs + 6_000);
  charger!.meter(transaction, { w: 3_000 });
  world.advanceTo((slot + 2) * slotMs);
  expect(world.payloads('price')).toEqual([
    {
      station: 'nord-1',
      slot: slot + 1,
      producedAt: (slot + 1) * slotMs,
      loadW: 9_000,
      capacityW: 10_000,
      utilisationBp: 9_000,
      tier: 'double',
      importOpen: true,
      priceE5SekPerKwh: 200_000,
      validUntil: (slot + 3) * slotMs,
    },
    {
      station: 'nord-1',
      slot: slot + 2,
      producedAt: (slot + 2) * slotMs,
      loadW: 6_000,
      capacityW: 10_000,
      utilisationBp: 6_000,
      tier: 'normal',
      importOpen: true,
      priceE5SekPerKwh: 100_000,
      validUntil: (slot + 4) * slotMs,
    },
  ]);
  expect(
    world.payloads('load').map(({ node, slot: measured, loadW, stale }) => [node, measured, loadW, stale]),
  ).toEqual([
    ['nord-1', slot, 9_000, false],
    ['demo', slot, 9_000, false],
    ['nord-1', slot + 1, 6_000, false],
    ['demo', slot + 1, 6_000, false],
  ]);
});

test('ten of twenty chargers at full power are 80.00 %, fifteen are 120.00 %', () => {
  const world = new TestWorld();
  const chargers = demoSite(world, { chargers: 20 });
  const charge = (from: number, to: number) => {
    for (const charger of chargers.slice(from, to)) {
      const { transaction } = charger.start();
      charger.meter(transaction, { w: 11_040 });
    }
    world.advance(slotMs);
    return world.payloads('price').at(-1);
  };
  expect(charge(0, 10)).toMatchObject({ utilisationBp: 8_000, tier: 'normal' });
  expect(charge(10, 15)).toMatchObject({ utilisationBp: 12_000, tier: 'triple', importOpen: true });
  expect(charge(15, 16)).toMatchObject({ utilisationBp: 12_800, tier: 'capped', importOpen: false });
});

test('a session that falls silent counts its highest power and makes the slot stale', () => {
  const world = new TestWorld();
  const [charger] = demoSite(world, { capacityW: 10_000 });
  const { transaction } = charger!.start();
  charger!.meter(transaction, { w: 9_000 });
  world.advance(10_000);
  charger!.meter(transaction, { w: 1_000 });
  world.advance(2_000 + 5 * slotMs);
  expect(
    world
      .payloads('load')
      .filter((l) => l.node === 'nord-1')
      .map((l) => [l.loadW, l.stale]),
  ).toEqual([
    [7_667, false],
    [1_000, false],
    [1_000, false],
    [2_333 + 4_000, true],
    [9_000, true],
    [9_000, true],
  ]);
});

test('after downtime only the newest slot is produced', () => {
  const world = new TestWorld();
  const [charger] = demoSite(world);
  const { transaction } = charger!.start();
  charger!.meter(transaction, { w: 11_040 });
  world.advance(slotMs);
  const before = world.payloads('price').length;
  world.jumpTo(world.now + 60 * slotMs + 5_000);
  const prices = world.payloads('price').slice(before);
  expect(prices.map((p) => p.slot)).toEqual([Math.floor(world.now / slotMs)]);
  expect(prices[0]).toMatchObject({ loadW: 11_040 });
});

test('the connection of the site counts too: two quiet stations behind a narrow one pay double', () => {
  const world = new TestWorld();
  demoSite(world, { capacityW: 20_000, siteCapacityW: 24_000, chargers: 0 });
  world.ask(stationAddress('demo', 'sued-1'), 'station.create', {
    site: 'demo',
    name: 'sued-1',
    capacityW: 20_000,
    baseE5SekPerKwh: 100_000,
  });
  for (const [n, at] of [
    ['1', 'nord-1'],
    ['2', 'sued-1'],
  ] as const) {
    const charger = new TestCharger(world, 'demo', `CP-${n}`);
    charger.register({ station: at, ratedW: 11_040, connectors: 1 });
    charger.connect();
    charger.boot();
    charger.start({ tag: `TAG-${n}` });
  }
  world.advance(60_000);
  const last = world.payloads('price').slice(-2);
  // 11,040 of 20,000 W each is 55.20 %; both together are 22,080 of 24,000 W, 92.00 %.
  expect(last.map((p) => [p.station, p.loadW, p.utilisationBp, p.tier])).toEqual([
    ['nord-1', 11_040, 9_200, 'double'],
    ['sued-1', 11_040, 9_200, 'double'],
  ]);
});
