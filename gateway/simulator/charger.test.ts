import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { constantCurve } from './car.ts';
import { Charger, type ChargerOptions } from './charger.ts';
import { MemoryStore } from './store.ts';
import { TestSystem, type Call } from './testing.ts';
import { finiteTimeline } from './timeline.ts';

vi.setConfig({ testTimeout: 60_000 });

let system: TestSystem;
let directory: string;
let store: MemoryStore;
let charger: Charger | undefined;

beforeEach(async () => {
  system = await TestSystem.open();
  directory = mkdtempSync(join(tmpdir(), 'gridtick-charger-'));
  store = await MemoryStore.open(directory, { onFailure: (error) => expect.fail(error.message) });
});
afterEach(async () => {
  await charger?.stop();
  await store.close();
  await system.close();
  rmSync(directory, { recursive: true, force: true });
});

const log = { info: () => undefined, warn: () => undefined };

/** A charger CP-1 with the given sessions: [from, to] in ms from now, drawing 11,040 W for at most `wh`. */
function plug(sessions: [fromMs: number, toMs: number, wh?: number][], options: Partial<ChargerOptions> = {}) {
  const planned = sessions.map(([startMs, endMs, wh = 50_000], index) => ({
    charger: 'CP-1',
    index,
    tag: `TAG${index}`,
    startMs,
    endMs,
    curve: constantCurve(11_040, wh),
  }));
  const timeline = finiteTimeline(planned, { chargers: ['CP-1'], tags: ['TAG0'], ratedW: 11_040, fingerprint: 'test' });
  charger = new Charger({
    url: system.url,
    identity: 'CP-1',
    timeline,
    anchorAt: Date.now(),
    store,
    log,
    sampleEveryMs: 100,
    finishingMs: 30,
    cardAgainMs: 30,
    errorPauseMs: 30,
    retryMs: { first: 20, most: 40 },
    callTimeoutMs: 5_000,
    ...options,
  });
  charger.start(0);
  return charger;
}

const memory = () => store.memory('CP-1');
/** Register values in the order of arrival, one per distinct content. */
function registers(): number[] {
  const seen = new Map<string, number>();
  for (const { action, payload } of system.calls) {
    if (action === 'StartTransaction') seen.set(JSON.stringify(payload), Number(payload.meterStart));
    if (action === 'StopTransaction') seen.set(JSON.stringify(payload), Number(payload.meterStop));
    if (action === 'MeterValues') seen.set(JSON.stringify(payload), sampled({ payload }).Wh);
  }
  return [...seen.values()];
}
function sampled({ payload }: Pick<Call, 'payload'>): { W: number; Wh: number } {
  const [value] = payload.meterValue as { sampledValue: { unit: string; value: string }[] }[];
  const of = (unit: string) => Number(value?.sampledValue.find((v) => v.unit === unit)?.value);
  return { W: of('W'), Wh: of('Wh') };
}
const ascending = (values: number[]) => values.every((v, i) => i === 0 || v >= (values[i - 1] ?? 0));
const ended = (count: number) => () =>
  memory().queue.length === 0 && memory().sessions.filter((s) => s.settled).length === count;
/** The answer of the last call is settled one turn after it was sent. */
async function settled(test: () => boolean, what: string) {
  await expect.poll(test, { timeout: 25_000, interval: 10, message: `${what}; got ${system.trace()}` }).toBe(true);
}

test('a session runs from boot to Available in the order of the protocol', async () => {
  plug([[1_500, 2_200]]);
  await settled(() => ended(1)() && system.trace().endsWith('Finishing Available'), 'the session to end');
  expect(system.trace().replaceAll(/( MeterValues)+/g, ' MeterValues…')).toBe(
    'BootNotification Available Available Preparing Authorize StartTransaction Charging MeterValues… ' +
      'StopTransaction Finishing Available',
  );
  const [start] = system.of('StartTransaction');
  const [stop] = system.of('StopTransaction');
  expect(start?.payload).toMatchObject({ connectorId: 1, idTag: 'TAG0', meterStart: 0 });
  expect(stop?.payload).toMatchObject({ transactionId: 1, idTag: 'TAG0', reason: 'EVDisconnected' });
  const samples = system.of('MeterValues');
  expect(samples.length).toBeGreaterThanOrEqual(3);
  expect(samples[0]?.payload).toEqual({
    connectorId: 1,
    transactionId: 1,
    meterValue: [
      {
        timestamp: expect.any(String) as string,
        sampledValue: [
          {
            value: '11040',
            context: 'Sample.Periodic',
            measurand: 'Power.Active.Import',
            location: 'Outlet',
            unit: 'W',
          },
          {
            value: '0',
            context: 'Sample.Periodic',
            measurand: 'Energy.Active.Import.Register',
            location: 'Outlet',
            unit: 'Wh',
          },
        ],
      },
    ],
  });
  expect(memory().answeredSamples).toBe(2 * samples.length);
  expect(memory().sessions).toMatchObject([
    { transaction: 1, startWh: 0, stopWh: Number(stop?.payload.meterStop), settled: true },
  ]);
});

