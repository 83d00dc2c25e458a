import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountAddress, customerAddress, nameAddress, sessionAddress, stationAddress } from './addresses.ts';
import { decodeImage, encodeImage } from './codec.ts';
import { session } from './session.ts';
import { periodsMax } from './session_billing.ts';
import type { AccountState, CustomerState } from './schema/customer_entities.ts';
import type { CreditHoldBody, EnergyMeteredBody } from './schema/customer_internal.ts';
import type { StationState } from './schema/entities.ts';
import type { Sample } from './schema/events.ts';
import { demoSite, samplesOf, TestWorld, type TestCharger } from './testing.ts';

const slotMs = 12_000;
const inTwelve = (world: TestWorld) => world.advanceTo((Math.floor(world.now / slotMs) + 1) * slotMs);

const ada = customerAddress('ada');
const wallet = (world: TestWorld) => world.get<CustomerState>(ada)!.context.sek;
/** TAG-1 is ada's, TAG-2 nobody's. Prices follow from what the test says the station draws. */
function setUp({ owned = true, depositE5Sek = 100_000_000 } = {}) {
  const world = new TestWorld({ partitions: 2 });
  const [charger] = demoSite(world, { ratedW: 22_000, capacityW: 1_000_000 });
  world.ask(ada, 'customer.open', { name: 'Ada' });
  if (depositE5Sek > 0) world.ask(ada, 'customer.deposit', { amountE5Sek: depositE5Sek });
  if (owned) putTag(world, 'ada');
  inTwelve(world);
  return { world, charger: charger!, t0: world.now };
}
const putTag = (world: TestWorld, customer: string | null, tag = 'TAG-1') =>
  world.ask(nameAddress('tag', tag), 'tag.put', { customer, group: null, status: 'Accepted', expiresAt: null });

let count = 0;
/** From the next border on the price is `factor` times the base price, by what orders elsewhere draw. */
function priceFromNext(world: TestWorld, factor: 1 | 2 | 3) {
  const to = stationAddress('demo', 'nord-1');
  const draw = (powerW: number) => world.ask(to, 'station.draw', { customer: 'bob', powerW, count: (count += 1) });
  const meanW = { 1: 0, 2: 900_000, 3: 1_100_000 }[factor];
  const elapsedMs = world.now % slotMs;
  const beforeW = world.get<StationState>(to)!.context.draws.powerW;
  draw(Math.round((meanW * slotMs - beforeW * elapsedMs) / (slotMs - elapsedMs)));
  inTwelve(world);
  draw(meanW);
}
const bills = (world: TestWorld) => world.bodies<EnergyMeteredBody>('energy.metered');
const parts = (world: TestWorld) =>
  bills(world).map(({ parts: of }) => of.map(({ energyWh, priceE5SekPerKwh }) => [energyWh, priceE5SekPerKwh]));
const billedWh = (world: TestWorld) =>
  bills(world).reduce((sum, bill) => sum + bill.parts.reduce((s, part) => s + part.energyWh, 0), 0);
/** Energy per price, over all bills. */
function perPrice(world: TestWorld) {
  const sums = new Map<number, number>();
  for (const bill of bills(world))
    for (const { energyWh, priceE5SekPerKwh } of bill.parts)
      sums.set(priceE5SekPerKwh, (sums.get(priceE5SekPerKwh) ?? 0) + energyWh);
  return Object.fromEntries([...sums].filter(([, energyWh]) => energyWh !== 0));
}
const wh = (world: TestWorld, name: string) =>
  world.get<AccountState>(accountAddress(world.partitionOf('demo').partition, 'Wh', name))?.context.balance ?? 0;
const siteWh = (world: TestWorld) => ({
  inventory: wh(world, 'station:nord-1:inventory'),
  unassigned: wh(world, 'station:nord-1:unassigned'),
});
const sample = (world: TestWorld, charger: TestCharger, afterMs: number, registerWh: number) => {
  world.advance(afterMs);
  charger.meter(1, { w: 10_000, wh: registerWh });
};

