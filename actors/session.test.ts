import { expect, test } from 'vitest';
import { blockMs } from './sample_keys.ts';
import { sessionKeptMs } from './session.ts';
import { demoSite, samplesOf, TestWorld, type DemoOptions } from './testing.ts';

const setUp = (options: DemoOptions = {}) => {
  const world = new TestWorld();
  const [charger] = demoSite(world, options);
  return { world, charger: charger!, t0: world.now };
};
const endings = (world: TestWorld) => world.payloads('session').filter((e) => e.state === 'ended');
const reasons = (world: TestWorld) =>
  world
    .payloads('charger')
    .filter((e) => e.kind === 'event')
    .map((e) => e.detail['reason']);

test('a session is its start, its samples and its stop; energy is the difference of the registers', () => {
  const { world, charger, t0 } = setUp();
  const { transaction, token } = charger.start({ meterStartWh: 1_000 });
  expect([transaction, token?.status]).toEqual([1, 'Accepted']);
  expect(charger.session(1)).toMatchObject({ value: 'started' });
  world.advance(10_000);
  charger.meter(1, { w: 11_000, wh: 1_020 });
  expect(charger.session(1)).toMatchObject({ value: 'energising' });
  world.advance(10_000);
  charger.meter(1, { w: 0, wh: 1_051 });
  expect(charger.session(1)).toMatchObject({ value: 'suspended' });
  world.advance(10_000);
  expect(charger.stop(1, { meterStopWh: 1_052, tag: 'TAG-1' })).toEqual({
    transaction: 1,
    token: { status: 'Accepted', expiresAt: null, group: null },
  });
  expect(charger.session(1)).toMatchObject({ value: 'ended', context: { energyWh: 52, version: 1 } });
  expect(world.payloads('session')).toEqual([
    {
      site: 'demo',
      station: 'nord-1',
      charger: 'CP-1',
      connector: 1,
      transaction: 1,
      tag: 'TAG-1',
      state: 'started',
      startAt: t0,
      receivedAt: t0,
      meterStartWh: 1_000,
      flags: [],
      version: 0,
    },
    {
      site: 'demo',
      station: 'nord-1',
      charger: 'CP-1',
      connector: 1,
      transaction: 1,
      tag: 'TAG-1',
      state: 'ended',
      startAt: t0,
      endAt: t0 + 30_000,
      receivedAt: t0 + 30_000,
      meterStartWh: 1_000,
      meterStopWh: 1_052,
      energyWh: 52,
      reason: 'Local',
      flags: [],
      version: 1,
    },
  ]);
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0, powerW: 0, silentFromMs: null });
});

test('transactions of a partition are numbered from partition × 2²⁵ + 1', () => {
  const world = new TestWorld({ partitions: 16 });
  const [charger] = demoSite(world, { connectors: 2 });
  const base = world.partitionOf('demo').partition * 2 ** 25;
  expect(charger!.start().transaction).toBe(base + 1);
  expect(charger!.start({ connector: 2 }).transaction).toBe(base + 2);
});

test.each([['NOBODY', 'Unknown']])('a start with tag %s gets a real transaction and the status %s', (tag, status) => {
  const { charger } = setUp();
  const answer = charger.start({ tag });
  expect(answer).toEqual({ transaction: 1, token: { status, expiresAt: null, group: null } });
  expect(charger.session(1)).toMatchObject({ value: 'started', context: { tag, tagStatus: status } });
});

test('a resent start and a resent stop get the very same answers and change nothing', () => {
  const { world, charger, t0 } = setUp();
  const start = charger.start({ meterStartWh: 5 });
  charger.meter(start.transaction, { w: 1_000, wh: 5 });
  world.advance(60_000);
  const stop = charger.stop(start.transaction, { meterStopWh: 20, tag: 'TAG-1' });
  const stopAt = world.now;
  world.advance(24 * 3_600_000);
  for (let i = 0; i < 40; i++) charger.authorize('TAG-2');
  const before = world.partitions[0]!.images();
  const events = world.events.length;
  expect(charger.start({ meterStartWh: 5, at: t0 })).toEqual(start);
  expect(charger.stop(start.transaction, { meterStopWh: 20, tag: 'TAG-1', at: stopAt })).toEqual(stop);
  expect(world.partitions[0]!.images()).toEqual(before);
  expect(world.events.length).toBe(events);
});

