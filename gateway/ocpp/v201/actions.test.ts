import Value from 'typebox/value';
import type { TSchema } from 'typebox';
import { expect, test } from 'vitest';
import * as commands from '#actors/schema/commands';
import type { Sample } from '#actors/schema/events';
import { portionsAhead, samplesPerFact } from '../portions.ts';
import { Notes, type Payload } from '../repairs/notes.ts';
import { boot201, event201, register201, status201, token201 } from '../testing/messages_201.ts';
import { actions } from './actions.ts';
import { isValidAnswer } from './validation.ts';

const now = Date.parse('2026-03-01T12:00:05.000Z');

interface Body {
  [field: string]: unknown;
  key: string;
  samples: Sample[];
}

/** What becomes of a request: its command and how it is answered, or the error. */
function translate(name: string, request: object, { idText = '"1"', connectionSeq = 7 } = {}) {
  const action = actions.get(name)!;
  const notes = new Notes(now, []);
  const payload = action.repair(structuredClone(request), notes) as Payload;
  const error = action.check(payload, notes);
  if (error) throw new Error(`${error.code} ${error.description}`);
  const told = action.choose?.(payload) ?? action;
  const origin = { charger: 'CP-1', connectionSeq, idText, frameHash: 'f'.repeat(32) };
  return {
    type: told.type,
    answered: told.answered,
    answer: told.answer,
    body: told.body(payload, notes, origin) as Body,
  };
}
const event = (type: 'Started' | 'Updated' | 'Ended', seqNo = 0, more: object = {}) =>
  translate('TransactionEvent', event201(type, seqNo, more));
const sampled = (value: unknown, more: object = {}) =>
  event('Updated', 1, { meterValue: [{ timestamp: '2026-03-01T12:00:00Z', sampledValue: [{ value, ...more }] }] }).body;

const full = {
  idToken: token201,
  offline: true,
  numberOfPhasesUsed: 3,
  transactionInfo: { transactionId: 'tx-1', chargingState: 'Charging', remoteStartId: 5, stoppedReason: 'Remote' },
  meterValue: [register201(1_000)],
};
const security = { type: 'FirmwareUpdated', timestamp: '2026-03-01T12:00:00Z', techInfo: 'v2' };
const requests: [string, string, TSchema, object][] = [
  ['BootNotification', 'charger.booted', commands.ChargerBooted, boot201],
  ['StatusNotification', 'connector.status', commands.ConnectorStatus, status201()],
  ['Authorize', 'token.presented', commands.TokenPresented, { idToken: token201 }],
  ['MeterValues', 'meter.sampled', commands.MeterSampled, { evseId: 1, meterValue: [register201(5)] }],
  ['DataTransfer', 'vendor.message', commands.VendorMessage, { vendorId: 'Acme', data: { any: ['thing'] } }],
  ['SecurityEventNotification', 'charger.reported', commands.ChargerReported, security],
  ['LogStatusNotification', 'charger.reported', commands.ChargerReported, { status: 'Uploaded', requestId: 4 }],
  ['FirmwareStatusNotification', 'charger.reported', commands.ChargerReported, { status: 'Idle' }],
  ['TransactionEvent', 'session.started', commands.SessionStarted, event201('Started')],
  ['TransactionEvent', 'session.started', commands.SessionStarted, event201('Started', 0, full)],
  ['TransactionEvent', 'session.progress', commands.SessionProgress, event201('Updated', 1)],
  ['TransactionEvent', 'session.progress', commands.SessionProgress, event201('Updated', 1, full)],
  ['TransactionEvent', 'session.ended', commands.SessionEnded, event201('Ended', 2)],
  ['TransactionEvent', 'session.ended', commands.SessionEnded, event201('Ended', 2, full)],
];

test.each(requests)('%s becomes %s, as the charger actor accepts it', (name, type, schema, request) => {
  const told = translate(name, request);
  expect(told.type).toBe(type);
  expect([...Value.Errors(schema, told.body)]).toEqual([]);
  expect(told.body).toMatchObject({
    ...{ connectionSeq: 7, key: expect.stringMatching(/^[0-9a-f]{32}$/), frameHash: 'f'.repeat(32), repairs: [] },
  });
});

test('a start says whose transaction it is, where, for which request of ours, and what the meter showed', () => {
  expect(event('Started', 0, full).body).toMatchObject({
    ...{ reference: 'tx-1', connector: 1, tag: 'DEMO0001', remoteStartId: 5, meterStartWh: null },
    ...{ trigger: 'CablePluggedIn', offline: true, at: Date.parse('2026-03-01T12:00:00Z'), clock: false },
    samples: [{ measurand: 'Energy.Active.Import.Register', unit: 'Wh', value: '1000', location: 'Outlet', phase: '' }],
  });
  expect(event('Started').body).toMatchObject({ tag: '', remoteStartId: null, offline: false, samples: [] });
});