test('what is open at the beginning is told with its past start and what it had by then', async () => {
  plug([
    [-7_200_000, -3_600_000],
    [-1_800_000, 600, 50_000],
  ]);
  const anchorAt = Date.now();
  await settled(ended(1), 'the session to end');
  const [start] = system.of('StartTransaction');
  expect(start?.payload).toMatchObject({ idTag: 'TAG1', meterStart: 0 });
  expect(Math.abs(Date.parse(String(start?.payload.timestamp)) - (anchorAt - 1_800_000))).toBeLessThan(500);
  expect(system.of('Authorize')).toEqual([]);
  expect(sampled(system.of('MeterValues')[0] ?? expect.fail('no sample'))).toEqual({ W: 11_040, Wh: 5_520 });
  expect(system.calls[1]?.payload).toMatchObject({ connectorId: 0, status: 'Available' });
  expect(system.calls[2]?.payload).toMatchObject({ connectorId: 1, status: 'Charging' });
});

test('a car that has its energy suspends, and its register keeps the exact Wh', async () => {
  plug([
    [-3_600_000, 500, 3_000],
    [1_000, 1_400, 0],
  ]);
  await settled(ended(2), 'both sessions to end');
  expect(sampled(system.of('MeterValues')[0] ?? expect.fail('no sample'))).toEqual({ W: 0, Wh: 3_000 });
  expect(system.of('StopTransaction').map((c) => c.payload.meterStop)).toEqual([3_000, 3_000]);
  expect(system.of('StartTransaction').map((c) => c.payload.meterStart)).toEqual([0, 3_000]);
  expect(system.trace()).toContain('SuspendedEV');
});

test('an unanswered start is sent again under a new id, and everything after it waits', async () => {
  let silent = 2;
  system.react = ({ action }) => (action === 'StartTransaction' && silent-- > 0 ? 'silence' : undefined);
  plug([[-10_000_000, 1_500]], { callTimeoutMs: 400 });
  await settled(ended(1), 'the session to end');
  const starts = system.of('StartTransaction');
  expect(starts).toHaveLength(3);
  expect(new Set(starts.map((c) => c.id)).size).toBe(3);
  expect(new Set(starts.map((c) => JSON.stringify(c.payload))).size).toBe(1);
  // Two silences on one socket: the third try comes on a new one.
  expect(starts.map((c) => c.connection)).toEqual([1, 1, 2]);
  const lastStart = system.calls.indexOf(starts[2] ?? expect.fail());
  expect(system.calls.slice(0, lastStart).filter((c) => ['MeterValues', 'StopTransaction'].includes(c.action))).toEqual(
    [],
  );
  for (const { payload } of [...system.of('MeterValues'), ...system.of('StopTransaction')])
    expect(payload.transactionId).toBe(1);
});

test('a late answer to an earlier try settles the message', async () => {
  system.react = ({ action }) => (action === 'StartTransaction' ? 'silence' : undefined);
  plug([[-10_000_000, 60_000]], { callTimeoutMs: 600 });
  await system.until(() => system.of('StartTransaction').length === 2, 'a second try');
  const [first] = system.of('StartTransaction');
  system.answer('CP-1', first?.id ?? '', { transactionId: 77, idTagInfo: { status: 'Accepted' } });
  await system.until(() => system.of('MeterValues').length > 0, 'samples after it');
  expect(system.of('MeterValues')[0]?.payload.transactionId).toBe(77);
});

test('messages that were cut off come again after the reconnect: in order, the same, none lost, no second boot', async () => {
  let cuts = 0;
  const lost = new Set(['StartTransaction', 'MeterValues', 'StopTransaction']);
  // The system takes every third such message and hangs up before it answers.
  system.react = ({ action }) => (lost.has(action) && (cuts += 1) % 3 === 0 ? 'cut' : undefined);
  plug([
    [-5_000, 1_500],
    [1_600, 2_600],
  ]);
  await settled(ended(2), 'both sessions to end');
  expect(system.of('BootNotification')).toHaveLength(1);
  const messages = system.calls.filter((c) => lost.has(c.action));
  const distinct = new Set(messages.map((c) => JSON.stringify([c.action, c.payload])));
  expect(distinct.size).toBeLessThan(messages.length);
  expect(new Set(messages.map((c) => c.id)).size).toBe(messages.length);
  expect(distinct.size).toBe(memory().answeredMessages);
  expect([...distinct].filter((text) => text.startsWith('["MeterValues"')).length * 2).toBe(memory().answeredSamples);
  expect(ascending(registers())).toBe(true);
  const times = [...distinct].map((text) => {
    const [, payload] = JSON.parse(text) as [string, { timestamp?: string; meterValue?: [{ timestamp: string }] }];
    return Date.parse(payload.timestamp ?? payload.meterValue?.[0].timestamp ?? '');
  });
  expect(ascending(times)).toBe(true);
});

