import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openSchemas } from '#gateway/ocpp/validation';
import { constantCurve } from './car.ts';
import { Charger, type ChargerOptions } from './charger.ts';
import { MemoryStore } from './store.ts';
import { TestSystem } from './testing.ts';
import { finiteTimeline } from './timeline.ts';
import { v16 } from './v16.ts';
import { v201 } from './v201.ts';

vi.setConfig({ testTimeout: 60_000 });

let system: TestSystem;
let directory: string;
let store: MemoryStore;
let charger: Charger | undefined;
const openStore = () => MemoryStore.open(directory, { onFailure: (error) => expect.fail(error.message) });
beforeEach(async () => {
  system = await TestSystem.open();
  directory = mkdtempSync(join(tmpdir(), 'gridtick-orders-'));
  store = await openStore();
});
afterEach(async () => {
  await charger?.stop();
  charger = undefined;
  await store.close();
  await system.close();
  rmSync(directory, { recursive: true, force: true });
});

const log = { info: () => undefined, warn: () => undefined };
const hour = 3_600_000;

/** CP-1 of the version, registered; its cars come and go by ms from now. */
async function plugged(version: typeof v16, sessions: [number, number][], options: Partial<ChargerOptions> = {}) {
  const anchorAt = Date.now();
  const planned = sessions.map(([startMs, endMs], index) => {
    const curve = constantCurve(11_040, 50_000);
    return { charger: 'CP-1', index, tag: `TAG${index}`, startMs, endMs, curve };
  });
  const timeline = finiteTimeline(planned, { chargers: ['CP-1'], tags: [], ratedW: 11_040, fingerprint: 'test' });
  charger = new Charger({
    url: system.url,
    identity: 'CP-1',
    version,
    timeline,
    anchorAt,
    store,
    log,
    sampleEveryMs: 60_000,
    finishingMs: 20,
    errorPauseMs: 20,
    rebootMs: 20,
    retryMs: { first: 20, most: 40 },
    ...options,
  });
  charger.start(0);
  const one = charger;
  await system.until(() => one.registered && system.of('StatusNotification').length > 0, 'the boot');
  return one;
}
const memory = () => store.memory('CP-1');
const ask = (action: string, payload: Record<string, unknown>) => system.ask('CP-1', action, payload);
const answered = () => expect.poll(() => memory().queue.length, { timeout: 20_000, interval: 10 }).toBe(0);
const events = (type: string) => system.of('TransactionEvent').filter(({ payload }) => payload.eventType === type);
const infoOf = (n: number) => events('Started')[n]?.payload.transactionInfo as Record<string, unknown>;

