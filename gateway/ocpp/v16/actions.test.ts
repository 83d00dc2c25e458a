import Value from 'typebox/value';
import type { TSchema } from 'typebox';
import { expect, test } from 'vitest';
import * as commands from '#actors/schema/commands';
import type { MeterSampledBody } from '#actors/schema/commands';
import type { Sample } from '#actors/schema/events';
import { Notes, type Payload } from '../repairs/notes.ts';
import { boot, meterValues, start, status, stop } from '../testing/messages.ts';
import { actions } from './actions.ts';
import { portionsAhead, samplesPerFact } from '../portions.ts';
import { isValidAnswer } from './validation.ts';

const now = Date.parse('2026-03-01T12:00:05.000Z');

interface Body {
  [field: string]: unknown;
  key: string;
  samples: Sample[];
}

/** What becomes of a request: the body of its command, or the error. */
function translate(action: string, request: unknown, { idText = '"1"', connectionSeq = 7 } = {}) {
  const rule = actions.get(action)!;
  const notes = new Notes(now, []);
  const payload = rule.repair(structuredClone(request), notes) as Payload;
  const error = rule.check(payload, notes);
  if (error) throw new Error(error.code);
  return rule.body(payload, notes, { charger: 'CP-1', connectionSeq, idText, frameHash: 'f'.repeat(32) }) as Body;
}

const schemas: Record<string, TSchema> = {
  BootNotification: commands.ChargerBooted,
  StatusNotification: commands.ConnectorStatus,
  Authorize: commands.TokenPresented,
  StartTransaction: commands.SessionStarted,
  MeterValues: commands.MeterSampled,
  StopTransaction: commands.SessionEnded,
  DataTransfer: commands.VendorMessage,
};
const requests: Record<string, object> = {
  BootNotification: boot,
  StatusNotification: status(),
  Authorize: { idTag: 'DEMO0001' },
  StartTransaction: start,
  MeterValues: meterValues(),
  StopTransaction: { ...stop, transactionData: meterValues().meterValue },
  DataTransfer: { vendorId: 'Acme', data: 'hello' },
};

test.each(Object.keys(schemas))('%s becomes the command that the charger actor accepts', (action) => {
  const body = translate(action, requests[action]);
  expect([...Value.Errors(schemas[action]!, body)]).toEqual([]);
  expect(body).toMatchObject({
    connectionSeq: 7,
    key: expect.stringMatching(/^[0-9a-f]{32}$/),
    frameHash: 'f'.repeat(32),
    repairs: [],
  });
});

test('a sample keeps its exact digits and names', () => {
  expect(translate('MeterValues', meterValues()).samples[2]).toEqual({
    at: Date.parse('2026-03-01T12:00:00Z'),
    measurand: 'Current.Import',
    phase: 'L1',
    location: 'Outlet',
    context: 'Sample.Periodic',
    unit: 'A',
    value: '16.0',
  });
});

test('a stop says why, for whom and what it measured', () => {
  expect(translate('StopTransaction', stop)).toMatchObject({
    reason: 'Local',
    tag: 'DEMO0001',
    meterStopWh: 8_000,
    samples: [],
  });
  expect(translate('StopTransaction', { ...stop, idTag: '', reason: 'EVDisconnected' })).toMatchObject({
    tag: null,
    reason: 'EVDisconnected',
  });
});

test('what chargers get wrong is repaired and named', () => {
  const body = translate('StartTransaction', {
    connectorId: '1',
    idTag: 12345678,
    meterStart: '1000,4',
    timestamp: '2026-03-01T12:00:00',
  });
  expect(body).toMatchObject({
    connector: 1,
    tag: '12345678',
    meterStartWh: 1_000,
    at: Date.parse('2026-03-01T12:00:00Z'),
    clock: false,
  });
  expect(body['repairs']).toEqual(['R05', 'R10']);
});

test('a resent start has another message id and the same key (R12)', () => {
  const key = translate('StartTransaction', start).key;
  expect(translate('StartTransaction', start, { idText: '"2"', connectionSeq: 9 }).key).toBe(key);
  expect(translate('StartTransaction', { ...start, connectorId: '1' }).key).toBe(key);
  expect(translate('StartTransaction', { ...start, meterStart: 1_001 }).key).not.toBe(key);
  expect(translate('StartTransaction', { ...start, connectorId: 2 }).key).not.toBe(key);
});