test('offline it goes on charging, and tells everything later', async () => {
  plug([[200, 2_000]]);
  await system.until(() => system.of('MeterValues').length >= 2, 'the session to run');
  system.refuse = { status: 503, retryAfterS: 1 };
  const before = system.upgrades.length;
  const cutAt = Date.now();
  system.cutAll();
  await system.until(() => system.upgrades.length > before, 'a try');
  system.refuse = undefined;
  await settled(ended(1), 'the session to end');
  // Retry-After: 1 is respected from the refusal on.
  const [refused, next] = system.upgrades.slice(before);
  expect((next?.at ?? 0) - (refused?.at ?? 0)).toBeGreaterThanOrEqual(990);
  const offline = system.of('MeterValues').filter((c) => {
    const [{ timestamp }] = c.payload.meterValue as [{ timestamp: string }];
    return Date.parse(timestamp) > cutAt && Date.parse(timestamp) < (next?.at ?? 0);
  });
  expect(offline.length).toBeGreaterThanOrEqual(3);
  expect(ascending(registers())).toBe(true);
});

test('a card that is not accepted is shown again, and the driver leaves after six tries', async () => {
  system.react = ({ action, payload }) =>
    action === 'Authorize' && (payload.idTag === 'TAG0' || system.of('Authorize').length === 7)
      ? { idTagInfo: { status: 'Invalid' } }
      : undefined;
  plug([
    [100, 1_200],
    [1_300, 2_000],
  ]);
  await settled(ended(1), 'the second session to end');
  expect(system.of('Authorize').map((c) => c.payload.idTag)).toEqual([
    ...Array<string>(6).fill('TAG0'),
    'TAG1',
    'TAG1',
  ]);
  expect(system.of('StartTransaction').map((c) => c.payload.idTag)).toEqual(['TAG1']);
});

test('an error is no answer: it waits and sends again, but gives up what can never be accepted', async () => {
  let starts = 0;
  system.react = ({ action }) => {
    if (action === 'StartTransaction' && (starts += 1) <= 3) return { error: 'InternalError' };
    return action === 'StopTransaction' ? { error: 'PropertyConstraintViolation' } : undefined;
  };
  plug([[-5_000, 700]], { errorPauseMs: 1 });
  await settled(() => ended(1)(), 'the stop to be given up');
  expect(system.of('StartTransaction')).toHaveLength(4);
  expect(system.of('StopTransaction')).toHaveLength(10);
  expect(memory().refusedMessages).toBe(1);
});

test('Pending keeps it silent until it is accepted', async () => {
  let boots = 0;
  system.react = ({ action }) =>
    action === 'BootNotification' && (boots += 1) < 3
      ? { status: boots === 1 ? 'Pending' : 'Rejected', interval: 1, currentTime: new Date().toISOString() }
      : undefined;
  plug([[-5_000, 60_000]]);
  await system.until(() => system.of('MeterValues').length > 0, 'samples');
  expect(
    system.trace().startsWith('BootNotification BootNotification BootNotification Available Charging StartTransaction'),
  ).toBe(true);
  const [first, second] = system.of('BootNotification');
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990);
});

test('it says what it is asked to say, and says when it does not know an order', async () => {
  plug([[60_000, 90_000]]);
  await system.until(() => system.calls.length === 3, 'boot and statuses');
  system.send('TriggerMessage', { requestedMessage: 'Heartbeat' });
  system.send('TriggerMessage', { requestedMessage: 'FirmwareStatusNotification' });
  system.send('UnlockConnector', { connectorId: 1 });
  await system.until(() => system.of('Heartbeat').length === 1 && system.answers.length === 3, 'a heartbeat');
  expect(system.answers).toEqual([
    [3, 'system-TriggerMessage', { status: 'Accepted' }],
    [3, 'system-TriggerMessage', { status: 'NotImplemented' }],
    [4, 'system-UnlockConnector', 'NotImplemented', '', {}],
  ]);
});
