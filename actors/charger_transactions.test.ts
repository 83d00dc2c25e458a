/** Transactions that chargers name themselves, whatever order their events come in. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { customerAddress, nameAddress, stationAddress } from './addresses.ts';
import type { EnergyMeteredBody } from './schema/customer_internal.ts';
import type { SessionState, StationState } from './schema/entities.ts';
import { demoSite, samplesOf, TestWorld, type DemoOptions, type TestCharger } from './testing.ts';
import { systemBalance } from './testing_customers.ts';

const slotMs = 12_000;
const hour = 3_600_000;

/** TAG-1 is ada's, TAG-2 nobody's. */
function setUp(options: DemoOptions = {}) {
  const world = new TestWorld();
  const [charger] = demoSite(world, { ratedW: 22_000, capacityW: 1_000_000, ...options });
  world.ask(customerAddress('ada'), 'customer.open', { name: 'Ada' });
  world.ask(customerAddress('ada'), 'customer.deposit', { amountE5Sek: 100_000_000 });
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', {
    ...{ customer: 'ada', group: null, status: 'Accepted', expiresAt: null },
  });
  world.advance(slotMs);
  return { world, charger: charger!, t0: world.now };
}
const register = (at: number, wh: number, w?: number) => samplesOf(w === undefined ? { at, wh } : { at, w, wh });
const sessionOf = (charger: TestCharger, transaction = 1): SessionState => charger.session(transaction)!.context;
const reasons = (world: TestWorld) =>
  world
    .payloads('charger')
    .filter(({ kind }) => kind === 'event')
    .map(({ detail }) => detail['reason']);
const billedWh = (world: TestWorld) =>
  world.bodies<EnergyMeteredBody>('energy.metered').reduce((sum, { parts }) => {
    for (const { energyWh } of parts) sum += energyWh;
    return sum;
  }, 0);

test('a transaction is its events: the tag of the start pays, the registers of its samples are its energy', () => {
  const { world, charger, t0 } = setUp();
  expect(charger.tell('Started', 'tx-1', { tag: 'TAG-1', samples: register(t0, 1_000), remoteStartId: 7 })).toEqual({
    transaction: 1,
    token: { status: 'Accepted', expiresAt: null, group: null },
  });
  world.advance(600_000);
  const reading = { seq: 1, samples: register(t0 + 600_000, 2_500, 9_000) };
  expect(charger.tell('Updated', 'tx-1', reading)).toEqual({ transaction: 1, token: null });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 1, powerW: 9_000, lastEnergyWh: 2_500 });
  world.advance(600_000);
  const end = { seq: 2, tag: 'TAG-2', reason: 'Remote', samples: register(t0 + 1_200_000, 4_000) };
  expect(charger.tell('Ended', 'tx-1', end)).toMatchObject({ transaction: 1, token: { status: 'Accepted' } });
  expect(sessionOf(charger)).toMatchObject({
    ...{ reference: 'tx-1', remoteStartId: 7, tag: 'TAG-1', customer: 'ada', energyWh: 3_000, reason: 'Remote' },
    ...{ startAt: t0, endAt: t0 + 1_200_000, meterStartWh: 1_000, meterStopWh: 4_000, flags: [], version: 1 },
  });
  expect(billedWh(world)).toBe(3_000);
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0, powerW: 0 });
});