test('a stop is known by its transaction, one without by its contents (R13)', () => {
  const key = translate('StopTransaction', stop).key;
  expect(translate('StopTransaction', { ...stop, meterStop: 9 }).key).toBe(key);
  const orphan = { ...stop, transactionId: -1 };
  expect(translate('StopTransaction', orphan).key).toBe(translate('StopTransaction', orphan, { idText: '"9"' }).key);
  expect(translate('StopTransaction', { ...orphan, meterStop: 9 }).key).not.toBe(
    translate('StopTransaction', orphan).key,
  );
  expect(translate('StopTransaction', { ...orphan, transactionId: 0 }).key).toBe(
    translate('StopTransaction', orphan).key,
  );
});

test('samples are known by what they say and when, not by their message', () => {
  const key = translate('MeterValues', meterValues()).key;
  expect(translate('MeterValues', meterValues(), { idText: '"2"', connectionSeq: 8 }).key).toBe(key);
  expect(translate('MeterValues', meterValues('2026-03-01T12:00:01Z')).key).not.toBe(key);
});

test('a status without a time of its own is as new as its message', () => {
  const { timestamp: _, ...untimed } = status();
  const [first, second] = [
    translate('StatusNotification', untimed),
    translate('StatusNotification', untimed, { idText: '"2"' }),
  ];
  expect(first.key).not.toBe(second.key);
  expect(first).toMatchObject({ at: now, atRaw: '', clock: true, repairs: [] });
  expect(translate('StatusNotification', status(), { idText: '"2"' }).key).toBe(
    translate('StatusNotification', status()).key,
  );
});

test('an authorisation is a question of its own connection and message', () => {
  const ask = (idTag: string, origin = {}) => translate('Authorize', { idTag }, origin).key;
  expect(ask('A')).toBe(ask('A'));
  expect(ask('B')).not.toBe(ask('A'));
  expect(ask('A', { idText: '"2"' })).not.toBe(ask('A'));
  expect(ask('A', { connectionSeq: 8 })).not.toBe(ask('A'));
});

const token = { status: 'ConcurrentTx', expiresAt: now, group: 'FAMILY' };
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
  [
    'Authorize',
    token,
    { idTagInfo: { status: 'ConcurrentTx', expiryDate: '2026-03-01T12:00:05.000Z', parentIdTag: 'FAMILY' } },
  ],
  ['StartTransaction', { transaction: 5, token: bare }, { transactionId: 5, idTagInfo: { status: 'Accepted' } }],
  ['StopTransaction', { transaction: 5, token: null }, {}],
  ['StopTransaction', { transaction: 5, token: bare }, { idTagInfo: { status: 'Accepted' } }],
  ['Authorize', { ...bare, status: 'Unknown' }, { idTagInfo: { status: 'Invalid' } }],
  ['Authorize', { ...bare, status: 'NoCredit' }, { idTagInfo: { status: 'Blocked' } }],
  ['DataTransfer', null, { status: 'UnknownVendorId' }],
])('the answer to %s says what was decided and satisfies its schema', (action, value, answer) => {
  const payload: unknown = JSON.parse(actions.get(action)!.answer(value, now));
  expect(payload).toEqual(answer);
  expect(isValidAnswer(action, payload)).toBe(true);
});

test('a stop with thousands of samples becomes several facts, none lost', () => {
  const transactionData = Array.from({ length: 2_500 }, (_, i) => ({
    timestamp: new Date(now - i * 1_000).toISOString(),
    sampledValue: [{ value: String(i) }],
  }));
  const body = translate('StopTransaction', { ...stop, transactionData });
  const all = body.samples;
  const ahead = portionsAhead(body).map((portion) => portion.body as MeterSampledBody);
  expect([...ahead.flatMap((portion) => portion.samples), ...body.samples]).toEqual(all);
  expect(ahead).toHaveLength(6);
  for (const portion of ahead) {
    expect(portion.samples.length).toBeLessThanOrEqual(samplesPerFact);
    expect([...Value.Errors(commands.MeterSampled, portion)]).toEqual([]);
  }
  expect(new Set(ahead.map((portion) => portion.key)).size).toBe(6);
});
