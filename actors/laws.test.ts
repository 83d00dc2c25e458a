import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gatewayAddress, nameAddress, stationAddress } from './addresses.ts';
import type { SessionState } from './schema/entities.ts';
import { demoSite, samplesOf, TestWorld, type TestCharger } from './testing.ts';
import { checkBooks, systemBalance } from './testing_customers.ts';

/** What a charger has to say, with the times and registers of its own; each deed can be said again word for word. */
type Deed = (charger: TestCharger) => void;
interface History {
  deeds: Deed[];
  kinds: ('start' | 'meter' | 'stop')[];
}

const periods = fc.array(
  fc.record({ s: fc.integer({ min: 1, max: 900 }), powerW: fc.integer({ min: 0, max: 11_040 }), gap: fc.boolean() }),
  { minLength: 1, maxLength: 8 },
);
const sessions = fc.array(
  fc.record({
    periods,
    tag: fc.constantFrom('TAG-1', 'TAG-2', 'NOBODY'),
    unacknowledged: fc.boolean(),
    inStop: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

function historyOf(plan: typeof sessions extends fc.Arbitrary<infer T> ? T : never, t0: number): History {
  const history: History = { deeds: [], kinds: [] };
  const say = (kind: History['kinds'][number], deed: Deed) => {
    history.deeds.push(deed);
    history.kinds.push(kind);
  };
  let at = t0;
  let wh = 1_000;
  let next = 1;
  for (const { periods, tag, unacknowledged, inStop } of plan) {
    const transaction = next++;
    const id = unacknowledged ? -1 : transaction;
    const startAt = at;
    const meterStartWh = wh;
    say('start', (charger) => expect(charger.start({ at: startAt, tag, meterStartWh }).transaction).toBe(transaction));
    for (const { s, powerW, gap } of periods) {
      at += s * 1_000;
      wh += Math.floor((powerW * s) / 3_600);
      const values = { at, w: powerW, wh };
      if (!gap) say('meter', (charger) => charger.meter(id, values));
    }
    at += 1_000;
    const stop = { at, meterStopWh: wh, tag, samples: inStop ? samplesOf({ at: at - 1_000, wh }) : [] };
    say('stop', (charger) => expect(charger.stop(id, stop).transaction).toBe(transaction));
    at += 60_000;
  }
  return history;
}

function sessionsOf(world: TestWorld, site = 'demo') {
  const home = world.partitionOf(site);
  return home
    .images()
    .filter(([name]) => name.startsWith('session|'))
    .map(([name]) => home.get<SessionState>('session', name.slice('session|'.length))!.context);
}

/** Energy that batches of the session have taken out of the inventory, less what they gave back. */
const postedWh = (world: TestWorld, transaction: number) =>
  world
    .payloads('ledger')
    .filter(({ customer, cause }) => customer === null && cause === `demo/${transaction}`)
    .flatMap(({ legs }) => legs.filter(({ account }) => account !== 'station:nord-1:inventory'))
    .reduce((sum, { amount }) => sum + amount, 0);

test('whatever is said again, and however often, changes nothing: states and events are those of saying it once', () => {
  fc.assert(
    fc.property(sessions, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }), (plan, repeats) => {
      const tell = (again: boolean) => {
        const world = new TestWorld();
        const [charger] = demoSite(world);
        const { deeds } = historyOf(plan, world.now);
        world.advance(1_000);
        deeds.forEach((deed, i) => {
          deed(charger!);
          if (again)
            for (const [when, which] of repeats) if (when % deeds.length === i) deeds[which % (i + 1)]!(charger!);
          world.advance(500);
        });
        return { images: world.partitions[0]!.images(), events: world.events };
      };
      expect(tell(true)).toEqual(tell(false));
    }),
    { numRuns: 60 },
  );
});

test('samples that come late, even after the stop, give the same sessions, energy and set of samples', () => {
  fc.assert(
    fc.property(sessions, fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }), (plan, delays) => {
      const tell = (late: boolean) => {
        const world = new TestWorld();
        const [charger] = demoSite(world);
        const { deeds, kinds } = historyOf(
          plan.map((session) => ({ ...session, unacknowledged: false, inStop: false })),
          world.now,
        );
        const order = deeds.map((_, i) => i);
        if (late)
          order.sort(
            (a, b) =>
              a +
                (kinds[a] === 'meter' ? delays[a % delays.length]! : 0) -
                (b + (kinds[b] === 'meter' ? delays[b % delays.length]! : 0)) || a - b,
          );
        for (const i of order) {
          deeds[i]!(charger!);
          world.advance(500);
        }
        const rows = world
          .payloads('meter')
          .flatMap((m) => m.samples.map((s) => JSON.stringify([m.transaction, s])))
          .sort();
        return {
          rows,
          sessions: sessionsOf(world).map(
            ({ transaction, startAt, endAt, meterStartWh, meterStopWh, energyWh, flags, samples }) => ({
              transaction,
              startAt,
              endAt,
              meterStartWh,
              meterStopWh,
              energyWh,
              flags,
              samples,
            }),
          ),
        };
      };
      expect(tell(true)).toEqual(tell(false));
    }),
    { numRuns: 60 },
  );
});