test('events that come again, under other message ids, get the same answers and change nothing', () => {
  const { world, charger, t0 } = setUp();
  const events = (): unknown[] => [
    charger.tell('Started', 'tx-1', { at: t0, tag: 'TAG-1', samples: register(t0, 0) }),
    charger.tell('Updated', 'tx-1', { at: t0 + 1, seq: 1, tag: 'TAG-1', trigger: 'Authorized' }),
    charger.tell('Updated', 'TX-1', { at: t0 + 9, seq: 2, trigger: 'ChargingStateChanged', chargingState: 'Charging' }),
    charger.tell('Ended', 'tx-1', { at: t0 + 60_000, seq: 3, tag: 'TAG-1', samples: register(t0 + 60_000, 90) }),
  ];
  const first = events();
  world.advance(60_000);
  const before = world.partitions[0]!.images();
  const told = world.events.length;
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', {
    ...{ customer: 'ada', group: null, status: 'Blocked', expiresAt: null },
  });
  expect(events()).toEqual(first);
  const kept = (images: [string, unknown[]][]) => images.filter(([name]) => !/^(tag|name|roster)\|/.test(name));
  expect(kept(world.partitions[0]!.images())).toEqual(kept(before));
  expect(world.events.slice(told).filter(({ kind }) => kind !== 'price' && kind !== 'load')).toEqual([]);
});

test('a session that began when the cable was plugged in belongs to whoever shows a tag first', () => {
  const { world, charger, t0 } = setUp();
  expect(charger.tell('Started', 'tx', { trigger: 'CablePluggedIn', samples: register(t0, 100) }).token).toBeNull();
  expect(sessionOf(charger)).toMatchObject({ tag: '', customer: null });
  world.advance(60_000);
  const unknown = charger.tell('Updated', 'tx', { seq: 1, tag: 'NOBODY', trigger: 'Authorized' });
  expect(unknown.token).toMatchObject({ status: 'Unknown' });
  expect(charger.tell('Updated', 'tx', { seq: 2, tag: 'TAG-1', trigger: 'Authorized' }).token?.status).toBe('Accepted');
  expect(world.bodies('credit.hold')).toEqual([{ site: 'demo', station: 'nord-1', transaction: 1, tag: 'TAG-1' }]);
  world.advance(60_000);
  charger.tell('Updated', 'tx', { seq: 3, tag: 'TAG-2', trigger: 'StopAuthorized', samples: register(world.now, 400) });
  charger.tell('Ended', 'tx', { seq: 4, samples: register(world.now, 400) });
  expect(sessionOf(charger)).toMatchObject({ tag: 'TAG-1', customer: 'ada', energyWh: 300 });
  expect([billedWh(world), systemBalance(world, 'Wh', 'station:nord-1:unassigned')]).toEqual([300, 0]);
});

test('an end that comes first is adopted, and its start merges into it: one session, billed once', () => {
  const { world, charger, t0 } = setUp();
  world.advance(hour);
  const end = { at: t0 + 1_800_000, seq: 5, connector: 1, tag: 'TAG-1', samples: register(t0 + 1_800_000, 9_000) };
  expect(charger.tell('Ended', 'tx', end)).toMatchObject({ transaction: 1, token: { status: 'Accepted' } });
  expect(sessionOf(charger)).toMatchObject({ energyWh: null, customer: null, flags: ['adopted', 'unknown_start'] });
  expect(charger.state.context.connectors[0]!.transaction).toBe(0);
  charger.tell('Updated', 'tx', { at: t0 + 60_000, seq: 1, samples: register(t0 + 60_000, 4_500) });
  expect(sessionOf(charger)).toMatchObject({ energyWh: 4_500, startAt: t0 + 60_000, flags: ['adopted'] });
  expect(systemBalance(world, 'Wh', 'station:nord-1:unassigned')).toBe(4_500);
  charger.tell('Started', 'tx', { at: t0, tag: 'TAG-1', samples: register(t0, 4_000) });
  expect(sessionOf(charger)).toMatchObject({ energyWh: 5_000, startAt: t0, meterStartWh: 4_000, customer: 'ada' });
  expect([billedWh(world), systemBalance(world, 'Wh', 'station:nord-1:unassigned')]).toEqual([5_000, 0]);
  expect(charger.session(2)).toBeUndefined();
});