test('an end says why; without a reason it was ended locally', () => {
  expect(event('Ended', 2, full).body).toMatchObject({
    reason: 'Remote',
    tag: 'DEMO0001',
    transaction: 0,
    connector: 0,
  });
  expect(event('Ended', 2).body).toMatchObject({ reason: 'Local', tag: null, meterStopWh: null });
});

const free = { idToken: '', type: 'NoAuthorization' };
test.each([
  ['without a token', {}, 'appended', {}],
  ['with a token', { idToken: token201 }, 'decided', { idTokenInfo: { status: 'Unknown' } }],
  ['of a charger that lets anybody charge', { idToken: free }, 'appended', { idTokenInfo: { status: 'Accepted' } }],
  [
    'with an empty token',
    { idToken: { ...free, type: 'Central' } },
    'appended',
    { idTokenInfo: { status: 'Invalid' } },
  ],
])('an event %s is answered by what it asks', (_, more, answered, answer) => {
  for (const type of ['Started', 'Updated', 'Ended'] as const) {
    const told = event(type, 3, more);
    expect(told.answered).toBe(answered);
    const unknown = { status: 'Unknown', expiresAt: null, group: null };
    const payload: unknown = JSON.parse(told.answer({ transaction: 1, token: unknown }, now));
    expect(payload).toEqual(answer);
    expect(isValidAnswer('TransactionEvent', payload)).toBe(true);
  }
});

const bare = { status: 'Accepted', expiresAt: null, group: null };
test.each([
  [
    'BootNotification',
    { status: 'Pending', intervalS: 300 },
    { status: 'Pending', currentTime: '2026-03-01T12:00:05.000Z', interval: 300 },
  ],
  ['Heartbeat', null, { currentTime: '2026-03-01T12:00:05.000Z' }],
  ['StatusNotification', null, {}],
  ['MeterValues', null, {}],
  ['Authorize', { ...bare, status: 'NoCredit' }, { idTokenInfo: { status: 'NoCredit' } }],
  [
    'Authorize',
    { status: 'ConcurrentTx', expiresAt: now, group: 'FAMILY' },
    {
      idTokenInfo: {
        status: 'ConcurrentTx',
        cacheExpiryDateTime: '2026-03-01T12:00:05.000Z',
        groupIdToken: { idToken: 'FAMILY', type: 'Central' },
      },
    },
  ],
  ['DataTransfer', null, { status: 'UnknownVendorId' }],
  ['SecurityEventNotification', null, {}],
  ['LogStatusNotification', null, {}],
  ['FirmwareStatusNotification', null, {}],
])('the answer to %s says what was decided and satisfies its schema', (name, value, answer) => {
  const payload: unknown = JSON.parse(actions.get(name)!.answer(value, now));
  expect(payload).toEqual(answer);
  expect(isValidAnswer(name, payload)).toBe(true);
});

test.each([
  ['a JSON number', 12345.678, {}, '12345.678', 'Wh', []],
  ['a number beyond exact floats, as text', '12345678901234567890.5', {}, '12345678901234567890.5', 'Wh', ['R05']],
  ['an exponent', 1e-7, {}, '0.0000001', 'Wh', []],
  ['a power of ten', 12.5, { unitOfMeasure: { unit: 'Wh', multiplier: 3 } }, '12500', 'Wh', []],
  ['a negative power of ten', 12345, { unitOfMeasure: { unit: 'kWh', multiplier: -2 } }, '123.45', 'kWh', []],
  ['a power of ten as text', 1, { unitOfMeasure: { unit: 'Wh', multiplier: '2' } }, '100', 'Wh', ['R05']],
  ['a unit in another case', 5, { unitOfMeasure: { unit: 'KWH' } }, '5', 'kWh', ['R06']],
  ['a unit as bare text', 5, { unitOfMeasure: 'kWh' }, '5', 'kWh', ['R06']],
  ['a unit where OCPP 1.6 has it', 5, { unit: 'kWh' }, '5', 'kWh', ['R06']],
  ['a unit that is null', 5, { unitOfMeasure: null }, '5', 'Wh', ['R06']],
  ['a power without a unit', 7, { measurand: 'Power.Active.Import' }, '7', 'W', []],
  ['a frequency', 50.01, { measurand: 'Frequency', unitOfMeasure: { unit: 'Hz' } }, '50.01', 'Hertz', []],
  ['a decimal comma', '5,5', {}, '5.5', 'Wh', ['R05']],
  [
    'an unknown measurand',
    5,
    { measurand: 'Acme.Humidity', unitOfMeasure: { unit: '%rh' } },
    '5',
    '%rh',
    ['R07', 'R06'],
  ],
])('of a sample, %s keeps its exact digits and gets its canonical unit', (_, value, more, digits, unit, repairs) => {
  const body = sampled(value, more);
  expect(body.samples).toMatchObject([{ value: digits, unit }]);
  expect(body['repairs']).toEqual(repairs);
});