test('a second, different stop is answered; the first stands and the session is disputed once', () => {
  const { world, charger } = setUp();
  charger.start();
  world.advance(3_600_000);
  charger.stop(1, { meterStopWh: 900 });
  const at = world.now + 5;
  expect(charger.stop(1, { meterStopWh: 950, at })).toEqual({ transaction: 1, token: null });
  expect(charger.stop(1, { meterStopWh: 950, at })).toEqual({ transaction: 1, token: null });
  expect(charger.session(1)).toMatchObject({ context: { energyWh: 900, flags: ['disputed'], version: 2 } });
  expect(reasons(world)).toEqual(['disputed']);
});

test('a new start on the connector supersedes the open session with its last sample; its real stop reopens it', () => {
  const { world, charger, t0 } = setUp();
  charger.start({ meterStartWh: 0 });
  world.advance(3_600_000);
  charger.meter(1, { w: 5_000, wh: 5_000 });
  world.advance(600_000);
  const second = charger.start({ tag: 'TAG-2', meterStartWh: 5_800 });
  expect(second.transaction).toBe(2);
  expect(endings(world)).toMatchObject([
    {
      transaction: 1,
      endAt: t0 + 4_200_000,
      energyWh: 5_000,
      meterStopWh: 5_000,
      reason: 'Superseded',
      flags: ['superseded'],
      version: 1,
    },
  ]);
  charger.stop(1, { at: t0 + 4_100_000, meterStopWh: 5_700 });
  expect(endings(world)[1]).toMatchObject({
    transaction: 1,
    endAt: t0 + 4_100_000,
    energyWh: 5_700,
    reason: 'Local',
    flags: ['superseded'],
    version: 2,
  });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 2 });
  expect(charger.session(2)).toMatchObject({ value: 'started' });
});

test('a start from before the open session is closed by it', () => {
  const { world, charger, t0 } = setUp();
  charger.start({ at: t0 });
  charger.start({ at: t0 - 600_000, tag: 'TAG-2' });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 1 });
  expect(endings(world)).toMatchObject([{ transaction: 2, endAt: t0, flags: ['superseded'] }]);
});

test('samples with id 0 or −1 belong to the open session of the connector, and so does the stop', () => {
  const { world, charger } = setUp({ connectors: 2 });
  charger.start({ connector: 1, meterStartWh: 0 });
  charger.start({ connector: 2, tag: 'TAG-2', meterStartWh: 90_000 });
  world.advance(600_000);
  charger.meter(-1, { w: 6_000, wh: 1_000 }, 1);
  charger.meter(0, { w: 6_000, wh: 91_000 }, 2);
  world.advance(1_000);
  expect(charger.stop(-1, { meterStopWh: 1_001, tag: 'TAG-1' })).toMatchObject({ transaction: 1 });
  expect(charger.stop(-1, { meterStopWh: 91_001 })).toMatchObject({ transaction: 2 });
  expect(endings(world).map((e) => [e.transaction, e.energyWh, e.flags])).toEqual([
    [1, 1_001, ['repaired_id']],
    [2, 1_001, ['repaired_id']],
  ]);
  const stopAt = world.now;
  world.advance(5_000);
  expect(charger.stop(-1, { meterStopWh: 1_001, tag: 'TAG-1', at: stopAt })).toMatchObject({ transaction: 1 });
  expect(endings(world)).toHaveLength(2);
});

