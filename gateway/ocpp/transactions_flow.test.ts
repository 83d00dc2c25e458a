/** Transactions of both versions end to end: real engine, real log, real sockets. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Meter, PublicEvent, SessionEvent } from '#actors/schema/events';
import type { RawCharger } from './testing/charger.ts';
import { startInstallation, type Edge, type Installation } from './testing/installation.ts';
import { boot } from './testing/messages.ts';
import { boot201, event201, register201, status201 } from './testing/messages_201.ts';

let system: Installation;
let edge: Edge;
beforeAll(async () => {
  system = await startInstallation(5);
  edge = await system.edge();
}, 60_000);
afterAll(() => system.close());

const t0 = Date.now() - 3_600_000;
const iso = (s: number) => new Date(t0 + s * 1_000).toISOString();
const token = { idToken: 'TAG-1', type: 'ISO14443' };
const at = (s: number, wh: number, more: object = {}) => ({
  ...{ timestamp: iso(s), meterValue: [register201(wh, iso(s))], ...more },
});

const isOf =
  <K extends PublicEvent['kind']>(kind: K, charger: string) =>
  (event: PublicEvent): event is Extract<PublicEvent, { kind: K }> =>
    event.kind === kind && (event.payload as { charger: string }).charger === charger;
/** What stands in the end of each of a charger's sessions, in order of their start. */
function sessionsOf(charger: string) {
  const newest = new Map<number, SessionEvent>();
  for (const { payload } of system.events.filter(isOf('session', charger))) newest.set(payload.transaction, payload);
  return [...newest.values()]
    .sort((a, b) => a.startAt - b.startAt)
    .map(({ connector, tag, state, startAt, endAt, meterStartWh, meterStopWh, energyWh, reason }) => ({
      ...{ connector, tag, state, startAt, endAt, meterStartWh, meterStopWh, energyWh, reason },
    }));
}
const samplesOf = (charger: string): string[] =>
  system.events
    .filter(isOf('meter', charger))
    .flatMap(({ payload }: { payload: Meter }) => payload.samples.map((sample) => JSON.stringify(sample)))
    .sort();
const transactionOf = (charger: RawCharger, type: 'Started' | 'Updated' | 'Ended', seqNo: number, more: object) =>
  charger.call('TransactionEvent', event201(type, seqNo, more));

/** Answers to facts leave once the log has them: waits until all that this charger has said so far is decided, too. */
async function settled(charger: RawCharger, id: string): Promise<void> {
  const isLast = ({ payload }: { payload: { kind: string; detail: Record<string, unknown> } }) =>
    payload.kind === 'status' && payload.detail['status'] === 'Reserved';
  await charger.call('StatusNotification', status201('Reserved', iso(3_000)));
  await system.until(() => system.events.filter(isOf('charger', id)).some(isLast));
}

test('a session of a charger that speaks 2.0.1, from its boot to its end', async () => {
  const charger = await edge.open('CP-1', 'ocpp2.0.1');
  expect((await charger.call('BootNotification', boot201))[2]).toMatchObject({ status: 'Accepted' });
  expect((await charger.call('StatusNotification', status201('Occupied', iso(0))))[2]).toEqual({});
  expect((await charger.call('Authorize', { idToken: token }))[2]).toEqual({ idTokenInfo: { status: 'Accepted' } });
  const nobody = { idToken: 'NOBODY', type: 'Central' };
  expect((await charger.call('Authorize', { idToken: nobody }))[2]).toEqual({ idTokenInfo: { status: 'Unknown' } });
  expect((await transactionOf(charger, 'Started', 0, at(0, 1_000)))[2]).toEqual({});
  const authorised = { timestamp: iso(5), triggerReason: 'Authorized', idToken: token };
  expect((await transactionOf(charger, 'Updated', 1, authorised))[2]).toEqual({ idTokenInfo: { status: 'Accepted' } });
  expect((await transactionOf(charger, 'Updated', 2, at(600, 2_500)))[2]).toEqual({});
  expect((await charger.call('MeterValues', { evseId: 0, meterValue: [register201(9, iso(700))] }))[2]).toEqual({});
  const stopped = { triggerReason: 'StopAuthorized', idToken: token };
  expect((await transactionOf(charger, 'Ended', 3, at(1_200, 4_000, stopped)))[2]).toEqual({
    idTokenInfo: { status: 'Accepted' },
  });
  const security = { type: 'ResetOrReboot', timestamp: iso(1_300) };
  expect((await charger.call('SecurityEventNotification', security))[2]).toEqual({});
  await settled(charger, 'CP-1');
  expect(sessionsOf('CP-1')).toEqual([
    {
      ...{ connector: 1, tag: 'TAG-1', state: 'ended', startAt: t0, endAt: t0 + 1_200_000, reason: 'Local' },
      ...{ meterStartWh: 1_000, meterStopWh: 4_000, energyWh: 3_000 },
    },
  ]);
  const reports = system.events.filter(isOf('charger', 'CP-1')).map(({ payload }) => payload.detail['reason']);
  expect(reports).toContain('security_event');
});