test('an event in between that comes first begins the session; the start then says where it really began', () => {
  const { world, charger, t0 } = setUp({ connectors: 2 });
  charger.tell('Updated', 'tx', { at: t0 + 30_000, seq: 2, samples: register(t0 + 30_000, 600, 7_000) });
  expect(sessionOf(charger)).toMatchObject({ connector: 0, startAt: t0 + 30_000, meterStartWh: 600 });
  charger.tell('Started', 'tx', { at: t0, connector: 2, tag: 'TAG-1', samples: register(t0, 500) });
  expect(sessionOf(charger)).toMatchObject({ connector: 2, startAt: t0, meterStartWh: 500, tag: 'TAG-1' });
  expect(charger.state.context.connectors[1]).toMatchObject({ transaction: 1 });
  world.advance(60_000);
  charger.tell('Ended', 'tx', { at: t0 + 60_000, seq: 3, samples: register(t0 + 60_000, 700) });
  expect(sessionOf(charger)).toMatchObject({ energyWh: 200, flags: ['late_start'] });
  expect(charger.state.context.connectors[1]).toMatchObject({ transaction: 0 });
  expect(billedWh(world)).toBe(200);
});

test('where no event tells a register before the end, the energy is not known', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'tx', { tag: 'TAG-1' });
  world.advance(60_000);
  charger.tell('Ended', 'tx', { seq: 1, samples: register(world.now, 9_000) });
  expect(sessionOf(charger)).toMatchObject({ energyWh: null, flags: ['unknown_start'] });
  expect(billedWh(world)).toBe(0);
  charger.tell('Updated', 'tx', { at: t0 + 1_000, seq: 2, samples: register(t0 + 1_000, 8_990) });
  expect(sessionOf(charger)).toMatchObject({ energyWh: 10, flags: [] });
});

test('an end without a register counts up to the newest sample, also one that comes later', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'tx', { tag: 'TAG-1', samples: register(t0, 0) });
  world.advance(120_000);
  charger.tell('Updated', 'tx', { at: t0 + 60_000, seq: 1, samples: register(t0 + 60_000, 150) });
  charger.tell('Ended', 'tx', { at: t0 + 120_000, seq: 3 });
  expect(world.payloads('session').at(-1)).toMatchObject({ energyWh: 150, meterStopWh: 150 });
  charger.tell('Updated', 'tx', { at: t0 + 119_000, seq: 2, samples: register(t0 + 119_000, 290) });
  expect(world.payloads('session').at(-1)).toMatchObject({ energyWh: 290, meterStopWh: 290, version: 2 });
});

test('nothing reopens what has ended: later samples go to quarantine, a second end disputes it', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'tx', { tag: 'TAG-1', samples: register(t0, 0) });
  world.advance(60_000);
  charger.tell('Ended', 'tx', { seq: 1, samples: register(world.now, 100) });
  world.advance(60_000);
  charger.tell('Updated', 'tx', { seq: 2, samples: register(world.now, 150, 5_000) });
  charger.tell('Ended', 'tx', { seq: 3, samples: register(world.now, 180) });
  expect(charger.session(1)).toMatchObject({ value: 'ended', context: { energyWh: 100, flags: ['disputed'] } });
  expect(reasons(world)).toEqual(['late_value', 'disputed']);
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0, powerW: 0 });
  expect(charger.session(2)).toBeUndefined();
});

test('a second start that says something else is kept for an operator, once; the first stands', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'tx', { tag: 'TAG-1', samples: register(t0, 0) });
  const other = { seq: 9, tag: 'TAG-2', samples: register(t0 + 5_000, 20) };
  for (let i = 0; i < 2; i++) expect(charger.tell('Started', 'tx', other).transaction).toBe(1);
  expect(reasons(world)).toEqual(['conflict']);
  expect(sessionOf(charger)).toMatchObject({ tag: 'TAG-1', startAt: t0, registerWh: 20 });
});

