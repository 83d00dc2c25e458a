import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSchemas } from '#gateway/ocpp/validation';
import { constantCurve } from './car.ts';
import { DrivenClock } from './clock.ts';
import { Drive, type Driven, type Driver } from './drive.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { TestSystem, type Call } from './testing.ts';
import { endOf, finiteTimeline } from './timeline.ts';

vi.setConfig({ testTimeout: 60_000 });

const fromAt = Date.UTC(2019, 4, 13, 7);
const minute = 60_000;
const log = { info: () => undefined, warn: () => undefined };

let system: TestSystem;
let directory: string;
let fleet: Fleet | undefined;
beforeEach(async () => {
  system = await TestSystem.open();
  directory = mkdtempSync(join(tmpdir(), 'gridtick-drive-'));
});
afterEach(async () => {
  await fleet?.close();
  fleet = undefined;
  await system.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A log that commits at once, and remembers the times it was driven to. */
class TestDriver implements Driver {
  now = 0;
  readonly steps: number[] = [];
  settled = 0;
  /** Messages that were there when all was last settled, without heartbeats, which go by the machine's clock. */
  #told = 0;
  readonly unsettled: number[] = [];
  #said = () => system.calls.filter(({ action }) => action !== 'Heartbeat').length;
  step(at: number) {
    if (at < this.now) throw new RangeError(`back from ${this.now} to ${at}`);
    if (this.steps.length > 0 && this.#said() !== this.#told) this.unsettled.push(at);
    this.now = at;
    this.steps.push(at);
    return Promise.resolve();
  }
  /** What the log does on the way: its chargers are asked for something. */
  onSettle: (at: number) => Promise<void> = () => Promise.resolve();
  async settle() {
    this.settled += 1;
    this.#told = this.#said();
    await this.onSettle(this.now);
  }
}

/** Two plugs, the first speaks 1.6, the second 2.0.1: minutes from plug-in to plug-out, and the Wh the car takes. */
const plans: [charger: string, fromMinute: number, toMinute: number, wh: number][] = [
  ['A', 3.5, 33.5, 1_100], // 10 min at 6,600 W
  ['A', 33.5, 60, 6_600],
  ['B', 5, 20, 1_100],
  ['B', 90, 100, 0],
];
const timelineOf = (sessions: typeof plans = plans) => {
  const counts = new Map<string, number>();
  const planned = sessions.map(([charger, from, to, wh], i) => {
    const index = counts.get(charger) ?? 0;
    counts.set(charger, index + 1);
    const times = { startMs: from * minute, endMs: to * minute };
    return { charger, index, tag: `T${i}`, ...times, curve: constantCurve(6_600, wh) };
  });
  return finiteTimeline(planned, { chargers: ['A', 'B'], tags: ['T0'], ratedW: 6_600, fingerprint: 'test' });
};

async function played(driver: TestDriver, { timeline = timelineOf(), ...options }: Partial<FleetOptions> = {}) {
  const clock = new DrivenClock(Math.max(fromAt, driver.now));
  fleet = await Fleet.open({
    url: system.url,
    directory,
    timeline,
    log,
    clock,
    lockStepFrom: fromAt,
    sampleEveryMs: minute,
    errorPauseMs: 20,
    retryMs: { first: 10, most: 20 },
    callTimeoutMs: 2_000,
    onFailure: (error) => expect.fail(error.message),
    ...options,
  });
  clock.onDue = () => fleet?.wake();
  const said: Record<string, unknown>[] = [];
  const untilAt = fromAt + endOf(timeline) + 2_000;
  const drive = new Drive({ driver, clock, fleet, fromAt, untilAt, speed: 'max', say: (line) => said.push(line) });
  return { drive, said, fleet };
}
const finished = (said: Record<string, unknown>[]) => said.some((line) => 'finished' in line);
/** What was said, each distinct content once, with its charger. */
const contents = (calls: readonly Call[]) => [
  ...new Set(
    calls
      .filter(({ action }) => !['BootNotification', 'Authorize', 'Heartbeat'].includes(action))
      .map(({ identity, action, payload }) => JSON.stringify([identity, action, payload])),
  ),
];
const waitFor = (test: () => boolean) => expect.poll(test, { timeout: 30_000, interval: 5 }).toBe(true);

test('a plan is played on the log’s clock, at once: samples on the minute, at start, end and every change of power', async () => {
  const driver = new TestDriver();
  const { drive, said } = await played(driver);
  const end = drive.run();
  await waitFor(() => finished(said));
  expect(said.at(-1)).toEqual({
    finished: { at: fromAt + 100 * minute + 2_000, sessions: 4, energyWh: 1_100 + 2_915 + 1_100 },
  });
  expect(said[0]).toMatchObject({ progress: { at: fromAt, fraction: 0, sessions: 0 } });
  // The clock never goes further than a minute at once, and everything that was due was said at its own time.
  expect(driver.steps.every((at, i) => i === 0 || at - (driver.steps[i - 1] ?? 0) <= minute)).toBe(true);
  // Whatever was said is settled before the clock goes on; where nobody spoke there is nothing to settle.
  expect(driver.unsettled).toEqual([]);
  expect(driver.settled).toBeGreaterThan(4);
  expect(driver.settled).toBeLessThan(driver.steps.length);
  const minutes = (text: unknown) => (Date.parse(String(text)) - fromAt) / minute;
  const samples = system
    .of('MeterValues')
    .map(({ payload }) => payload.meterValue as [{ timestamp: string; sampledValue: { value: string }[] }])
    .map(([{ timestamp, sampledValue }]) => [minutes(timestamp), ...sampledValue.map((v) => Number(v.value))]);
  expect(samples.slice(0, 3)).toEqual([
    [3.5, 6_600, 0],
    [4, 6_600, 55],
    [5, 6_600, 165],
  ]);
  // Full at 13:30, not only when the next minute is sampled; and a last one when it leaves.
  expect(samples.filter(([at]) => at !== undefined && at > 12.5 && at < 14.5)).toEqual([
    [13, 6_600, 1_045],
    [13.5, 0, 1_100],
    [14, 0, 1_100],
  ]);
  expect(samples.filter(([at]) => at === 33.5)).toEqual([
    [33.5, 0, 1_100],
    [33.5, 6_600, 1_100],
  ]);
  expect(system.of('StartTransaction').map(({ payload }) => minutes(payload.timestamp))).toEqual([3.5, 33.5]);
  expect(system.of('StopTransaction').map(({ payload }) => payload.meterStop)).toEqual([1_100, 4_015]);
  drive.stop();
  await end;
});

test('what the system asks of a charger while it settles has its effect before the clock goes on', async () => {
  const driver = new TestDriver();
  const answers: unknown[] = [];
  driver.onSettle = async (at) => {
    if (at !== fromAt + 7 * minute || answers.length > 0) return;
    answers.push('asked');
    answers.push(await system.ask('A', 'RemoteStopTransaction', { transactionId: 1 }));
  };
  const stoppedAt: number[] = [];
  system.react = ({ action }) => {
    if (action === 'StopTransaction') stoppedAt.push(driver.now);
    return undefined;
  };
  const { drive, said } = await played(driver);
  const end = drive.run();
  await waitFor(() => finished(said));
  expect(answers).toEqual(['asked', { status: 'Accepted' }]);
  expect(stoppedAt[0]).toBe(fromAt + 7 * minute);
  expect(driver.unsettled).toEqual([]);
  const [stop] = system.of('StopTransaction').map(({ payload }) => payload);
  expect(stop).toMatchObject({ transactionId: 1, reason: 'Remote', meterStop: 385 });
  expect(Date.parse(String(stop?.timestamp))).toBe(fromAt + 7 * minute);
  drive.stop();
  await end;
});

test('2.0.1 tells its sessions as transaction events that satisfy the schemas of the version', async () => {
  const { validator } = openSchemas('ocpp2.0.1', 'ocpp2_0_1.json', () => undefined);
  const { drive, said } = await played(new TestDriver());
  const end = drive.run();
  await waitFor(() => finished(said));
  const ofB = system.calls.filter(({ identity }) => identity === 'B');
  for (const { action, payload } of ofB) void validator.validate(`urn:${action}.req`, payload);
  const events = ofB.filter(({ action }) => action === 'TransactionEvent').map(({ payload }) => payload);
  const first = events.filter((e) => JSON.stringify(e.transactionInfo).includes(String(transactionOf(events[0]))));
  expect(first.map((e) => e.seqNo)).toEqual(first.map((_, i) => i));
  expect([first[0]?.eventType, first.at(-1)?.eventType]).toEqual(['Started', 'Ended']);
  // 5:00 to 20:00, every minute, full at 15:00: a minute as well.
  expect(first).toHaveLength(16);
  expect(first.filter((e) => e.triggerReason === 'ChargingStateChanged')).toHaveLength(1);
  expect(
    ofB.filter(({ action }) => action === 'StatusNotification').map(({ payload }) => payload.connectorStatus),
  ).toEqual(['Available', 'Occupied', 'Available', 'Occupied', 'Available']);
  drive.stop();
  await end;
});

const transactionOf = (event: Record<string, unknown> | undefined) =>
  (event?.transactionInfo as { transactionId?: string } | undefined)?.transactionId;

test('whatever is killed meanwhile, every message has the same time and content, and the clock waits', async () => {
  const quiet = new TestDriver();
  const first = await played(quiet);
  const end = first.drive.run();
  await waitFor(() => finished(first.said));
  first.drive.stop();
  await end;
  await first.fleet.close();
  const undisturbed = contents(system.calls);
  expect(undisturbed.length).toBeGreaterThan(80);

  // The same plan again: sockets die before and after the answer, and twice the fleet itself, as by kill -9.
  rmSync(directory, { recursive: true, force: true });
  system.calls.length = 0;
  let calls = 0;
  system.react = (call) => ((calls += 1) % 7 === 0 && call.action !== 'BootNotification' ? 'cut' : undefined);
  const driver = new TestDriver();
  for (const upTo of [12, 40]) {
    const life = await played(driver);
    const over = life.drive.run();
    await waitFor(() => driver.now >= fromAt + upTo * minute);
    life.drive.stop();
    fleet = undefined;
    // Its memory is not closed: what was not durable is lost.
    await life.fleet.abandon();
    await over;
  }
  const last = await played(driver);
  const over = last.drive.run();
  await waitFor(() => finished(last.said));
  expect(contents(system.calls).sort()).toEqual(undisturbed.sort());
  expect(last.said.at(-1)).toEqual(first.said.at(-1));
  expect(system.calls.length).toBeGreaterThan(undisturbed.length);
  // Each charger introduced itself once: a socket is no boot, and neither is the fleet's process.
  expect(system.of('BootNotification')).toHaveLength(2);
  last.drive.stop();
  await over;
});

test('sessions of one instant begin one after the other in the order of the fleet, whoever has lost the line', async () => {
  const timeline = timelineOf([
    ['A', 10, 20, 1_100],
    ['B', 10, 20, 1_100],
  ]);
  // A's line is cut at its card and at its start, so B could long have been through.
  const cuts = new Set(['Authorize', 'StartTransaction']);
  system.react = ({ identity, action }) => (identity === 'A' && cuts.delete(action) ? 'cut' : undefined);
  const { drive, said } = await played(new TestDriver(), { timeline });
  const end = drive.run();
  await waitFor(() => finished(said));
  const begins = system.calls
    .filter(({ action, payload }) => /Authorize|Start/.test(action) || payload.eventType === 'Started')
    .map(({ identity, action }) => `${identity} ${action}`);
  // Nobody begins before all have shown their cards.
  expect(begins.slice(0, 3).sort()).toEqual(['A Authorize', 'A Authorize', 'B Authorize']);
  expect(begins.slice(3)).toEqual(['A StartTransaction', 'A StartTransaction', 'B TransactionEvent']);
  drive.stop();
  await end;
});

test('everything twice: each transaction message comes again on a later socket, under a new id', async () => {
  const { drive, said } = await played(new TestDriver(), { doubles: 5 });
  const end = drive.run();
  await waitFor(() => finished(said));
  const owed = ['StartTransaction', 'MeterValues', 'StopTransaction', 'TransactionEvent'];
  const seen = new Map<string, Call[]>();
  for (const call of system.calls.filter(({ action }) => owed.includes(action))) {
    const key = JSON.stringify([call.identity, call.action, call.payload]);
    seen.set(key, [...(seen.get(key) ?? []), call]);
  }
  expect(seen.size).toBeGreaterThan(70);
  for (const [first, second, ...more] of seen.values()) {
    expect(more).toEqual([]);
    expect(second?.connection).toBeGreaterThan(first?.connection ?? 0);
    expect(second?.id).not.toBe(first?.id);
  }
  // Late ones stand between fresh ones: not each socket begins with all repeats of the last.
  const order = system.calls.filter(({ identity, action }) => identity === 'A' && owed.includes(action));
  const fresh = order.map((call) => seen.get(JSON.stringify([call.identity, call.action, call.payload]))?.[0] === call);
  expect(fresh.filter((is, i) => is && fresh[i - 1] === false).length).toBeGreaterThan(3);
  drive.stop();
  await end;
});

test('at rest the clock stands and nothing is unanswered; told to, it goes on', async () => {
  const driver = new TestDriver();
  const { drive, said, fleet: running } = await played(driver);
  const end = drive.run();
  await waitFor(() => system.of('MeterValues').length > 3);
  await drive.pause();
  const { unanswered } = await running.quiet();
  const at = driver.now;
  const calls = system.calls.length;
  expect(unanswered).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([driver.now, system.calls.length]).toEqual([at, calls]);
  running.resume();
  drive.resume();
  await waitFor(() => finished(said));
  drive.stop();
  await end;
});

test('a speed is kept: never faster than asked for, and no catching up after a long pause', async () => {
  let machine = 0;
  const pauses: number[] = [];
  const idle: Driven = {
    busy: false,
    letIn: () => undefined,
    changed: () => new Promise((resolve) => setImmediate(resolve)),
    played: () => ({ sessions: 0, energyWh: 0 }),
    flush: () => undefined,
  };
  const driver = new TestDriver();
  const times: [number, number][] = [];
  const step = driver.step.bind(driver);
  driver.step = (at) => {
    times.push([at, machine]);
    // The 4th step takes a minute of the machine.
    if (times.length === 4) machine += 60_000;
    return step(at);
  };
  const drive = new Drive({
    driver,
    clock: new DrivenClock(1_000_000),
    fleet: idle,
    fromAt: 1_000_000,
    untilAt: 1_000_000 + 60_000,
    speed: 10,
    say: (line) => 'finished' in line && drive.stop(),
    machine: {
      now: () => machine,
      pause: (ms) => {
        pauses.push(ms);
        machine += ms;
        return Promise.resolve();
      },
    },
  });
  await drive.run();
  expect(times.map(([at, real]) => [at - 1_000_000, real])).toEqual([
    [0, 0],
    [10_000, 1_000],
    [20_000, 2_000],
    [30_000, 3_000],
    [40_000, 63_000],
    [50_000, 64_000],
    [60_000, 65_000],
  ]);
});