test('a session over three price changes is billed to the unit, at the price in force at the earlier of two samples', () => {
  const { world, charger, t0 } = setUp();
  charger.start({ meterStartWh: 5_000 });
  sample(world, charger, 5_000, 5_007);
  priceFromNext(world, 2);
  sample(world, charger, 3_000, 5_040);
  sample(world, charger, 4_000, 5_051);
  priceFromNext(world, 3);
  sample(world, charger, 1_000, 5_074);
  priceFromNext(world, 1);
  sample(world, charger, 2_000, 5_101);
  world.advance(3_000);
  charger.stop(1, { meterStopWh: 5_113 });
  // ×1 from the start to the first sample at ×2, 40 Wh; ×2 to the first at ×3, 34; ×3 to the first at ×1, 27; the rest 12.
  expect(parts(world)).toEqual([[[40, 100_000]], [[34, 200_000]], [[27, 300_000]], [[12, 100_000]]]);
  const costE5Sek = parts(world)
    .flat()
    .reduce((sum, [energyWh, price]) => sum + (energyWh! * price!) / 1_000, 0);
  expect(costE5Sek).toBe(4_000 + 6_800 + 8_100 + 1_200);
  expect(wallet(world)).toEqual({ available: 100_000_000 - costE5Sek, pending: 0 });
  expect(bills(world).map(({ from, to, final, batch }) => [from - t0, to - t0, final, batch])).toEqual([
    [0, 15_000, false, 'session-1-1'],
    [15_000, 25_000, false, 'session-1-2'],
    [25_000, 38_000, false, 'session-1-3'],
    [38_000, 41_000, true, 'session-1-4'],
  ]);
  expect(bills(world)[0]).toMatchObject({
    site: 'demo',
    station: 'nord-1',
    charger: 'CP-1',
    transaction: 1,
    tag: 'TAG-1',
  });
  expect(siteWh(world)).toEqual({ inventory: -113, unassigned: 0 });
});

test('every bill and the way of its energy out of the inventory are one batch', () => {
  const { world, charger } = setUp();
  charger.start();
  sample(world, charger, 10_000, 30);
  world.advance(5_000);
  charger.stop(1, { meterStopWh: 42 });
  const legs = world.payloads('ledger').filter((batch) => batch.customer === null);
  expect(legs).toEqual([
    {
      customer: null,
      batch: 'session-1-1',
      kind: 'metered',
      cause: 'demo/1',
      at: world.now,
      legs: [
        { ledger: 'Wh', account: 'station:nord-1:inventory', amount: -42, balance: null },
        { ledger: 'Wh', account: 'transit', amount: 42, balance: null },
      ],
    },
  ]);
  expect(bills(world).map(({ batch }) => batch)).toEqual(['session-1-1']);
});

test('while the price stays, energy is gathered and billed 60 s after the last bill; a silent session sends none', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  for (let s = 10; s <= 150; s += 10) sample(world, charger, 10_000, 3 * s);
  expect(world.now).toBe(t0 + 150_000);
  // Due with the samples of 60 and 120 s, but the timer comes before them.
  expect(parts(world)).toEqual([[[150, 100_000]], [[180, 100_000]]]);
  world.advance(3_600_000);
  expect(parts(world)).toEqual([[[150, 100_000]], [[180, 100_000]], [[120, 100_000]]]);
  charger.stop(1, { meterStopWh: 450 });
  expect(bills(world).at(-1)).toMatchObject({ parts: [], final: true });
  expect(siteWh(world)).toEqual({ inventory: -450, unassigned: 0 });
});

test('a charger that samples less often than once a minute is billed with each sample', () => {
  const { world, charger } = setUp();
  charger.start();
  sample(world, charger, 300_000, 900);
  sample(world, charger, 300_000, 1_800);
  expect(parts(world)).toEqual([[[900, 100_000]], [[900, 100_000]]]);
});

test('the hour that begins with the same price is no change of price', () => {
  const { world, charger } = setUp();
  world.advance(3_600_000 - 12_000 - 5_000);
  charger.start();
  sample(world, charger, 2_000, 6);
  sample(world, charger, 20_000, 66);
  expect(bills(world)).toEqual([]);
  charger.stop(1, { meterStopWh: 70 });
  expect(parts(world)).toEqual([[[70, 100_000]]]);
});