test("every session's energy is the difference of its charger's registers, and the rows are its samples", () => {
  fc.assert(
    fc.property(sessions, (plan) => {
      const world = new TestWorld();
      const [charger] = demoSite(world);
      for (const deed of historyOf(plan, world.now).deeds) deed(charger!);
      const expected = plan.map(({ periods }) =>
        periods.reduce((sum, { s, powerW }) => sum + Math.floor((powerW * s) / 3_600), 0),
      );
      expect(
        sessionsOf(world)
          .sort((a, b) => a.transaction - b.transaction)
          .map((s) => s.energyWh),
      ).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test('on any walk both ways to step a machine agree, and every state has its image', () => {
  const seconds = fc.integer({ min: 0, max: 40 });
  const transaction = fc.integer({ min: -1, max: 6 });
  const tag = fc.constantFrom('TAG-1', 'TAG-2', 'NOBODY');
  const wh = fc.integer({ min: 0, max: 5_000 });
  const back = fc.integer({ min: -100, max: 10 });
  const charger = fc.constantFrom(0, 1);
  type Act = (world: TestWorld, chargers: TestCharger[]) => void;
  const act: fc.Arbitrary<Act> = fc.oneof(
    seconds.map(
      (s): Act =>
        (world) =>
          world.advance(s * 1_000),
    ),
    fc.integer({ min: 1, max: 40 }).map(
      (days): Act =>
        (world) =>
          world.jumpTo(world.now + days * 86_400_000),
    ),
    fc
      .tuple(charger, back, tag, wh, fc.integer({ min: 0, max: 3 }))
      .map(([c, s, t, meterStartWh, connector]): Act => (world, cs) => {
        cs[c]!.start({ at: world.now + s * 1_000, tag: t, meterStartWh, connector });
      }),
    fc
      .tuple(charger, back, transaction, wh, fc.option(tag, { nil: null }))
      .map(([c, s, id, meterStopWh, t]): Act => (world, cs) => {
        cs[c]!.stop(id, {
          at: world.now + s * 1_000,
          meterStopWh,
          tag: t,
          samples: samplesOf({ at: world.now + s * 1_000, wh: meterStopWh }),
        });
      }),
    fc
      .tuple(
        charger,
        back,
        fc.option(transaction, { nil: null }),
        wh,
        fc.integer({ min: 0, max: 15_000 }),
        fc.integer({ min: 0, max: 2 }),
      )
      .map(([c, s, id, register, w, connector]): Act => (world, cs) => {
        cs[c]!.meter(id, { at: world.now + s * 1_000, w, wh: register }, connector);
      }),
    fc
      .record({
        c: charger,
        type: fc.constantFrom('Started', 'Updated', 'Ended'),
        reference: fc.constantFrom('tx-1', 'tx-2', 'TX-1'),
        s: back,
        register: fc.option(wh, { nil: null }),
        told: fc.record({
          seq: fc.nat(3),
          connector: fc.nat(3),
          tag: fc.constantFrom('', 'TAG-1', 'TAG-2', 'NOBODY'),
          trigger: fc.constantFrom('Authorized', 'StopAuthorized', 'ChargingStateChanged'),
          chargingState: fc.constantFrom('', 'Charging', 'SuspendedEV'),
        }),
      })
      .map(({ c, type, reference, s, register, told }): Act => (world, cs) => {
        const at = world.now + s * 1_000;
        cs[c]!.tell(type, reference, {
          ...told,
          at,
          samples: register === null ? [] : samplesOf({ at, w: 1_000, wh: register }),
        });
      }),
    fc
      .tuple(charger, fc.constantFrom('gw-1', 'gw-2'), fc.constantFrom('a', 'b'))
      .map(([c, gateway, connection]): Act => (_w, cs) => {
        cs[c]!.connect(gateway, connection);
      }),
    fc
      .tuple(charger, fc.constantFrom('gw-1', 'gw-2'), fc.constantFrom('a', 'b'))
      .map(([c, gateway, connection]): Act => (_w, cs) => {
        cs[c]!.disconnect(gateway, connection);
      }),
    charger.map((c): Act => (_w, cs) => {
      cs[c]!.boot();
    }),
    fc.tuple(charger, tag).map(([c, t]): Act => (_w, cs) => {
      cs[c]!.authorize(t);
    }),
    fc.tuple(charger, back, fc.constantFrom('Available', 'Charging')).map(([c, s, status]): Act => (world, cs) => {
      cs[c]!.status(status, { at: world.now + s * 1_000 });
    }),
    fc.constantFrom('gw-1', 'gw-2').map((gateway): Act => (world) => {
      world.send(gatewayAddress(world.partitionOf('demo').partition, gateway), 'gateway.alive', { gateway });
    }),
    fc
      .tuple(tag, fc.constantFrom('Accepted', 'Blocked'), fc.constantFrom(null, 'ada', 'bob'))
      .map(([t, status, customer]): Act => (world) => {
        world.send(nameAddress('tag', t), 'tag.put', { customer, group: null, status, expiresAt: null });
      }),
    fc
      .tuple(fc.constantFrom('ada', 'bob'), fc.integer({ min: -120_000, max: 120_000 }), fc.nat(9))
      .map(([customer, powerW, count]): Act => (world) => {
        world.send(stationAddress('demo', 'nord-1'), 'station.draw', { customer, powerW, count });
      }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const world = new TestWorld({ partitions: 2, compare: true });
      const chargers = demoSite(world, { chargers: 2, connectors: 2, tags: 1 });
      for (const step of acts) step(world, chargers);
      // Only an open session draws, and each connector has at most one.
      const open = chargers.flatMap((c) => c.state.context.connectors).filter((c) => c.transaction !== 0);
      expect(chargers[0]!.state.context.connectors.every((c) => c.transaction !== 0 || c.powerW === 0)).toBe(true);
      for (const { transaction } of open) expect(chargers[0]!.session(transaction)!.value).not.toBe('ended');
      // What has left the inventory is what sessions were billed or could not be: nothing is under way any more.
      checkBooks(world);
      expect(systemBalance(world, 'Wh', 'transit')).toBe(0);
      const ended = sessionsOf(world).filter(({ endAt }) => endAt !== null);
      for (const session of ended) expect(postedWh(world, session.transaction)).toBe(session.energyWh ?? 0);
    }),
    { numRuns: 150 },
  );
}, 60_000);