test('an orphan stop becomes an adopted session; without a known start its energy stays unknown until the start comes', () => {
  const { world, charger, t0 } = setUp();
  world.advance(7_200_000);
  const stop = charger.stop(777, { meterStopWh: 9_000, tag: 'TAG-1', at: t0 + 3_600_000 });
  expect(stop).toEqual({ transaction: 1, token: { status: 'Accepted', expiresAt: null, group: null } });
  expect(endings(world)[0]).toMatchObject({ transaction: 1, connector: 1, flags: ['adopted', 'unknown_start'] });
  expect(endings(world)[0]!.energyWh).toBeUndefined();
  expect(charger.stop(777, { meterStopWh: 9_000, tag: 'TAG-1', at: t0 + 3_600_000 })).toEqual(stop);
  expect(charger.start({ at: t0, meterStartWh: 2_000 })).toMatchObject({ transaction: 1 });
  expect(endings(world)[1]).toMatchObject({
    transaction: 1,
    startAt: t0,
    meterStartWh: 2_000,
    energyWh: 7_000,
    flags: ['adopted', 'late_start'],
    version: 2,
  });
  expect(charger.start({ at: t0, meterStartWh: 2_000 })).toMatchObject({ transaction: 1 });
  expect(endings(world)).toHaveLength(2);
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0 });
});

test('the energy of an adopted session begins at its first known register', () => {
  const { world, charger } = setUp();
  charger.meter(777, { w: 4_000, wh: 500 });
  world.advance(1_800_000);
  charger.meter(777, { w: 4_000, wh: 2_500 });
  charger.stop(777, { meterStopWh: 2_600 });
  expect(endings(world)[0]).toMatchObject({ energyWh: 2_100, meterStartWh: 500, flags: ['adopted'] });
  const { charger: other, world: elsewhere, t0 } = setUp();
  other.stop(5, {
    at: t0,
    meterStopWh: 2_600,
    samples: [...samplesOf({ at: t0 - 3_600_000, wh: 1_600 }), ...samplesOf({ at: t0, wh: 2_600 })],
  });
  expect(endings(elsewhere)[0]).toMatchObject({ startAt: t0 - 3_600_000, energyWh: 1_000 });
});

test('a start after an adopted stop is a session of its own', () => {
  const { world, charger } = setUp();
  charger.stop(777, { meterStopWh: 9_000, tag: 'TAG-1' });
  world.advance(60_000);
  expect(charger.start({ meterStartWh: 9_000 }).transaction).toBe(2);
});

test('a register that drops is a reset: the segments are summed and the session says so', () => {
  const { world, charger } = setUp();
  charger.start({ meterStartWh: 10_000 });
  const at = (ms: number, wh: number) => {
    world.advance(ms);
    charger.meter(1, { wh });
  };
  at(600_000, 11_000);
  at(600_000, 200);
  at(600_000, 700);
  world.advance(600_000);
  charger.stop(1, { meterStopWh: 1_000 });
  expect(endings(world)[0]).toMatchObject({ energyWh: 1_000 + 800, flags: ['meter_reset'] });
});

test('a drop of 1 Wh is rounding: neither a reset nor energy', () => {
  const { world, charger } = setUp();
  charger.start({ meterStartWh: 100 });
  for (const wh of [101, 100, 101, 100, 101]) {
    world.advance(10_000);
    charger.meter(1, { wh });
  }
  charger.stop(1, { meterStopWh: 101 });
  expect(endings(world)[0]).toMatchObject({ energyWh: 1, flags: [] });
});

test('a jump beyond rated power × time × 1.5 is set aside and reported, and the charger gets its answer', () => {
  const { world, charger } = setUp();
  charger.start();
  world.advance(10_000);
  charger.meter(1, { w: 11_000, wh: 30 });
  world.advance(10_000);
  charger.meter(1, { w: 11_000, wh: 530_000 });
  world.advance(10_000);
  charger.meter(1, { w: 11_000, wh: 90 });
  charger.stop(1, { meterStopWh: 90 });
  expect(reasons(world)).toEqual(['implausible']);
  expect(endings(world)[0]).toMatchObject({ energyWh: 90, flags: ['implausible'] });
});