test('a sample that comes late moves energy to the price it belongs to', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  priceFromNext(world, 3);
  sample(world, charger, 10_000, 60);
  expect(parts(world)).toEqual([[[60, 100_000]]]);
  charger.meter(1, { at: t0 + 13_000, w: 10_000, wh: 35 });
  charger.stop(1, { meterStopWh: 70 });
  expect(parts(world).slice(1)).toEqual([
    [
      [-25, 100_000],
      [35, 300_000],
    ],
  ]);
  expect(perPrice(world)).toEqual({ 100_000: 35, 300_000: 35 });
  expect(siteWh(world).inventory).toBe(-70);
});

test('late values after the end correct the bill, once, and say so', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  priceFromNext(world, 2);
  world.advance(10_000);
  charger.stop(1, { meterStopWh: 60 });
  expect(parts(world)).toEqual([[[60, 100_000]]]);
  const late = samplesOf({ at: t0 + 12_000, wh: 20 });
  charger.meter(1, late);
  charger.meter(1, late);
  expect(bills(world).slice(1)).toMatchObject([
    {
      parts: [
        { energyWh: -40, priceE5SekPerKwh: 100_000 },
        { energyWh: 40, priceE5SekPerKwh: 200_000 },
      ],
      final: true,
    },
  ]);
  expect(siteWh(world).inventory).toBe(-60);
});

test('a late value that contradicts its neighbours moves nothing', () => {
  const { world, charger, t0 } = setUp();
  charger.start();
  priceFromNext(world, 2);
  sample(world, charger, 2_000, 60);
  charger.meter(1, { at: t0 + 12_500, w: 10_000, wh: 900 });
  charger.stop(1, { meterStopWh: 60 });
  expect(perPrice(world)).toEqual({ 100_000: 60 });
});

test('the real stop of a superseded session brings what it still lacks', () => {
  const { world, charger } = setUp();
  charger.start();
  sample(world, charger, 30_000, 100);
  charger.start({ tag: 'TAG-2', meterStartWh: 130 });
  expect(bills(world)).toMatchObject([{ transaction: 1, parts: [{ energyWh: 100 }], final: true }]);
  const stop = { at: world.now + 10_000, meterStopWh: 120 };
  charger.stop(1, stop);
  expect(bills(world).slice(1)).toMatchObject([{ transaction: 1, parts: [{ energyWh: 20 }], final: true }]);
  charger.stop(1, stop);
  expect(bills(world)).toHaveLength(2);
});

test('a reset of the meter and a stop below the last register are billed as they are settled', () => {
  const reset = setUp();
  reset.charger.start({ meterStartWh: 1_000 });
  sample(reset.world, reset.charger, 60_000, 1_100);
  sample(reset.world, reset.charger, 60_000, 10);
  reset.world.advance(10_000);
  reset.charger.stop(1, { meterStopWh: 40 });
  expect(reset.charger.session(1)!.context.energyWh).toBe(130);
  expect(billedWh(reset.world)).toBe(130);

  const { world, charger } = setUp();
  charger.start({ meterStartWh: 1_000 });
  sample(world, charger, 60_000, 1_100);
  charger.stop(1, { meterStopWh: 1_099 });
  expect(charger.session(1)!.context.energyWh).toBe(99);
  expect(parts(world)).toEqual([[[100, 100_000]], [[-1, 100_000]]]);
});

test('a charger without a register is billed by its power while it runs and by what is settled in the end', () => {
  const { world, charger } = setUp();
  charger.start();
  charger.meter(1, { w: 6_000 });
  world.advance(600_000);
  charger.meter(1, { w: 6_000 });
  priceFromNext(world, 2);
  charger.meter(1, { w: 6_000 });
  world.advance(600_000);
  charger.meter(1, { w: 0 });
  charger.stop(1, { meterStopWh: 0 });
  // 10 min and one slot at ×1, 10 min at ×2.
  expect(charger.session(1)!.context).toMatchObject({ energyWh: 2_020, flags: ['integral'] });
  expect(perPrice(world)).toEqual({ 100_000: 1_020, 200_000: 1_000 });
});

