/**
 * An hour of cars on a driven log with everything real between the chargers and the ledger: sockets of both versions, the
 * OCPP door, nats-server, the engine with the product's domain. Played undisturbed, under kills, and with everything said
 * twice: the sessions, their energy and the ledger are the same.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { domain } from '#actors/mod';
import type { PublicEvent, SessionEvent } from '#actors/schema/events';
import { connectLog, openDoor, openDriver, openLogClock, provision, tailJournal } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { compileDomain } from '#engine/partition/catalogue';
import { readLedgerHash } from '#engine/partition/ledger_reader';
import { jetstreamSource } from '#engine/partition/replay_source';
import { startEngine } from '#engine/roles/engine_role';
import { drivenLimits } from '#gateway/ocpp/limits';
import { startOcpp } from '#gateway/ocpp/mod';
import { customerCommands, seedCommands } from '#gateway/seed/commands';
import { constantCurve } from './car.ts';
import { DrivenClock } from './clock.ts';
import { Drive } from './drive.ts';
import { Fleet } from './fleet.ts';
import { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { endOf, energyWhOf, finiteTimeline, type PlannedSession } from './timeline.ts';

vi.setConfig({ testTimeout: 240_000 });

const partitions = 2;
const minute = 60_000;
const fromAt = Date.UTC(2019, 4, 15, 14);
const log = pino({ level: process.env.GRIDTICK_TEST_LOG ?? 'silent' }, pino.destination(2));

/** Six plugs, two cars each within the hour; some are full before they leave, some are not, one takes nothing. */
function scenario(shared: readonly string[] = []): Scenario {
  const random = new Random('driven hour');
  const chargers = Array.from({ length: 6 }, (_, i) => `P-${i}`);
  const sessions = chargers.flatMap((charger, plug): PlannedSession[] =>
    [0, 1].map((index) => {
      const drawn = (index * 30 + random.below(5)) * minute;
      const startMs = shared.includes(`CARD-${plug}${index}`) ? 4 * minute : drawn;
      const endMs = (index * 30 + 22 + random.below(6)) * minute;
      const wh = plug === 3 && index === 0 ? 0 : 500 + random.below(3_000);
      return { charger, index, tag: `CARD-${plug}${index}`, startMs, endMs, curve: constantCurve(6_600, wh) };
    }),
  );
  const tags = sessions.map(({ tag }) => tag);
  return {
    site: { id: 'jpl', name: 'Recorded site', timeZone: 'UTC' },
    // Four of six cars are above its limit: the price changes within sessions.
    station: { id: 'jpl-1', name: 'JPL 1', capacityW: 26_000 },
    timeline: finiteTimeline(sessions, { chargers, tags, ratedW: 6_600, fingerprint: 'hour' }),
    days: { fromAt, toAt: fromAt + 60 * minute },
    spareTags: [],
    holders: tags.map((tag) =>
      shared.includes(tag)
        ? { tag, customer: 'shared', ...(tag === shared[0] && { opened: { name: 'Shared', creditE5Sek: 1_000 } }) }
        : { tag, customer: `card-${tag}`, opened: { name: tag, creditE5Sek: 1_000_000_000 } },
    ),
    notes: [],
  };
}

interface Disturbances {
  /** Minutes of the hour at which one part of the installation is gone at once and another comes. */
  kills?: readonly (readonly [minute: number, part: 'engine' | 'gateway' | 'fleet'])[];
  doubles?: number;
  /** Cards of one customer that are presented at once, who has money for one session. */
  shared?: readonly string[];
}