describe('OCPP 1.6', () => {
  test('a remote stop ends the session, the car stays, and a remote start lets it go on with its curve', async () => {
    await plugged(v16, [[-hour, 2 * hour]]);
    await answered();
    expect(await ask('RemoteStopTransaction', { transactionId: 99 })).toEqual({ status: 'Rejected' });
    expect(await ask('RemoteStopTransaction', { transactionId: 1 })).toEqual({ status: 'Accepted' });
    // Remembered before it was answered: a power cut now would not bring the session back.
    const again = await openStore();
    expect(again.memory('CP-1').sessions.at(-1)?.stopAt).not.toBeNull();
    await again.close();
    await system.until(() => system.of('StopTransaction').length === 1, 'the stop');
    await answered();
    expect(system.of('StopTransaction')[0]?.payload).toMatchObject({
      transactionId: 1,
      idTag: 'TAG0',
      reason: 'Remote',
    });
    await system.until(() => system.trace().endsWith('Finishing'), 'the car to stay');

    expect(await ask('RemoteStartTransaction', { connectorId: 1, idTag: 'OTHER' })).toEqual({ status: 'Accepted' });
    await system.until(() => system.of('StartTransaction').length === 2, 'the start');
    const stopped = Number(system.of('StopTransaction')[0]?.payload.meterStop);
    expect(system.of('StartTransaction')[1]?.payload).toMatchObject({ idTag: 'OTHER', meterStart: stopped });
    expect(memory().sessions.map(({ i }) => i)).toEqual([0, 0]);
    expect(memory().sessions[1]?.chargedMs).toBeGreaterThanOrEqual(hour);
    expect(await ask('RemoteStartTransaction', { idTag: 'THIRD' })).toEqual({ status: 'Rejected' });
  });

  test('a remote start without a car brings a visitor; with one on its way it waits for that', async () => {
    await plugged(v16, []);
    expect(await ask('RemoteStartTransaction', { connectorId: 2, idTag: 'GUEST' })).toEqual({ status: 'Rejected' });
    expect(await ask('RemoteStartTransaction', { connectorId: 1, idTag: 'GUEST' })).toEqual({ status: 'Accepted' });
    expect(await ask('RemoteStartTransaction', { connectorId: 1, idTag: 'LATE' })).toEqual({ status: 'Rejected' });
    await system.until(() => system.of('MeterValues').length > 0, 'the visitor');
    expect(system.trace()).toMatch(/Preparing StartTransaction Charging MeterValues/);
    expect(system.of('Authorize')).toEqual([]);
    expect(memory().sessions[0]).toMatchObject({ i: -1, tag: 'GUEST', visit: { wh: 20_000 } });
    await charger?.stop();
    await store.close();
    rmSync(directory, { recursive: true });
    store = await openStore();
    system.calls.length = 0;

    await plugged(v16, [[2_500, hour]]);
    expect(await ask('RemoteStartTransaction', { idTag: 'GUEST' })).toEqual({ status: 'Accepted' });
    await system.until(() => system.of('StartTransaction').length > 0, 'the car of the plan');
    expect(system.of('StartTransaction')[0]?.payload.idTag).toBe('GUEST');
    expect(memory().sessions[0]).toMatchObject({ i: 0, visit: null });
  });

  test('a soft reset ends the session and tells it, then boots again; a hard one tells it afterwards', async () => {
    await plugged(v16, [
      [-hour, hour],
      [hour, 2 * hour],
    ]);
    await answered();
    system.calls.length = 0;
    expect(await ask('Reset', { type: 'Soft' })).toEqual({ status: 'Accepted' });
    await system.until(() => system.trace().endsWith('Available Finishing'), 'the boot');
    expect(system.trace()).toMatch(/^(Finishing )?StopTransaction (Finishing )?BootNotification Available Finishing$/);
    expect(system.of('StopTransaction')[0]).toMatchObject({ connection: 1, payload: { reason: 'SoftReset' } });
    expect(system.of('BootNotification')[0]?.connection).toBe(2);

    expect(await ask('RemoteStartTransaction', { idTag: 'TAG0' })).toEqual({ status: 'Accepted' });
    await system.until(() => system.of('MeterValues').length > 0, 'a session');
    await answered();
    expect(await ask('Reset', { type: 'Hard' })).toEqual({ status: 'Accepted' });
    await system.until(() => system.of('StopTransaction').length === 2, 'the stop');
    const stop = system.of('StopTransaction')[1];
    expect(stop?.payload.reason).toBe('HardReset');
    await answered();
    expect(memory().reset).toBeNull();
  });

  test('keys are read and set; some are fixed, some wait for a boot, and a power cut forgets none', async () => {
    await plugged(v16, [[-hour, hour]]);
    expect(await ask('GetConfiguration', { key: ['heartbeatinterval', 'Nonsense', 'NumberOfConnectors'] })).toEqual({
      configurationKey: [
        { key: 'HeartbeatInterval', readonly: false, value: '300' },
        { key: 'NumberOfConnectors', readonly: true, value: '1' },
      ],
      unknownKey: ['Nonsense'],
    });
    const set = async (key: string, value: string) => await ask('ChangeConfiguration', { key, value });
    expect(await set('Nonsense', '1')).toEqual({ status: 'NotSupported' });
    expect(await set('NumberOfConnectors', '2')).toEqual({ status: 'Rejected' });
    expect(await set('HeartbeatInterval', 'often')).toEqual({ status: 'Rejected' });
    expect(await set('WebSocketPingInterval', '7')).toEqual({ status: 'RebootRequired' });
    // A sample each second instead of each minute, from now on.
    const before = system.of('MeterValues').length;
    expect(await set('MeterValueSampleInterval', '1')).toEqual({ status: 'Accepted' });
    await system.until(() => system.of('MeterValues').length >= before + 2, 'samples', 5_000);
    const value = async (key: string) =>
      ((await ask('GetConfiguration', { key: [key] })) as { configurationKey: { value: string }[] }).configurationKey[0]
        ?.value;
    expect(await value('WebSocketPingInterval')).toBe('0');
    await ask('Reset', { type: 'Hard' });
    await system.until(() => system.of('BootNotification').length === 2 && charger?.registered === true, 'the boot');
    expect([await value('WebSocketPingInterval'), await value('MeterValueSampleInterval')]).toEqual(['7', '1']);
    const all = (await ask('GetConfiguration', {})) as { configurationKey: unknown[] };
    expect(all.configurationKey.length).toBeGreaterThan(7);
    // As after kill -9: nothing was closed. That it has booted was promised to nobody, and may still be on its way to the disk.
    await store.flush();
    const again = await openStore();
    expect(again.memory('CP-1').keys).toEqual({ pings: '7', sampling: '1' });
    await again.close();
  });
});