test('nobody is asked and nobody billed for a tag without a customer: the energy is unassigned at the end', () => {
  const { world, charger } = setUp({ owned: false });
  charger.start({ meterStartWh: 100 });
  sample(world, charger, 60_000, 300);
  expect(siteWh(world)).toEqual({ inventory: 0, unassigned: 0 });
  world.advance(10_000);
  charger.stop(1, { meterStopWh: 350 });
  expect(siteWh(world)).toEqual({ inventory: -250, unassigned: 250 });
  expect(world.payloads('ledger').filter(({ customer }) => customer === null)).toMatchObject([
    {
      kind: 'metered',
      legs: [
        { account: 'station:nord-1:inventory', amount: -250 },
        { account: 'station:nord-1:unassigned', amount: 250 },
      ],
    },
  ]);
  expect(charger.start({ tag: 'NOBODY', meterStartWh: 350 }).transaction).toBe(2);
  world.advance(10_000);
  charger.stop(2, { meterStopWh: 360 });
  expect(siteWh(world)).toEqual({ inventory: -260, unassigned: 260 });
  expect([...bills(world), ...world.bodies('credit.hold')]).toEqual([]);
});

test('a session is billed to whom the tag belonged when it began', () => {
  const { world, charger } = setUp();
  charger.start();
  putTag(world, 'bob');
  charger.stop(1, { meterStopWh: 10 });
  expect(world.sent.filter(({ type }) => type === 'energy.metered').map(({ to }) => to.id)).toEqual(['ada']);
});

test('a start under a tag with a customer asks for credit, once; a refusal flags the session and it goes on', () => {
  const { world, charger } = setUp();
  const at = world.now;
  const answer = charger.start();
  const { transaction } = answer;
  expect(charger.start({ at })).toEqual(answer);
  expect(world.bodies<CreditHoldBody>('credit.hold')).toEqual([
    { site: 'demo', station: 'nord-1', transaction, tag: 'TAG-1' },
  ]);
  expect(charger.session(transaction)!.context.flags).toEqual([]);
  const say = (granted: boolean) => world.ask(sessionAddress('demo', transaction), 'credit.answered', { granted });
  say(false);
  say(false);
  expect(charger.session(transaction)!.context.flags).toEqual(['unfunded']);
  sample(world, charger, 10_000, 30);
  charger.stop(transaction, { meterStopWh: 30 });
  expect(world.payloads('session').at(-1)).toMatchObject({ state: 'ended', flags: ['unfunded'], version: 1 });
  expect(billedWh(world)).toBe(30);
});

test('with an empty wallet the session is unfunded, its energy is billed below zero and the tag starts no other', () => {
  const { world, charger } = setUp({ depositE5Sek: 0 });
  const { transaction, token } = charger.start();
  expect(token?.status).toBe('NoCredit');
  sample(world, charger, 10_000, 30);
  charger.stop(transaction, { meterStopWh: 30 });
  expect(charger.session(transaction)!.context.flags).toEqual(['unfunded']);
  expect(wallet(world)).toEqual({ available: -3_000, pending: 0 });
  expect(charger.authorize('TAG-1').status).toBe('NoCredit');
  world.ask(ada, 'customer.deposit', { amountE5Sek: 100_000 });
  expect(charger.authorize('TAG-1').status).toBe('Accepted');
});

test('a refusal that comes after the end is told with a new version of the session', () => {
  const { world, charger } = setUp();
  charger.start();
  charger.stop(1, { meterStopWh: 10 });
  world.ask(sessionAddress('demo', 1), 'credit.answered', { granted: false });
  expect(world.payloads('session').at(-1)).toMatchObject({ flags: ['unfunded'], version: 2, energyWh: 10 });
  expect(billedWh(world)).toBe(10);
});