test('a stop that jumps is set aside too: what the samples proved counts', () => {
  const { world, charger } = setUp();
  charger.start();
  world.advance(600_000);
  charger.meter(1, { wh: 1_500 });
  world.advance(1_000);
  charger.stop(1, { meterStopWh: 999_999 });
  expect(endings(world)[0]).toMatchObject({ energyWh: 1_500, meterStopWh: 999_999, flags: ['implausible'] });
});

test('without a usable clock nothing is judged by time', () => {
  const { world, charger } = setUp();
  charger.start({ clock: true });
  world.advance(100);
  charger.stop(1, { meterStopWh: 8_000, clock: true });
  expect(endings(world)[0]).toMatchObject({ energyWh: 8_000, flags: ['clock'] });
});

test('a charger without a register is settled by the integral of its power, flagged', () => {
  const { world, charger } = setUp();
  charger.start();
  charger.meter(1, { w: 6_000 });
  world.advance(1_800_000);
  charger.meter(1, { w: 0 });
  charger.stop(1, { meterStopWh: 0 });
  expect(endings(world)[0]).toMatchObject({ energyWh: 3_000, flags: ['integral'] });
});

test('samples from before the end that come after it settle the session anew; later ones go to quarantine, once', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  world.advance(600_000);
  charger.stop(1, { meterStopWh: 1_000 });
  world.advance(60_000);
  charger.meter(1, { at: t0 + 300_000, wh: 500 });
  expect(endings(world).map((e) => [e.version, e.energyWh])).toEqual([
    [1, 1_000],
    [2, 1_000],
  ]);
  const late = samplesOf({ at: t0 + 600_001, wh: 1_001 });
  charger.meter(1, late);
  charger.meter(1, late);
  charger.meter(1, { at: t0 + 300_000, wh: 500 });
  expect(reasons(world)).toEqual(['late_value']);
  expect(endings(world)).toHaveLength(2);
  expect(world.payloads('meter')).toHaveLength(1);
});

test('a resent sample makes no second event; the same sample with another value goes to quarantine, once', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  charger.meter(1, { at: t0 + 1_000, w: 5_000, wh: 1 });
  charger.meter(1, { at: t0 + 1_000, w: 5_000, wh: 1 });
  charger.meter(1, { at: t0 + 1_000, w: 6_000, wh: 1 });
  charger.meter(1, { at: t0 + 1_000, w: 6_000, wh: 1 });
  expect(world.payloads('meter').map((m) => m.samples.length)).toEqual([2]);
  expect(reasons(world)).toEqual(['conflict']);
  expect(charger.state.context.connectors[0]).toMatchObject({ powerW: 5_000 });
});

test('a message with known and new samples brings only the new ones', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  charger.meter(1, samplesOf({ at: t0 + 1_000, w: 5_000 }));
  charger.meter(1, [
    ...samplesOf({ at: t0 + 1_000, w: 5_000 }),
    ...samplesOf({ at: t0 + 2_000, w: 6_000 }),
    ...samplesOf({ at: t0 + 2_000, w: 6_000 }),
  ]);
  expect(world.payloads('meter').map((m) => m.samples.map((s) => s.value))).toEqual([['5000'], ['6000']]);
});

test('the samples that a stop carries are new only where they were not sent before', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  charger.meter(1, { at: t0 + 10_000, wh: 20 });
  world.advance(20_000);
  charger.stop(1, {
    meterStopWh: 40,
    samples: [...samplesOf({ at: t0 + 10_000, wh: 20 }), ...samplesOf({ at: t0 + 20_000, wh: 40 })],
  });
  expect(world.payloads('meter').map((m) => [m.transaction, m.samples.map((s) => s.value)])).toEqual([
    [1, ['20']],
    [1, ['40']],
  ]);
});

