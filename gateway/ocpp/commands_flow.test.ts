/** Commands to chargers end to end: real engine, real log, real sockets, both versions of OCPP. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { remoteStartIdOf } from '#actors/device_command_rules';
import type { DeviceOrder } from '#actors/schema/device_commands';
import type { RawCharger } from './testing/charger.ts';
import { startInstallation, type Installation } from './testing/installation.ts';
import { boot } from './testing/messages.ts';

let system: Installation;
beforeAll(async () => {
  system = await startInstallation(9);
}, 60_000);
afterAll(() => system.close());

const iso = () => new Date().toISOString();
const start: DeviceOrder = { kind: 'session.requestStart', arguments: { connector: 1, tag: 'TAG-1' } };
const get = (...keys: string[]): DeviceOrder => ({ kind: 'config.get', arguments: { keys } });
const set = (key: string, value: string): DeviceOrder => ({ kind: 'config.set', arguments: { key, value } });
const reset = (mode: 'soft' | 'hard'): DeviceOrder => ({ kind: 'charger.reset', arguments: { mode } });

interface Talk {
  protocol: string;
  boot: object;
  /** The wire's words for each kind, with the answer that accepts it. */
  start(command: string): [action: string, payload: object];
  begin(charger: RawCharger, command: string): Promise<string | number>;
  stop(transaction: string | number): [action: string, payload: object];
  end(charger: RawCharger, transaction: string | number): Promise<unknown>;
  reset: [action: string, payload: object];
  key: string;
  change(value: string): [action: string, payload: object, answer: (status: string) => object];
  look: [action: string, payload: object, answer: (value: string) => object];
}

const variable = { component: { name: 'OCPPCommCtrlr' }, variable: { name: 'HeartbeatInterval' } };
const event = (eventType: string, seqNo: number, more: object) => ({
  ...{ eventType, seqNo, timestamp: iso(), triggerReason: eventType === 'Started' ? 'RemoteStart' : 'RemoteStop' },
  ...more,
});

const talks: Talk[] = [
  {
    protocol: 'ocpp1.6',
    boot,
    start: () => ['RemoteStartTransaction', { connectorId: 1, idTag: 'TAG-1' }],
    async begin(charger) {
      const payload = { connectorId: 1, idTag: 'TAG-1', meterStart: 0, timestamp: iso() };
      const [, , { transactionId }] = await charger.call('StartTransaction', payload);
      return transactionId as number;
    },
    stop: (transactionId) => ['RemoteStopTransaction', { transactionId }],
    end: (charger, transactionId) =>
      charger.call('StopTransaction', { transactionId, meterStop: 10, timestamp: iso(), reason: 'Remote' }),
    reset: ['Reset', { type: 'Soft' }],
    key: 'HeartbeatInterval',
    change: (value) => ['ChangeConfiguration', { key: 'HeartbeatInterval', value }, (status) => ({ status })],
    look: [
      'GetConfiguration',
      { key: ['HeartbeatInterval'] },
      (value) => ({ configurationKey: [{ key: 'HeartbeatInterval', readonly: false, value }] }),
    ],
  },
  {
    protocol: 'ocpp2.0.1',
    boot: { reason: 'PowerUp', chargingStation: { vendorName: 'Acme', model: 'Wall 22' } },
    start: (command) => [
      'RequestStartTransaction',
      { evseId: 1, remoteStartId: remoteStartIdOf(command), idToken: { idToken: 'TAG-1', type: 'Central' } },
    ],
    async begin(charger, command) {
      const transactionId = `T-${command}`.slice(0, 36);
      const transactionInfo = { transactionId, remoteStartId: remoteStartIdOf(command) };
      const idToken = { idToken: 'TAG-1', type: 'Central' };
      const evse = { id: 1, connectorId: 1 };
      await charger.call('TransactionEvent', event('Started', 0, { transactionInfo, idToken, evse }));
      return transactionId;
    },
    stop: (transactionId) => ['RequestStopTransaction', { transactionId }],
    end: (charger, transactionId) =>
      charger.call(
        'TransactionEvent',
        event('Ended', 1, { transactionInfo: { transactionId, stoppedReason: 'Remote' } }),
      ),
    reset: ['Reset', { type: 'OnIdle' }],
    key: 'OCPPCommCtrlr.HeartbeatInterval',
    change: (attributeValue) => [
      'SetVariables',
      { setVariableData: [{ attributeValue, ...variable }] },
      (attributeStatus) => ({ setVariableResult: [{ attributeStatus, ...variable }] }),
    ],
    look: [
      'GetVariables',
      { getVariableData: [variable] },
      (attributeValue) => ({ getVariableResult: [{ attributeStatus: 'Accepted', attributeValue, ...variable }] }),
    ],
  },
];