describe('OCPP 2.0.1', () => {
  const { isValidAnswer } = openSchemas('ocpp2.0.1', 'ocpp2_0_1.json', () => undefined);
  const valid = async (action: string, payload: Record<string, unknown>) => {
    const answer = await ask(action, payload);
    expect([action, isValidAnswer(action, answer)]).toEqual([action, true]);
    return answer;
  };

  test('a request starts a session that names it; a request stops it by the charger’s own name', async () => {
    await plugged(v201, []);
    const start = { idToken: { idToken: 'GUEST', type: 'Central' }, remoteStartId: 41, evseId: 1 };
    expect(await valid('RequestStartTransaction', { ...start, evseId: 2 })).toEqual({ status: 'Rejected' });
    expect(await valid('RequestStartTransaction', start)).toEqual({ status: 'Accepted' });
    await system.until(() => events('Started').length === 1, 'the visitor');
    expect(events('Started')[0]?.payload).toMatchObject({
      triggerReason: 'RemoteStart',
      idToken: { idToken: 'GUEST' },
    });
    const { transactionId, remoteStartId } = infoOf(0);
    expect(remoteStartId).toBe(41);
    expect(transactionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await valid('RequestStopTransaction', { transactionId: 'x' })).toEqual({ status: 'Rejected' });
    expect(await valid('RequestStopTransaction', { transactionId })).toEqual({ status: 'Accepted' });
    await system.until(() => events('Ended').length === 1, 'the end');
    expect(events('Ended')[0]?.payload).toMatchObject({
      triggerReason: 'RemoteStop',
      transactionInfo: { transactionId, stoppedReason: 'Remote', chargingState: 'EVConnected' },
    });
  });

  test('a reset on idle is scheduled and comes after the session; an immediate one ends it', async () => {
    await plugged(v201, [
      [-hour, 2_000],
      [3_000, hour],
    ]);
    expect(await valid('Reset', { type: 'OnIdle' })).toEqual({ status: 'Scheduled' });
    await system.until(() => system.of('BootNotification').length === 2, 'the boot');
    expect(system.of('BootNotification')[1]?.payload.reason).toBe('ScheduledReset');
    expect(events('Ended')[0]?.payload.transactionInfo).toMatchObject({ stoppedReason: 'EVDisconnected' });
    await system.until(() => events('Started').length === 2, 'the next car');
    await answered();
    expect(await valid('Reset', { type: 'Immediate', evseId: 3 })).toEqual({ status: 'Rejected' });
    expect(await valid('Reset', { type: 'Immediate' })).toEqual({ status: 'Accepted' });
    await system.until(() => events('Ended').length === 2, 'the end');
    expect(events('Ended')[1]?.payload).toMatchObject({
      triggerReason: 'ResetCommand',
      transactionInfo: { stoppedReason: 'ImmediateReset' },
    });
    expect(system.of('BootNotification').at(-1)?.payload.reason).toBe('RemoteReset');
  });

  test('a connector alone can be reset: its session ends, the line stays', async () => {
    await plugged(v201, [[-hour, hour]]);
    await answered();
    const { connection } = system.calls.at(-1) ?? expect.fail();
    expect(await valid('Reset', { type: 'Immediate', evseId: 1 })).toEqual({ status: 'Accepted' });
    await system.until(() => events('Ended').length === 1, 'the end');
    await answered();
    expect(system.calls.at(-1)?.connection).toBe(connection);
    expect(system.of('BootNotification')).toHaveLength(1);
  });

  test('variables are read and set by component and name', async () => {
    await plugged(v201, [[-hour, hour]]);
    const about = (component: string, name: string) => ({ component: { name: component }, variable: { name } });
    const heartbeat = about('OCPPCommCtrlr', 'HeartbeatInterval');
    const pings = about('OCPPCommCtrlr', 'WebSocketPingInterval');
    const setVariableData = [
      { ...heartbeat, attributeValue: '60' },
      { ...pings, attributeValue: '9' },
      { ...about('AuthCtrlr', 'AuthorizeRemoteStart'), attributeValue: 'true' },
      { ...about('Toaster', 'Crispness'), attributeValue: '1' },
      { ...about('TxCtrlr', 'Crispness'), attributeValue: '1' },
      { ...heartbeat, attributeType: 'Target', attributeValue: '1' },
    ];
    const outcomes = async (action: string, payload: Record<string, unknown>, list: string) =>
      ((await valid(action, payload)) as Record<string, { attributeStatus: string; attributeValue?: string }[]>)[
        list
      ]?.map(({ attributeStatus, attributeValue }) => attributeValue ?? attributeStatus);
    expect(await outcomes('SetVariables', { setVariableData }, 'setVariableResult')).toEqual([
      ...['Accepted', 'RebootRequired', 'Rejected', 'UnknownComponent', 'UnknownVariable'],
      'NotSupportedAttributeType',
    ]);
    const getVariableData = [heartbeat, pings, about('Toaster', 'Crispness')];
    const read = () => outcomes('GetVariables', { getVariableData }, 'getVariableResult');
    expect(await read()).toEqual(['60', '0', 'UnknownComponent']);
    await valid('Reset', { type: 'Immediate' });
    await system.until(() => system.of('BootNotification').length === 2 && charger?.registered === true, 'the boot');
    expect(await read()).toEqual(['60', '9', 'UnknownComponent']);
  });
});

test('a reset that was accepted before a power cut is made up for at the next start', async () => {
  store.append({ k: 'begin', c: 'CP-1', n: 1, i: 0, tag: 'TAG0', at: Date.now() - hour, wh: 0, w: 11_040, tx: 'tx-1' });
  store.append({ k: 'reset', c: 'CP-1', idle: false });
  await plugged(v201, [[-hour, hour]]);
  await system.until(() => events('Ended').length === 1, 'the end');
  expect(system.of('BootNotification')[0]?.payload.reason).toBe('RemoteReset');
  expect(events('Ended')[0]?.payload).toMatchObject({ offline: true, transactionInfo: { transactionId: 'tx-1' } });
  expect(memory()).toMatchObject({ reset: null, parked: { i: 0 } });
});