test('late values never change present power', () => {
  const { world, charger, t0 } = setUp();
  charger.start({ at: t0 - 60_000 });
  charger.meter(1, { at: t0, w: 7_000 });
  charger.meter(1, { at: t0 - 30_000, w: 3_000 });
  expect(charger.state.context.connectors[0]).toMatchObject({ powerW: 7_000, lastSampleAt: t0 });
  expect(world.payloads('meter')).toHaveLength(2);
});

test('power is the total, else the sum over the phases, else what the register gained', () => {
  const { world, charger, t0 } = setUp();
  charger.start({ at: t0 });
  const w = (at: number, phase: string, value: string, unit = 'W', location = 'Outlet') => ({
    at,
    measurand: 'Power.Active.Import',
    phase,
    location,
    context: 'Sample.Periodic',
    unit,
    value,
  });
  const power = () => charger.state.context.connectors[0]!.powerW;
  charger.meter(1, [
    w(t0 + 1, 'L1', '1.5', 'kW'),
    w(t0 + 1, 'L2', '1.5', 'kW'),
    w(t0 + 1, 'L3', '1000.4'),
    w(t0 + 1, 'L1', '9999', 'W', 'Inlet'),
  ]);
  expect(power()).toBe(4_000);
  charger.meter(1, [w(t0 + 2, 'L1', '1'), w(t0 + 2, '', '2000')]);
  expect(power()).toBe(2_000);
  charger.meter(1, { at: t0 + 10, wh: 0 });
  world.advance(3_600_000);
  charger.meter(1, { at: t0 + 10 + 3_600_000, wh: 5_000 });
  expect(power()).toBe(5_000);
  charger.meter(1, [w(t0 + 3_700_000, '', '9'.repeat(13))]);
  expect(power()).toBe(5_000);
});

test('samples outside sessions are kept once and draw nothing', () => {
  const { world, charger, t0 } = setUp();
  charger.meter(null, { at: t0, w: 9_000, wh: 5 }, 0);
  charger.meter(null, { at: t0, w: 9_000, wh: 5 }, 0);
  charger.meter(null, { at: t0, w: 9_000 }, 1);
  expect(world.payloads('meter').map((m) => [m.connector, m.transaction, m.samples.length])).toEqual([
    [0, null, 2],
    [1, null, 1],
  ]);
  world.advance(12_000);
  expect(world.payloads('price').at(-1)).toMatchObject({ loadW: 0 });
});

test('the clock-aligned samples of a connector count for its open session', () => {
  const { world, charger } = setUp();
  charger.start();
  charger.meter(null, { w: 4_000, wh: 0 });
  expect(world.payloads('meter')[0]).toMatchObject({ transaction: 1 });
  expect(charger.state.context.connectors[0]).toMatchObject({ powerW: 4_000 });
});

test('thirty days after its end a session is forgotten with all its sample keys', () => {
  const { world, charger } = setUp();
  charger.start();
  for (let i = 0; i < 3; i++) {
    world.advance(blockMs);
    charger.meter(1, { wh: 100 * i });
  }
  charger.stop(1, { meterStopWh: 300 });
  const kept = () => world.partitions[0]!.images().filter(([name]) => /^(session|sample_keys)\|/.test(name)).length;
  expect(kept()).toBe(4);
  world.jumpTo(world.now + sessionKeptMs - 1);
  expect(kept()).toBe(4);
  world.advance(1);
  expect(kept()).toBe(0);
});

test('a start on connector 0 of a charger with one connector is a start on it', () => {
  const { charger } = setUp();
  charger.start({ connector: 0 });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 1 });
});

test('a session that was open before the charger came here keeps its past start', () => {
  const { world, charger, t0 } = setUp({ ratedW: 6_600 });
  charger.start({ at: t0 - 7_200_000, meterStartWh: 0 });
  charger.meter(1, { w: 6_600, wh: 9_000 });
  world.advance(12_000);
  expect(world.payloads('price').at(-1)).toMatchObject({ loadW: 6_600 });
  charger.stop(1, { meterStopWh: 9_022 });
  expect(endings(world)[0]).toMatchObject({ startAt: t0 - 7_200_000, energyWh: 9_022, flags: [] });
});