async function play({ kills = [], doubles, shared }: Disturbances = {}) {
  const { site, station, timeline, ...rest } = scenario(shared);
  const nats = await startTestNats();
  const directory = mkdtempSync(join(tmpdir(), 'gridtick-hour-'));
  const nc = await connectLog(nats.url, 'driven hour');
  await provision(nc, { partitions, scale: 1 / 64 });
  const fatal: unknown[] = [];
  const newEngine = () =>
    startEngine({
      config: { natsUrl: nats.url, partitions, clock: 'driven' },
      domain,
      log,
      onFatal: (error) => fatal.push(error),
      sinks: [],
    });
  let engine = await newEngine();
  const driver = await openDriver(nc, { partitions });
  await driver.step(fromAt);

  const door = await openDoor(nc, { name: 'seed', partitions });
  const all = { site, station, timeline, ...rest };
  const [first, second, ...others] = seedCommands(all);
  for (const step of [[first!], [second!], others, ...customerCommands(all)]) {
    const results = await Promise.all(step.map((command) => door.request(command)));
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  }
  await driver.settle();

  const events: PublicEvent[] = [];
  const tails = await Promise.all(
    Array.from({ length: partitions }, (_, p) =>
      tailJournal(nc, p, 1, ({ record }) => void events.push(...record.events)),
    ),
  );

  let gateways = 0;
  const newGateway = async (port: number) => {
    const gatewayId = `gw-${(gateways += 1)}`;
    const own = await connectLog(nats.url, gatewayId);
    const clock = await openLogClock(own, { clock: 'driven', partitions });
    const ocpp = await startOcpp({
      door: await openDoor(own, { name: gatewayId, partitions }),
      nats: own,
      gatewayId,
      bind: '127.0.0.1',
      port,
      log,
      clock,
      resolve: (identity) =>
        Promise.resolve({
          ...{ charger: identity.toUpperCase(), site: site.id, station: station.id, profile0Networks: ['127.0.0.0/8'] },
          ...{ passwordHash: '', securityProfile: 0 },
        }),
      limits: { ...drivenLimits, stopMs: 500 },
    });
    return { ocpp, own };
  };
  let gateway = await newGateway(0);
  const { port } = gateway.ocpp;

  const newFleet = async () => {
    const clock = new DrivenClock(Math.max(fromAt, driver.now));
    const fleet = await Fleet.open({
      url: `ws://127.0.0.1:${port}/ocpp`,
      directory: join(directory, 'simulator'),
      timeline,
      log,
      clock,
      lockStepFrom: fromAt,
      sampleEveryMs: minute,
      errorPauseMs: 50,
      retryMs: { first: 20, most: 200 },
      ...(doubles !== undefined && { doubles }),
      onFailure: (error) => fatal.push(error),
    });
    clock.onDue = () => fleet.wake();
    let finish!: (line: Record<string, unknown>) => void;
    const finished = new Promise<Record<string, unknown>>((resolve) => (finish = resolve));
    const untilAt = fromAt + endOf(timeline) + 10 * minute;
    const drive = new Drive({
      ...{ driver, clock, fleet, fromAt, untilAt, speed: 'max' },
      say: (line) => 'finished' in line && finish(line),
    });
    return { fleet, drive, over: drive.run(), finished };
  };
  let running = await newFleet();

  for (const [at, part] of kills) {
    await expect.poll(() => driver.now >= fromAt + at * minute, { timeout: 120_000, interval: 1 }).toBe(true);
    if (part === 'engine') {
      await engine.close();
      engine = await newEngine();
    } else if (part === 'gateway') {
      // Its line to the log is cut first: what it had not got in, nobody will hear.
      await gateway.own.close();
      await gateway.ocpp.close();
      gateway = await newGateway(port);
    } else {
      running.drive.stop();
      await running.fleet.abandon();
      await running.over;
      running = await newFleet();
    }
  }
  const { finished } = (await running.finished) as { finished: { sessions: number; energyWh: number } };
  const figures = running.fleet.figures();

  const sources = await Promise.all(Array.from({ length: partitions }, (_, p) => jetstreamSource(nc, p, partitions)));
  const ledger = await readLedgerHash(sources, compileDomain(domain));
  const newest = new Map<number, SessionEvent>();
  for (const { kind, payload } of events)
    if (kind === 'session' && payload.state === 'ended') newest.set(payload.transaction, payload);
  const sessions = [...newest.values()]
    .map(({ charger, tag, startAt, endAt, energyWh, reason, flags }) =>
      JSON.stringify([charger, tag, startAt - fromAt, (endAt ?? 0) - fromAt, energyWh, reason, flags]),
    )
    .sort();
  const prices = events
    .filter(({ kind }) => kind === 'price')
    .map(({ payload }) => payload as { slot: number; loadW: number; tier: string; priceE5SekPerKwh: number })
    .map(({ slot, loadW, tier, priceE5SekPerKwh }) => [slot, loadW, tier, priceE5SekPerKwh]);
  const samples = events.reduce(
    (sum, { kind, payload }) => sum + (kind === 'meter' ? (payload as { samples: unknown[] }).samples.length : 0),
    0,
  );

  const connections = events.filter(({ kind, payload }) => kind === 'charger' && payload.kind === 'connected').length;

  running.drive.stop();
  await running.over;
  await running.fleet.close();
  await gateway.ocpp.close();
  await gateway.own.close();
  await Promise.all(tails.map((tail) => tail.stop()));
  await door.close();
  await driver.close();
  await engine.close();
  await nc.close();
  await nats.stop();
  rmSync(directory, { recursive: true, force: true });
  expect(fatal).toEqual([]);
  return { finished, figures, sessions, prices, samples, connections, ledger };
}