describe.each(talks)('$protocol', (talk) => {
  const version = talk.protocol.replaceAll('.', '_');
  const id = talk.protocol === 'ocpp1.6' ? 'CP-1' : 'CP-2';
  let charger: RawCharger;
  const arrive = async (edge?: Awaited<ReturnType<Installation['edge']>>) => {
    charger = await (edge ?? (await system.edge())).open(id, talk.protocol);
    expect((await charger.call('BootNotification', talk.boot))[2]).toMatchObject({ status: 'Accepted' });
  };
  beforeAll(() => arrive());

  test('start, stop: sent, answered, done by what the charger does', async () => {
    const startId = randomUUID();
    expect(await system.ask(id, startId, start)).toMatchObject({ ok: true, value: { state: 'queued' } });
    expect(await charger.next()).toEqual([2, startId, ...talk.start(startId)]);
    charger.send([3, startId, { status: 'Accepted' }]);
    await system.reached(startId, 'answered');
    const transaction = await talk.begin(charger, startId);
    const done = await system.reached(startId, 'done');
    expect(done).toMatchObject({ attempts: 1, result: { status: 'Accepted' }, reason: null });

    const stopId = randomUUID();
    await system.ask(id, stopId, {
      kind: 'session.requestStop',
      arguments: { transaction: system.transactionOf(id) },
    });
    expect(await charger.next()).toEqual([2, stopId, ...talk.stop(transaction)]);
    charger.send([3, stopId, { status: 'Accepted' }]);
    await system.reached(stopId, 'answered');
    await talk.end(charger, transaction);
    await system.reached(stopId, 'done');
    expect(system.told(stopId).map(({ state }) => state)).toEqual(['queued', 'sent', 'answered', 'done']);
  });

  test('a setting is read back; what is asked for is told', async () => {
    const [action, payload, accept] = talk.change('120');
    const [reading, read, show] = talk.look;
    const command = randomUUID();
    await system.ask(id, command, set(talk.key, '120'));
    expect(await charger.next()).toEqual([2, command, action, payload]);
    charger.send([3, command, accept('Accepted')]);
    const [type, readId, ...rest] = await charger.next();
    expect([type, ...rest]).toEqual([2, reading, read]);
    expect([readId === command, (readId as string).length <= 36]).toEqual([false, true]);
    charger.send([3, readId, show('120')]);
    expect(await system.reached(command, 'done')).toMatchObject({ result: { status: 'Accepted', value: '120' } });

    const other = randomUUID();
    await system.ask(id, other, get(talk.key));
    expect(await charger.next()).toEqual([2, other, reading, read]);
    charger.send([3, other, show('120')]);
    const { result } = await system.reached(other, 'done');
    expect(result).toMatchObject({ values: [{ key: talk.key, value: '120' }], unknown: [] });
  });

  test('refusals, errors and nonsense are failures with their reason, and none is asked again', async () => {
    const answers: [answer: unknown[], reason: string, status: string][] = [
      [[3, { status: 'Rejected' }], 'rejected', 'Rejected'],
      [[3, { status: 'rejected' }], 'rejected', 'Rejected'],
      [[4, 'NotSupported', 'no', {}], 'not_supported', 'NotSupported'],
      [[4, 'NotImplemented', '', {}], 'not_supported', 'NotImplemented'],
      [[4, 'InternalError', 'x'.repeat(300), {}], 'error', 'InternalError'],
      [[3, { status: 'Perhaps' }], 'bad_answer', 'bad_answer'],
      [[3, { status: 'Accepted', nonsense: 1 }], 'bad_answer', 'bad_answer'],
      [[3, null], 'bad_answer', 'bad_answer'],
      [[4], 'error', 'GenericError'],
    ];
    for (const [[type, ...rest], reason, status] of answers) {
      const command = randomUUID();
      await system.ask(id, command, reset('soft'));
      expect(await charger.next()).toEqual([2, command, ...talk.reset]);
      charger.send([type, command, ...rest]);
      expect(await system.reached(command, 'failed')).toMatchObject({ reason, result: { status }, attempts: 1 });
    }
    // Answers to what was never asked, or was answered before, are counted and change nothing.
    charger.send([3, randomUUID(), { status: 'Accepted' }]);
    expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
  });

  test('one CALL is out at a time; a reset is done when the charger has come back and booted', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    await system.ask(id, first, reset('soft'));
    await system.ask(id, second, get(talk.key));
    expect((await charger.next())[1]).toBe(first);
    expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
    expect(system.told(second).map(({ state }) => state)).toEqual(['queued']);
    charger.send([3, first, { status: 'Accepted' }]);
    expect((await charger.next())[1]).toBe(second);
    charger.close();
    await arrive();
    await system.reached(first, 'done');
    // What was written and never answered is asked again, since it may be.
    expect((await charger.next()).slice(0, 2)).toEqual([2, second]);
    charger.send([3, second, talk.look[2]('120')]);
    expect(await system.reached(second, 'done')).toMatchObject({ attempts: 2 });
  });

  test('an effect that gets lost with its engine comes again, and is written once', async () => {
    let lose = true;
    const edge = await system.edge(() => !lose);
    charger.close();
    await arrive(edge);
    const command = randomUUID();
    await system.ask(id, command, get(talk.key));
    await system.reached(command, 'sent');
    await system.nextEngine();
    lose = false;
    expect((await charger.next()).slice(0, 2)).toEqual([2, command]);
    charger.send([3, command, talk.look[2]('1')]);
    await system.reached(command, 'done');
    expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
  });

  test('a killed gateway: a start is not sent again, a setting that is asked for is', async () => {
    const edge = await system.edge();
    charger.close();
    await arrive(edge);
    const [startId, getId] = [randomUUID(), randomUUID()];
    await system.ask(id, startId, start);
    expect((await charger.next())[1]).toBe(startId);
    await system.ask(id, getId, get(talk.key));
    await edge.kill();
    await arrive();
    await system.reached(startId, 'unknown');
    expect((await charger.next()).slice(0, 2)).toEqual([2, getId]);
    charger.send([3, getId, talk.look[2]('1')]);
    await system.reached(getId, 'done');
    expect(charger.messages.filter((message) => (message as unknown[])[1] === startId)).toEqual([]);
    // Its effect still counts.
    const transaction = await talk.begin(charger, startId);
    await system.reached(startId, 'done');
    await talk.end(charger, transaction);
  });

  test('what its version has no words for fails without being sent', async () => {
    const wrong = talk.protocol === 'ocpp1.6' ? 'x'.repeat(60) : 'HeartbeatInterval';
    const command = `${version}-wrong`;
    await system.ask(id, command, get(wrong));
    expect(await system.reached(command, 'failed')).toMatchObject({ reason: 'bad_order', attempts: 0 });
  });
});