test('a stop without a start is billed from the first known register, and by its start when that comes', () => {
  const { world, charger, t0 } = setUp();
  priceFromNext(world, 2);
  world.advance(600_000);
  charger.stop(777, { meterStopWh: 2_000, tag: 'TAG-1', samples: samplesOf({ at: t0 + 300_000, wh: 1_600 }) });
  expect(bills(world)).toMatchObject([{ parts: [{ energyWh: 400, priceE5SekPerKwh: 200_000 }], final: true }]);
  expect(world.bodies('credit.hold')).toEqual([]);
  charger.start({ at: t0, meterStartWh: 1_000 });
  // From the start at ×1 to the sample, which was at ×2.
  expect(bills(world).slice(1)).toMatchObject([{ parts: [{ energyWh: 600, priceE5SekPerKwh: 100_000 }], final: true }]);
  expect(siteWh(world).inventory).toBe(-1_000);
});

test('a late start after the first known register takes back what was billed before it', () => {
  const { world, charger, t0 } = setUp();
  world.advance(2_000);
  priceFromNext(world, 2);
  world.advance(600_000);
  const stop = { at: world.now, meterStopWh: 2_000, tag: 'TAG-1', samples: samplesOf({ at: t0 + 1_000, wh: 1_000 }) };
  charger.stop(777, stop);
  expect(parts(world)).toEqual([[[1_000, 100_000]]]);
  charger.start({ at: t0 + 300_000, meterStartWh: 1_400 });
  expect(parts(world).slice(1)).toEqual([
    [
      [-1_000, 100_000],
      [600, 200_000],
    ],
  ]);
  expect(siteWh(world).inventory).toBe(-600);
});

test(`a late start bills nothing twice when its session has forgotten the oldest of more than ${periodsMax} periods`, () => {
  const { world, charger, t0 } = setUp();
  const samples: Sample[] = [];
  for (let i = 0; i < periodsMax + 6; i++) {
    world.advance(1_000);
    samples.push(...samplesOf({ at: world.now, wh: 1_000 + 10 * i }));
    priceFromNext(world, i % 2 === 0 ? 2 : 1);
  }
  const gainedWh = 10 * (periodsMax + 5);
  charger.stop(777, { meterStopWh: 1_000 + gainedWh, tag: 'TAG-1', samples });
  expect(charger.session(1)!.context.periods).toHaveLength(periodsMax);
  expect(billedWh(world)).toBe(gainedWh);
  charger.start({ at: t0, meterStartWh: 970 });
  expect(parts(world).slice(1)).toEqual([[[30, 100_000]]]);
  expect(siteWh(world).inventory).toBe(-gainedWh - 30);
});

test('the late start of an adopted session finds who pays: what was unassigned goes back', () => {
  const { world, charger, t0 } = setUp();
  world.advance(600_000);
  charger.stop(777, { meterStopWh: 2_000, samples: samplesOf({ at: t0 + 300_000, wh: 1_600 }) });
  expect(siteWh(world)).toEqual({ inventory: -400, unassigned: 400 });
  charger.start({ at: t0, meterStartWh: 1_000 });
  expect(siteWh(world)).toEqual({ inventory: -1_000, unassigned: 0 });
  expect(parts(world)).toEqual([[[1_000, 100_000]]]);
});

test('a session from before there were customers is read, and its energy is unassigned', () => {
  const { world, charger } = setUp({ owned: false });
  charger.start({ meterStartWh: 40 });
  const { context } = charger.session(1)!;
  const added = ['customer', 'periods', 'batches', 'billedTo', 'billedAt', 'billDueAt', 'unassignedWh'];
  const before = encodeImage(session, 'started', context).slice(0, -added.length);
  expect(decodeImage(session, before, 1)).toEqual({ value: 'started', context });
  world.advance(10_000);
  charger.stop(1, { meterStopWh: 60 });
  expect(siteWh(world)).toEqual({ inventory: -20, unassigned: 20 });
});

test(`a session over more than ${periodsMax} price periods forgets the oldest and still bills each watt-hour once`, () => {
  const { world, charger } = setUp();
  charger.start();
  let register = 0;
  for (let i = 0; i < periodsMax + 12; i++) {
    priceFromNext(world, i % 2 === 0 ? 2 : 1);
    sample(world, charger, 1_000, (register += 10));
  }
  expect(charger.session(1)!.context.periods).toHaveLength(periodsMax);
  charger.stop(1, { meterStopWh: register });
  expect(perPrice(world)).toEqual({ 100_000: register / 2, 200_000: register / 2 });
  expect(siteWh(world).inventory).toBe(-register);
});