let undisturbed: Awaited<ReturnType<typeof play>>;

test('an hour is played as planned: each session once, to the Wh, by both versions, and paid for by its card holder', async () => {
  const { timeline } = scenario();
  undisturbed = await play();
  const { finished, figures, sessions, prices, samples, connections, ledger } = undisturbed;
  expect(sessions).toHaveLength(12);
  // A living gateway is never missed, though an hour passes between two of its signs of life.
  expect(connections).toBe(6);
  const planned = timeline.chargers.flatMap((charger) =>
    [0, 1].map((index) => {
      const session = timeline.session(charger, index)!;
      const { tag, startMs, endMs } = session;
      return JSON.stringify([charger, tag, startMs, endMs, energyWhOf(session), 'EVDisconnected', []]);
    }),
  );
  expect(sessions).toEqual(planned.sort());
  expect(finished).toMatchObject({ sessions: 12 });
  expect(finished.energyWh).toBe(
    sessions.reduce((sum, text) => sum + ((JSON.parse(text) as unknown[])[4] as number), 0),
  );
  expect(samples).toBe(figures.answeredSamples);
  expect(new Set(figures.chargers.map(({ version }) => version))).toEqual(new Set(['1.6', '2.0.1']));
  // Every slot of the hour has its price, and the limit is passed now and then.
  const slots = prices.map(([slot]) => Number(slot));
  expect(slots).toEqual(slots.map((_, i) => (slots[0] ?? 0) + i));
  expect(new Set(prices.map(([, , tier]) => tier)).size).toBeGreaterThan(2);
  expect(ledger).toMatchObject({ problems: [], sums: expect.arrayContaining([['SEK', 0n]]) as unknown });
  expect(ledger.batches).toBeGreaterThan(12);
  expect(ledger.hash).toMatch(/^[0-9a-f]{64}$/);
});

test('everything said twice, late and out of order over two sockets: the same sessions, prices and ledger', async () => {
  const twice = await play({ doubles: 7 });
  expect(twice.sessions).toEqual(undisturbed.sessions);
  expect(twice.prices).toEqual(undisturbed.prices);
  expect(twice.samples).toBe(undisturbed.samples);
  expect(twice.ledger.hash).toBe(undisturbed.ledger.hash);
});

test('engines, gateways and the fleet itself killed on the way: the same sessions, prices and ledger', async () => {
  const kills = [
    [6, 'gateway'],
    [13, 'engine'],
    [24, 'fleet'],
    [33, 'gateway'],
    [34, 'engine'],
    [41, 'fleet'],
    [52, 'gateway'],
  ] as const;
  const killed = await play({ kills });
  expect(killed.sessions).toEqual(undisturbed.sessions);
  expect(killed.prices).toEqual(undisturbed.prices);
  expect(killed.samples).toBe(undisturbed.samples);
  expect(killed.ledger.hash).toBe(undisturbed.ledger.hash);
});

test('a session that nobody has money for is stopped by its charger at the very time it began', async () => {
  const { sessions } = await play({ shared: ['CARD-00', 'CARD-10'] });
  const unfunded = sessions
    .map((text) => JSON.parse(text) as [string, string, number, number, number, string, string[]])
    .filter(([, , , , , , flags]) => flags.includes('unfunded'));
  expect(sessions).toHaveLength(12);
  expect(unfunded).toHaveLength(1);
  expect(unfunded[0]?.slice(2)).toEqual([4 * minute, 4 * minute, 0, 'Remote', ['unfunded']]);
});