test('the next transaction on a connector closes the one before; its end, delivered late, says how it really was', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'a', { samples: register(t0, 0) });
  world.advance(120_000);
  charger.tell('Started', 'b', { samples: register(world.now, 500) });
  expect(sessionOf(charger, 1)).toMatchObject({ reason: 'Superseded', energyWh: 0 });
  charger.tell('Ended', 'a', { at: t0 + 110_000, seq: 1, samples: register(t0 + 110_000, 490) });
  expect(sessionOf(charger, 1)).toMatchObject({ reason: 'Local', energyWh: 490, endAt: t0 + 110_000 });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 2 });
});

test('what was told offline is marked, and a charger that ends a session for want of permission says so', () => {
  const { world, charger, t0 } = setUp();
  charger.tell('Started', 'tx', { tag: 'TAG-1', offline: true, samples: register(t0, 0) });
  charger.tell('Updated', 'tx', { seq: 1, trigger: 'Deauthorized', chargingState: 'EVConnected' });
  charger.tell('Ended', 'tx', { seq: 2, reason: 'DeAuthorized', samples: register(t0 + 1, 0) });
  expect(sessionOf(charger)).toMatchObject({ flags: ['offline'], reason: 'DeAuthorized' });
  expect(reasons(world)).toEqual(['deauthorized']);
});

test('a car that only stands there draws nothing, however long it says nothing; once it charges, silence counts', () => {
  const { world, charger } = setUp({ ratedW: 11_000 });
  const loadW = () => world.payloads('price').at(-1)!.loadW;
  charger.tell('Started', 'tx', { trigger: 'CablePluggedIn', chargingState: 'EVConnected' });
  world.advance(600_000);
  expect(loadW()).toBe(0);
  const state = (seq: number, chargingState: string) =>
    charger.tell('Updated', 'tx', { seq, trigger: 'ChargingStateChanged', chargingState });
  state(1, 'Charging');
  world.advance(60_000);
  expect(loadW()).toBe(11_000);
  charger.tell('Updated', 'tx', { seq: 2, samples: register(world.now, 100, 7_000) });
  world.advance(24_000);
  expect(loadW()).toBe(7_000);
  state(3, 'SuspendedEV');
  world.advance(600_000);
  expect(loadW()).toBe(0);
  state(4, 'Charging');
  world.advance(120_000);
  expect(loadW()).toBe(7_000);
});

test('a session from before chargers named their transactions is read as one that we number', () => {
  const { charger } = setUp();
  charger.start({ tag: 'TAG-1' });
  const { reference, remoteStartId, meterStartAt, startAt } = sessionOf(charger);
  expect([reference, remoteStartId, meterStartAt]).toEqual(['', null, startAt]);
});

// --- whatever order -----------------------------------------------------------------------------------------------------

type Event = (charger: TestCharger) => void;
const plans = fc.array(
  fc.record({
    gains: fc.array(fc.record({ s: fc.integer({ min: 1, max: 60 }), wh: fc.integer({ min: 0, max: 200 }) }), {
      minLength: 1,
      maxLength: 6,
    }),
    startTag: fc.constantFrom('', 'TAG-1', 'TAG-2', 'NOBODY'),
    laterTag: fc.constantFrom('', 'TAG-1', 'NOBODY'),
    stopTag: fc.constantFrom('', 'TAG-1', 'TAG-2'),
    startRegister: fc.boolean(),
    endRegister: fc.boolean(),
    connector: fc.constantFrom(1, 2),
  }),
  { minLength: 1, maxLength: 3 },
);