/** Two sessions of a charger, message by message, with numbers that run on. */
function dayOf(charger: string): [type: 'Started' | 'Updated' | 'Ended', seqNo: number, more: object][] {
  const transactionInfo = (n: number) => ({ transactionInfo: { transactionId: `${charger}-${n}` } });
  return [
    ['Started', 0, at(0, 1_000, { ...transactionInfo(1), idToken: token })],
    ['Updated', 1, at(300, 1_400, transactionInfo(1))],
    ['Updated', 2, at(600, 1_900, { ...transactionInfo(1), offline: true })],
    ['Ended', 3, at(900, 2_300, { ...transactionInfo(1), idToken: token })],
    ['Started', 4, at(1_000, 2_300, { ...transactionInfo(2), evse: { id: 1 } })],
    ['Updated', 5, { ...transactionInfo(2), timestamp: iso(1_001), triggerReason: 'Authorized', idToken: token }],
    ['Updated', 6, at(1_400, 2_800, transactionInfo(2))],
    ['Updated', 7, at(1_500, 3_000, transactionInfo(2))],
    ['Ended', 8, at(1_600, 3_100, transactionInfo(2))],
  ];
}

test('every event of a day twice, shuffled, over two gateways with an engine that is replaced: the day as it was', async () => {
  const inOrder = await edge.open('CP-2', 'ocpp2.0.1');
  await inOrder.call('BootNotification', boot201);
  for (const event of dayOf('CP')) expect((await transactionOf(inOrder, ...event))[0]).toBe(3);

  const other = await system.edge();
  let socket = await edge.open('CP-3', 'ocpp2.0.1');
  await socket.call('BootNotification', boot201);
  const twice = [...dayOf('CP'), ...dayOf('CP')];
  // A fixed shuffle: 7 and 18 have no common divisor.
  const shuffled = twice.map((_, i) => twice[(i * 7 + 4) % twice.length]!);
  for (const [i, event] of shuffled.entries()) {
    if (i === 6) socket = await other.open('CP-3', 'ocpp2.0.1');
    if (i === 11) await system.nextEngine();
    if (i === 14) socket = await edge.open('CP-3', 'ocpp2.0.1');
    expect((await transactionOf(socket, ...event))[0]).toBe(3);
  }
  await settled(inOrder, 'CP-2');
  await settled(socket, 'CP-3');
  expect(sessionsOf('CP-3')).toEqual(sessionsOf('CP-2'));
  expect(sessionsOf('CP-3').map(({ energyWh }) => energyWh)).toEqual([1_300, 800]);
  expect(samplesOf('CP-3')).toEqual(samplesOf('CP-2'));
}, 60_000);

test('a charger that changes to the newer version keeps what it was, and its sessions are told alike', async () => {
  const older = await edge.open('CP-4', 'ocpp1.6');
  await older.call('BootNotification', boot);
  const begun = { connectorId: 1, idTag: 'TAG-1', meterStart: 1_000, timestamp: iso(0) };
  const [, , { transactionId }] = await older.call('StartTransaction', begun);
  await older.call('StopTransaction', { transactionId, meterStop: 2_000, timestamp: iso(900) });
  const newer = await edge.open('CP-4', 'ocpp2.0.1');
  await transactionOf(newer, 'Started', 0, at(1_000, 2_000, { idToken: token }));
  await transactionOf(newer, 'Ended', 1, at(1_900, 3_000));
  await settled(newer, 'CP-4');
  const [first, second] = sessionsOf('CP-4');
  expect({ ...second, startAt: 0, endAt: 0, meterStartWh: 0, meterStopWh: 0 }).toEqual({
    ...{ ...first, startAt: 0, endAt: 0, meterStartWh: 0, meterStopWh: 0 },
  });
});