test('a car that is full stands through any number of price changes without its session growing', () => {
  const { world, charger } = setUp();
  charger.start();
  sample(world, charger, 1_000, 10);
  for (let i = 0; i < periodsMax + 12; i++) {
    priceFromNext(world, i % 2 === 0 ? 2 : 1);
    sample(world, charger, 1_000, 10);
  }
  expect(charger.session(1)!.context.periods).toHaveLength(periodsMax);
  priceFromNext(world, 3);
  sample(world, charger, 1_000, 10);
  sample(world, charger, 1_000, 15);
  charger.stop(1, { meterStopWh: 15 });
  expect(perPrice(world)).toEqual({ 100_000: 10, 300_000: 5 });
  expect(siteWh(world).inventory).toBe(-15);
});

// --- laws -----------------------------------------------------------------------------------------------------------------

interface Reading {
  at: number;
  wh: number;
}

/** The bill worked out by hand from all readings in their order: energy to the next reading, at the price of this one. */
function byHand(readings: readonly Reading[], stopWh: number, priceOf: (at: number) => number) {
  const sums = new Map<number, number>();
  readings.forEach(({ at, wh: from }, i) => {
    const until = readings[i + 1]?.wh ?? stopWh;
    sums.set(priceOf(at), (sums.get(priceOf(at)) ?? 0) + until - from);
  });
  return Object.fromEntries([...sums].filter(([, energyWh]) => energyWh !== 0));
}

const plans = fc.record({
  factors: fc.array(fc.constantFrom(1 as const, 2 as const, 3 as const), { minLength: 1, maxLength: 6 }),
  gains: fc.array(fc.record({ afterMs: fc.integer({ min: 1, max: 9 }), wh: fc.integer({ min: 0, max: 5 }) }), {
    minLength: 1,
    maxLength: 14,
  }),
  order: fc.array(fc.nat(40), { minLength: 14, maxLength: 14 }),
  again: fc.array(fc.nat(13), { maxLength: 5 }),
  sentAfterStop: fc.nat(5),
});

test('samples twice, late and in any order: the bills add up to the register difference, and cost what they do in order', () => {
  fc.assert(
    fc.property(plans, ({ factors, gains, order, again, sentAfterStop }) => {
      const { world, charger, t0 } = setUp();
      charger.start({ meterStartWh: 500 });
      for (const factor of factors) priceFromNext(world, factor);
      const known = world.payloads('price');
      const priceOf = (at: number) => known.filter(({ producedAt }) => producedAt <= at).at(-1)!.priceE5SekPerKwh;
      const readings: Reading[] = [{ at: t0, wh: 500 }];
      for (const { afterMs, wh: gain } of gains) {
        const last = readings.at(-1)!;
        readings.push({ at: last.at + afterMs * 1_000, wh: last.wh + gain });
      }
      const samples = readings.slice(1);
      const stopWh = readings.at(-1)!.wh + 3;
      world.advanceTo(Math.max(world.now, readings.at(-1)!.at + 1_000));
      const shuffled = samples.map((reading, i) => ({ reading, key: order[i]! })).sort((a, b) => a.key - b.key);
      const say = ({ at, wh: registerWh }: Reading) => charger.meter(1, { at, w: 10_000, wh: registerWh });
      const late = shuffled.splice(Math.max(0, shuffled.length - sentAfterStop));
      shuffled.forEach(({ reading }, i) => {
        say(reading);
        for (const which of again) if (which <= i) say(shuffled[which]!.reading);
        world.advance(20_000);
      });
      charger.stop(1, { at: readings.at(-1)!.at + 500, meterStopWh: stopWh });
      for (const { reading } of late) say(reading);
      expect(billedWh(world)).toBe(stopWh - 500);
      expect(charger.session(1)!.context.energyWh).toBe(stopWh - 500);
      expect(siteWh(world)).toEqual({ inventory: -(stopWh - 500), unassigned: 0 });
      expect(perPrice(world)).toEqual(byHand(readings, stopWh, priceOf));
      expect(bills(world).filter(({ final }) => final).length).toBeGreaterThan(0);
    }),
    { numRuns: 80 },
  );
}, 60_000);