/** What a charger with two EVSEs goes through, one session after the other, and when it was over. */
function eventsOf(plan: typeof plans extends fc.Arbitrary<infer T> ? T : never, t0: number) {
  const events: Event[] = [];
  let [at, wh] = [t0, 1_000];
  plan.forEach(({ gains, startTag, laterTag, stopTag, startRegister, endRegister, connector }, n) => {
    const reference = `tx-${n}`;
    let seq = 0;
    const say = (type: 'Started' | 'Updated' | 'Ended', told: Parameters<TestCharger['tell']>[2]) => {
      const event = { seq: seq++, connector, ...told, at };
      events.push((charger) => void charger.tell(type, reference, event));
    };
    say('Started', { tag: startTag, remoteStartId: n, samples: startRegister ? register(at, wh) : [] });
    at += 1_000;
    // Nobody authorises a transaction with two tags; a tag nobody knows is none.
    const known = /^TAG/.test(startTag);
    if (laterTag !== '') say('Updated', { tag: known ? startTag : laterTag, trigger: 'Authorized' });
    for (const { s, wh: gain } of gains) {
      at += s * 1_000;
      wh += Math.min(gain, s * 6);
      say('Updated', { samples: register(at, wh) });
    }
    at += 1_000;
    say('Ended', { tag: stopTag, trigger: 'StopAuthorized', samples: endRegister ? register(at, wh) : [] });
    at += 30_000;
  });
  return { events, overAt: at };
}

function outcome(world: TestWorld) {
  const home = world.partitionOf('demo');
  const sessions = home.all<SessionState>('session').map((s) => ({
    ...{ reference: s.reference, connector: s.connector, tag: s.tag, customer: s.customer, reason: s.reason },
    ...{ startAt: s.startAt, endAt: s.endAt, meterStartWh: s.meterStartWh, energyWh: s.energyWh, samples: s.samples },
    ...{ remoteStartId: s.remoteStartId, unassignedWh: s.unassignedWh, unknown: s.flags.includes('unknown_start') },
  }));
  const rows = world.payloads('meter').flatMap(({ samples }) => samples.map((sample) => JSON.stringify(sample)));
  const perPrice = new Map<number, number>();
  for (const { parts } of world.bodies<EnergyMeteredBody>('energy.metered'))
    for (const { priceE5SekPerKwh, energyWh } of parts)
      perPrice.set(priceE5SekPerKwh, (perPrice.get(priceE5SekPerKwh) ?? 0) + energyWh);
  return {
    sessions: sessions.sort((a, b) => (a.reference < b.reference ? -1 : 1)),
    rows: rows.sort(),
    perPrice: [...perPrice].filter(([, energyWh]) => energyWh !== 0).sort(([a], [b]) => a - b),
    inventoryWh: systemBalance(world, 'Wh', 'station:nord-1:inventory'),
    transitWh: systemBalance(world, 'Wh', 'transit'),
    openConnectors: world
      .get<{ connectors: { transaction: number }[] }>({ kind: 'charger', key: 'demo', id: 'CP-1' })!
      .context.connectors.map(({ transaction }) => transaction),
  };
}

let count = 0;
/** Prices that change every slot: what orders elsewhere draw, half, all or more of the station. */
function changePrice(world: TestWorld) {
  const to = stationAddress('demo', 'nord-1');
  const { draws } = world.get<StationState>(to)!.context;
  const powerW = draws.powerW === 0 ? 900_000 : draws.powerW === 900_000 ? 1_100_000 : 0;
  world.ask(to, 'station.draw', { customer: 'bob', powerW, count: (count += 1) });
}

test('events in any order, any of them again: the same sessions, samples, energy and bills as in order', () => {
  fc.assert(
    fc.property(
      plans,
      fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 10 }),
      (plan, keys, again) => {
        const tell = (shuffled: boolean) => {
          const { world, charger, t0 } = setUp({ connectors: 2 });
          const { events, overAt } = eventsOf(plan, t0);
          while (world.now < overAt) {
            changePrice(world);
            world.advance(slotMs);
          }
          const order = events.map((_, i) => i);
          if (shuffled) order.sort((a, b) => keys[a % keys.length]! - keys[b % keys.length]! || a - b);
          for (const [n, i] of order.entries()) {
            events[i]!(charger);
            if (shuffled)
              for (const which of again) if (which % order.length === n) events[order[which % (n + 1)]!]!(charger);
          }
          return outcome(world);
        };
        expect(tell(true)).toEqual(tell(false));
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
