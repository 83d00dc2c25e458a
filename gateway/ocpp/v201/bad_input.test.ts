/** Everything broken that a charger of OCPP 2.0.1 may say gets a precise answer, and changes nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startOcpp, type OcppDoor } from '../server.ts';
import { openCharger, type RawCharger } from '../testing/charger.ts';
import { MemoryDoor } from '../testing/door.ts';
import { pepper, quick, registered, startGateway } from '../testing/gateway.ts';
import { boot201, event201, register201, status201, token201 } from '../testing/messages_201.ts';

const door = new MemoryDoor();
let gateway: OcppDoor;
let charger: RawCharger;
beforeAll(async () => {
  const silent = () => undefined;
  gateway = await startOcpp({
    ...{ door, gatewayId: 'gw-1', bind: '127.0.0.1', port: 0, pepper, resolve: async (id) => registered(id) },
    log: { info: silent, warn: silent, error: silent },
    limits: { ...quick, callBurst: 1_000 },
  });
  charger = await openCharger(gateway.port, '/ocpp/CP-1', { protocol: 'ocpp2.0.1' });
});
afterAll(async () => {
  charger.close();
  await gateway.close();
});

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const info = { transactionId: 'tx-1' };
const without = (object: Record<string, unknown>, field: string) =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== field));
const tx = (more: object) => [2, 'x', 'TransactionEvent', event201('Updated', 1, more)];
const sample = (value: object) => ({ timestamp: '2026-03-01T12:00:00Z', sampledValue: [value] });

const frames: [string, unknown, string, object?][] = [
  ['bad JSON behind a readable id', '[2,"x","TransactionEvent",{"seqNo":,}]', 'FormatViolation'],
  ['a missing action', [2, 'x'], 'FormatViolation'],
  ['an action that is a number', [2, 'x', 5, {}], 'FormatViolation'],
  ['an unknown action', [2, 'x', 'MakeCoffee', {}], 'NotImplemented'],
  ['an action named like a property of objects', [2, 'x', 'constructor', {}], 'NotImplemented'],
  ['an action of our side', [2, 'x', 'RequestStartTransaction', {}], 'NotImplemented'],
  ['an action of OCPP 1.6', [2, 'x', 'StartTransaction', {}], 'NotImplemented'],
  ['a report that nobody asked for', [2, 'x', 'NotifyReport', {}], 'NotSupported'],
  ['a certificate to be signed', [2, 'x', 'SignCertificate', { csr: 'x' }], 'NotSupported'],
  ['a monitoring event', [2, 'x', 'NotifyEvent', {}], 'NotSupported'],
  ['a message type that nobody knows', [9, 'x', 'Heartbeat', {}], 'MessageTypeNotSupported'],
  ['a SEND of version 2.1', [6, 'x', 'NotifyPeriodicEventStream', {}], 'MessageTypeNotSupported'],
  ['a payload that is an array', [2, 'x', 'BootNotification', [1]], 'FormatViolation'],
  ['a payload that is a string', [2, 'x', 'Heartbeat', 'now'], 'FormatViolation'],
  ['no payload where fields are needed', [2, 'x', 'Authorize'], 'FormatViolation'],
  [
    'a boot without a reason',
    [2, 'x', 'BootNotification', without(boot201, 'reason')],
    'OccurrenceConstraintViolation',
    { path: '/reason', rule: 'required' },
  ],
  [
    'a boot without a vendor',
    [2, 'x', 'BootNotification', { ...boot201, chargingStation: { model: 'M' } }],
    'OccurrenceConstraintViolation',
    { path: '/chargingStation/vendorName', rule: 'required' },
  ],
  [
    'an unknown reason of a boot',
    [2, 'x', 'BootNotification', { ...boot201, reason: 'Bored' }],
    'PropertyConstraintViolation',
  ],
  [
    'a model of 21 characters',
    [2, 'x', 'BootNotification', { ...boot201, chargingStation: { vendorName: 'A', model: 'M'.repeat(21) } }],
    'PropertyConstraintViolation',
  ],
  ['a boot of version 1.6', [2, 'x', 'BootNotification', { chargePointVendor: 'A' }], 'OccurrenceConstraintViolation'],
  [
    'an unknown field of a boot',
    [2, 'x', 'BootNotification', { ...boot201, colour: 'red' }],
    'ProtocolError',
    { path: '/colour', rule: 'additionalProperties' },
  ],
  [
    'a status of version 1.6',
    [2, 'x', 'StatusNotification', status201('Charging')],
    'PropertyConstraintViolation',
    { path: '/connectorStatus', rule: 'enum' },
  ],
  [
    'an EVSE that is a word',
    [2, 'x', 'StatusNotification', { ...status201(), evseId: 'one' }],
    'TypeConstraintViolation',
  ],
  ['a negative EVSE', [2, 'x', 'StatusNotification', { ...status201(), evseId: -1 }], 'PropertyConstraintViolation'],
  [
    'an EVSE beyond all',
    [2, 'x', 'StatusNotification', { ...status201(), evseId: 65_536 }],
    'PropertyConstraintViolation',
  ],
  ['a token without a type', [2, 'x', 'Authorize', { idToken: { idToken: 'T' } }], 'OccurrenceConstraintViolation'],
  ['a token that is a list', [2, 'x', 'Authorize', { idToken: ['T'] }], 'TypeConstraintViolation'],
  [
    'a token of 37 characters',
    [2, 'x', 'Authorize', { idToken: { ...token201, idToken: 'T'.repeat(37) } }],
    'PropertyConstraintViolation',
  ],
  [
    'an event without a transaction',
    tx({ transactionInfo: undefined }),
    'OccurrenceConstraintViolation',
    { path: '/transactionInfo', rule: 'required' },
  ],
  ['a transaction without an id', tx({ transactionInfo: {} }), 'OccurrenceConstraintViolation'],
  ['a transaction with an empty id', tx({ transactionInfo: { transactionId: '' } }), 'PropertyConstraintViolation'],
  [
    'a transaction with an id of 65 characters',
    tx({ transactionInfo: { transactionId: 'x'.repeat(65) } }),
    'PropertyConstraintViolation',
  ],
  ['a transaction that is text', tx({ transactionInfo: 'tx-1' }), 'TypeConstraintViolation'],
  ['an event without a type', tx({ eventType: undefined }), 'OccurrenceConstraintViolation'],
  ['an event of an unknown type', tx({ eventType: 'Paused' }), 'PropertyConstraintViolation'],
  ['an event named like a property of objects', tx({ eventType: 'toString' }), 'PropertyConstraintViolation'],
  ['an event without a number', tx({ seqNo: undefined }), 'OccurrenceConstraintViolation'],
  ['an event with a negative number', tx({ seqNo: -1 }), 'PropertyConstraintViolation'],
  ['an event with half a number', tx({ seqNo: {} }), 'TypeConstraintViolation'],
  ['an event that is perhaps offline', tx({ offline: 'perhaps' }), 'TypeConstraintViolation'],
  ['an EVSE without an id', tx({ evse: { connectorId: 1 } }), 'OccurrenceConstraintViolation'],
  [
    'a request of ours beyond 32 bits',
    tx({ transactionInfo: { ...info, remoteStartId: 2 ** 31 } }),
    'PropertyConstraintViolation',
  ],
  ['meter values that are no list', tx({ meterValue: {} }), 'TypeConstraintViolation'],
  ['a sample that is null', tx({ meterValue: [null] }), 'TypeConstraintViolation'],
  ['a sample without a value', tx({ meterValue: [sample({ measurand: 'Voltage' })] }), 'OccurrenceConstraintViolation'],
  [
    'a power of ten beyond all meters',
    tx({ meterValue: [sample({ value: 1, unitOfMeasure: { unit: 'Wh', multiplier: 99 } })] }),
    'PropertyConstraintViolation',
  ],
  [
    'a unit of 21 characters',
    tx({ meterValue: [sample({ value: 1, unitOfMeasure: { unit: 'W'.repeat(21) } })] }),
    'PropertyConstraintViolation',
  ],
  [
    'more unknown fields than anybody misspells',
    tx(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, i]))),
    'ProtocolError',
  ],
  ['a payload 17 levels deep', [2, 'x', 'Authorize', nested(17)], 'FormatViolation', { path: '', rule: 'depth' }],
  ['a security event without a type', [2, 'x', 'SecurityEventNotification', {}], 'OccurrenceConstraintViolation'],
  [
    'an unknown state of an upload',
    [2, 'x', 'LogStatusNotification', { status: 'Soon' }],
    'PropertyConstraintViolation',
  ],
  [
    'an unknown state of an update',
    [2, 'x', 'FirmwareStatusNotification', { status: 'Soon' }],
    'PropertyConstraintViolation',
  ],
  ['a vendor without a name', [2, 'x', 'DataTransfer', { data: 1 }], 'OccurrenceConstraintViolation'],
  ['a key that would poison prototypes', '[2,"x","Heartbeat",{"__proto__":{"a":1}}]', 'ProtocolError'],
];

test.each(frames)(
  'a frame with %s is answered by its error, and the log hears nothing',
  async (_, frame, code, details) => {
    const before = door.facts.length;
    charger.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    const [type, id, errorCode, description, errorDetails] = await charger.next();
    expect([type, id, errorCode]).toEqual([4, 'x', code]);
    expect(description.length).toBeLessThanOrEqual(255);
    if (details) expect(errorDetails).toEqual(details);
    expect(door.facts.length).toBe(before);
  },
);

test.each([
  ['no array', '{"a":1}'],
  ['a bare word', 'hello'],
  ['no readable id', '[2,{},"Heartbeat",{}]'],
  ['an id that is null', '[2,null,"Heartbeat",{}]'],
  ['half a frame', '[2,"x'],
  ['a type that is text', '["2","x","Heartbeat",{}]'],
])('%s is answered with the id -1, which stands for none', async (_, frame) => {
  charger.send(frame);
  const [type, id, code] = await charger.next();
  expect([type, id, code]).toEqual([4, '-1', 'RpcFrameworkError']);
});

test('answers that nobody asked for and empty messages get no reply', async () => {
  for (const frame of ['[3,"x",{}]', '[4,"x","GenericError","",{}]', '', '[9,null]']) charger.send(frame);
  expect((await charger.call('Heartbeat', {}, 'after')).slice(0, 2)).toEqual([3, 'after']);
});

test('the same charger may speak another version the next time, and is answered in it', async () => {
  const { open, door: own } = await startGateway();
  const newer = await open('CP-1', { protocol: 'OCPP2.0.1' });
  expect(newer.ws.protocol).toBe('OCPP2.0.1');
  expect((await newer.call('BootNotification', {}, 'a'))[2]).toBe('OccurrenceConstraintViolation');
  const older = await open('CP-1', { protocol: 'ocpp1.6' });
  expect((await older.call('BootNotification', {}, 'a'))[2]).toBe('OccurenceConstraintViolation');
  expect(own.of('charger.connected').map(({ body }) => body['protocol'])).toEqual(['ocpp2.0.1', 'ocpp1.6']);
});

test('what is repaired is taken in: one value that is no number costs neither its event nor its other values', async () => {
  const meterValue = [register201(7), sample({ value: 'NaN' }), sample({ value: 'Infinity', measurand: 'Voltage' })];
  const before = door.of('session.progress').length;
  expect(await charger.call('TransactionEvent', event201('Updated', 3, { meterValue }), 'r')).toEqual([3, 'r', {}]);
  const told = door.of('session.progress');
  expect(told).toHaveLength(before + 1);
  expect(told.at(-1)?.body['samples']).toHaveLength(1);
});