test('a value that is no number is left out, and the event is told without it', () => {
  const body = sampled('much');
  expect(body.samples).toEqual([]);
  expect(body['repairs']).toEqual(['R05.unreadable']);
});

test('what chargers get wrong in an event is repaired and named', () => {
  const { body } = event('Started', 0, {
    seqNo: '3',
    timestamp: '2026-03-01 12:00:00',
    offline: 'true',
    idToken: 4711,
    evse: 2,
    colour: 'red',
    transactionInfo: { transactionId: 815, remoteStartId: '9', mood: 'good' },
    meterValue: [{ ...register201(1), extra: 1 }],
    numberOfPhasesUsed: null,
  });
  expect(body).toMatchObject({
    ...{ reference: '815', tag: '4711', connector: 2, offline: true, remoteStartId: 9 },
    ...{ at: Date.parse('2026-03-01T12:00:00Z'), clock: false },
  });
  expect(new Set(body['repairs'] as string[])).toEqual(new Set(['R05', 'R08', 'R10', 'R24']));
});

test.each([
  ['unreadable', 'yesterday'],
  ['before 2010', '1970-01-01T00:00:00Z'],
  ['more than five minutes ahead', '2026-03-01T12:05:06Z'],
])('a time that is %s is the time of the log, and flagged (R10)', (_, timestamp) => {
  expect(event('Updated', 1, { timestamp }).body).toMatchObject({ at: now, clock: true, repairs: ['R10'] });
});

test('words that nobody knows do not refuse an event: they are kept as told', () => {
  const { body } = event('Updated', 1, {
    triggerReason: 'SolarEclipse',
    transactionInfo: { transactionId: 'tx-1', chargingState: 'Dreaming' },
    idToken: { idToken: 'T', type: 'Acme' },
  });
  expect(body).toMatchObject({ trigger: 'SolarEclipse', chargingState: 'Dreaming', tag: 'T' });
});

test('an event is known by transaction, number and type, whatever its message id or connection', () => {
  const keyOf = (request: object, origin = {}) => translate('TransactionEvent', request, origin).body.key;
  const key = keyOf(event201('Updated', 4));
  expect(keyOf(event201('Updated', 4), { idText: '"other"', connectionSeq: 9 })).toBe(key);
  expect(keyOf(event201('Updated', 4, { transactionInfo: { transactionId: 'TX-1' } }))).toBe(key);
  expect(keyOf(event201('Updated', 5))).not.toBe(key);
  expect(keyOf(event201('Ended', 4))).not.toBe(key);
  expect(keyOf(event201('Updated', 4, { transactionInfo: { transactionId: 'tx-2' } }))).not.toBe(key);
});

test('reports are known by what they say, an authorisation by its connection and message', () => {
  const keyOf = (name: string, request: object, origin = {}) => translate(name, request, origin).body.key;
  const other = { idText: '"2"', connectionSeq: 8 };
  expect(keyOf('SecurityEventNotification', security, other)).toBe(keyOf('SecurityEventNotification', security));
  expect(keyOf('SecurityEventNotification', { ...security, techInfo: 'v3' })).not.toBe(
    keyOf('SecurityEventNotification', security),
  );
  expect(keyOf('Authorize', { idToken: token201 }, other)).not.toBe(keyOf('Authorize', { idToken: token201 }));
});

test('samples are known by what they say and when, not by their message', () => {
  const keyOf = (timestamp: string, origin = {}) =>
    translate('MeterValues', { evseId: 1, meterValue: [register201(5, timestamp)] }, origin).body.key;
  const key = keyOf('2026-03-01T12:00:00Z');
  expect(keyOf('2026-03-01T12:00:00Z', { idText: '"2"', connectionSeq: 8 })).toBe(key);
  expect(keyOf('2026-03-01T12:00:01Z')).not.toBe(key);
});

test('plugs of one EVSE are one connector; which of them spoke is kept', () => {
  expect(translate('StatusNotification', { ...status201('Occupied'), connectorId: 2 }).body).toMatchObject({
    ...{ connector: 1, status: 'Occupied', errorCode: '', info: 'connector 2' },
  });
});

test('an event with thousands of samples becomes several facts of its transaction, none lost', () => {
  const meterValue = Array.from({ length: 1_000 }, (_, i) => register201(i, new Date(now - i * 1_000).toISOString()));
  const { body } = event('Ended', 9, { meterValue });
  const all = body.samples;
  const ahead = portionsAhead(body);
  expect([...ahead.flatMap((portion) => portion.body.samples), ...body.samples]).toEqual(all);
  expect(ahead.map(({ type }) => type)).toEqual(['session.progress', 'session.progress']);
  for (const portion of ahead) {
    expect(portion.body.samples.length).toBeLessThanOrEqual(samplesPerFact);
    expect([...Value.Errors(commands.SessionProgress, portion.body)]).toEqual([]);
  }
});
