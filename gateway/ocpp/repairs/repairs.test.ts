/** Fixtures are shaped like what chargers in the field send. */
import { expect, test } from 'vitest';
import { repairEmptyPayload } from './empty_payload.ts';
import { repairMeterValues } from './meter_values.ts';
import { Notes, type Payload } from './notes.ts';
import { decimalString, repairInteger, repairOptionalInteger, repairOptionalString, repairString } from './numbers.ts';
import { repairTime } from './time.ts';

const now = Date.parse('2026-03-01T12:00:00.000Z');
const notes = () => new Notes(now, []);

test.each([null, undefined, []])('R02: %j as payload of an empty request means no fields', (payload) => {
  const n = notes();
  expect([repairEmptyPayload(payload, n), n.rules]).toEqual([{}, ['R02']]);
});

test('R02 leaves a payload alone', () => {
  const n = notes();
  expect([repairEmptyPayload({}, n), repairEmptyPayload('x', n), repairEmptyPayload([1], n), n.rules]).toEqual([
    {},
    'x',
    [1],
    [],
  ]);
});

test.each([
  [1234, '1234'],
  [12.5, '12.5'],
  ['1234', '1234'],
  [' 1234 ', '1234'],
  ['0012.50', '12.50'],
  ['12,5', '12.5'],
  ['+7', '7'],
  ['-3.20', '-3.20'],
  ['.5', '0.5'],
  ['5.', '5'],
  ['1.5E3', '1500'],
  ['1.23456e3', '1234.56'],
  ['1e-7', '0.0000001'],
  [1e21, '1000000000000000000000'],
  [1e-7, '0.0000001'],
  ['-0', '0'],
  ['-0.0', '0.0'],
  ['123456789012345678.9', '123456789012345678.9'],
])('R05: %j is the decimal %s, digit by digit', (value, decimal) => {
  expect(decimalString(value)).toBe(decimal);
});

test.each([
  '',
  ' ',
  'null',
  'NaN',
  'abc',
  '1.234,5',
  '1,2,3',
  '--1',
  '0x10',
  '1 2',
  '9'.repeat(65),
  NaN,
  Infinity,
  null,
  {},
  [],
  true,
])('R05: %j is no number', (value) => {
  expect(decimalString(value)).toBeNull();
});

test.each([
  ['42', 42, true],
  [42, 42, false],
  ['42.5', 42, true],
  ['43.5', 44, true],
  [42.500001, 43, true],
  ['-1', -1, true],
  ['1.0', 1, true],
  ['abc', 'abc', false],
  ['9007199254740993', '9007199254740993', false],
  [{}, {}, false],
])('R05: the integer field %j becomes %j', (value, expected, repaired) => {
  const [payload, n]: [Payload, Notes] = [{ meterStart: value }, notes()];
  repairInteger(payload, 'meterStart', n);
  expect([payload, n.rules]).toEqual([{ meterStart: expected }, repaired ? ['R05'] : []]);
});

test.each(['null', '', null])('R05: an optional field of %j is absent', (value) => {
  const [payload, n]: [Payload, Notes] = [{ transactionId: value }, notes()];
  repairOptionalInteger(payload, 'transactionId', n);
  expect([payload, n.rules]).toEqual([{}, ['R05']]);
});

test('R05: a tag of digits comes as a number, an absent one as "null"', () => {
  const [payload, n]: [Payload, Notes] = [{ idTag: 12345678, parent: 'null', info: '' }, notes()];
  repairString(payload, 'idTag', n);
  repairOptionalString(payload, 'parent', n);
  repairOptionalString(payload, 'info', n);
  expect(payload).toEqual({ idTag: '12345678', info: '' });
});

const repaired = (sampled: Payload, timestamp: unknown = '2026-03-01T11:59:50Z') => {
  const n = notes();
  const payload: Payload = { meterValue: [{ timestamp, sampledValue: [sampled] }] };
  repairMeterValues(payload, 'meterValue', n);
  const [entry] = payload['meterValue'] as { sampledValue: Payload[] }[];
  return { sample: entry?.sampledValue[0], rules: n.rules, times: n.sampleTimes };
};

test('a bare value is an energy register in Wh: that is what the specification says, and no deviation', () => {
  expect(repaired({ value: '1234' })).toMatchObject({
    sample: {
      value: '1234',
      measurand: 'Energy.Active.Import.Register',
      context: 'Sample.Periodic',
      location: 'Outlet',
      unit: 'Wh',
    },
    rules: [],
  });
});

test.each([
  [{ measurand: 'Frequency', unit: 'Hz' }, 'Hertz'],
  [{ measurand: 'Frequency', unit: 'hertz' }, 'Hertz'],
  [{ measurand: 'Energy.Active.Import.Register', unit: 'kwh' }, 'kWh'],
  [{ measurand: 'Power.Active.Import', unit: 'KW' }, 'kW'],
  [{ measurand: 'Power.Active.Import' }, 'W'],
  [{ measurand: 'Current.Import', unit: '' }, 'A'],
  [{ measurand: 'SoC', unit: '%' }, 'Percent'],
])('R06: %j is meant in %s', (sampled, unit) => {
  expect(repaired({ value: '1', ...sampled })).toMatchObject({ sample: { unit }, rules: ['R06'] });
});

test('R06 never changes a magnitude', () => {
  expect(repaired({ value: '12.345', measurand: 'Energy.Active.Import.Register', unit: 'kwh' }).sample).toMatchObject({
    value: '12.345',
    unit: 'kWh',
  });
  expect(repaired({ value: '20', measurand: 'Temperature', unit: 'Celcius' })).toMatchObject({
    sample: { unit: 'Celsius' },
    rules: [],
  });
});

test.each([
  [{ measurand: 'Current.Import', phase: 'L1-N', unit: 'A' }, { phase: 'L1' }],
  [{ measurand: 'Current.Import', phase: 'l2', unit: 'A' }, { phase: 'L2' }],
  [{ measurand: 'Vendor.Magic', unit: 'W' }, { measurand: 'Vendor.Magic' }],
  [{ context: 'Sample.Whenever' }, { context: 'Sample.Whenever' }],
  [{ location: 'Garage' }, { location: 'Garage' }],
  [{ phase: 'Phase 1' }, { phase: 'Phase 1' }],
])('R07: %j is kept as %j', (sampled, kept) => {
  expect(repaired({ value: '1', ...sampled })).toMatchObject({ sample: kept, rules: ['R07'] });
});

test('R07: a voltage is measured between two conductors, and N is one', () => {
  expect(repaired({ value: '230', measurand: 'Voltage', phase: 'L1-N', unit: 'V' })).toMatchObject({
    sample: { phase: 'L1-N' },
    rules: [],
  });
  expect(repaired({ value: '1', measurand: 'Current.Import', phase: 'N', unit: 'A' })).toMatchObject({
    sample: { phase: 'N' },
    rules: [],
  });
});

test('a value that is no number leaves, the others stay', () => {
  const n = notes();
  const payload: Payload = {
    transactionData: [
      {
        timestamp: '2026-03-01T11:59:50Z',
        sampledValue: [{ value: 'null' }, { value: 7 }, { value: 'OCMF|{}', format: 'SignedData' }],
      },
    ],
  };
  repairMeterValues(payload, 'transactionData', n);
  expect((payload['transactionData'] as { sampledValue: Payload[] }[])[0]?.sampledValue.map((s) => s['value'])).toEqual(
    ['7'],
  );
  expect(n.rules.sort()).toEqual(['R05', 'R05.unreadable', 'signed']);
});

test.each([
  ['2026-03-01T11:59:50Z', '2026-03-01T11:59:50Z', '2026-03-01T11:59:50Z'],
  ['2026-03-01T12:59:50+01:00', '2026-03-01T12:59:50+01:00', '2026-03-01T11:59:50Z'],
  ['2019-05-15T07:00:00.123Z', '2019-05-15T07:00:00.123Z', '2019-05-15T07:00:00.123Z'],
])('a past time with a zone stands: %s', (raw, text, at) => {
  const [payload, n]: [Payload, Notes] = [{ timestamp: raw }, notes()];
  expect(repairTime(payload, 'timestamp', n, true)).toEqual({ at: Date.parse(at), raw, clock: false });
  expect([payload['timestamp'], n.rules]).toEqual([text, []]);
});

test.each([
  ['2026-03-01T11:59:50', '2026-03-01T11:59:50Z'],
  ['2026-03-01 11:59:50', '2026-03-01T11:59:50Z'],
  ['2026-03-01T11:59:50z', '2026-03-01T11:59:50Z'],
  ['2026-03-01T12:59:50+0100', '2026-03-01T12:59:50+01:00'],
  ['2026-03-01T12:59:50+01', '2026-03-01T12:59:50+01:00'],
])('R10: %s is UTC or what its zone says', (raw, text) => {
  const [payload, n]: [Payload, Notes] = [{ timestamp: raw }, notes()];
  expect(repairTime(payload, 'timestamp', n, true)).toEqual({
    at: Date.parse('2026-03-01T11:59:50Z'),
    raw,
    clock: false,
  });
  expect([payload['timestamp'], n.rules]).toEqual([text, ['R10']]);
});

test.each([
  '1970-01-01T00:00:10Z',
  '2009-12-31T23:59:59Z',
  '2026-03-01T12:05:01Z',
  'yesterday',
  '',
  '2026-02-30T25:00:00Z',
  null,
  17,
  undefined,
])("R10: for %j the log's time counts, flagged", (raw) => {
  const [payload, n]: [Payload, Notes] = [raw === undefined ? {} : { timestamp: raw }, notes()];
  expect(repairTime(payload, 'timestamp', n, true)).toEqual({
    at: now,
    raw: typeof raw === 'string' ? raw : '',
    clock: true,
  });
  expect(n.rules).toEqual(['R10']);
  expect(payload['timestamp']).toMatch(/^\d{4}-/);
});

test('five minutes ahead are within what clocks do', () => {
  expect(repairTime({ timestamp: '2026-03-01T12:05:00Z' }, 'timestamp', notes(), true).clock).toBe(false);
});

test('an optional time may be missing', () => {
  const [payload, n]: [Payload, Notes] = [{}, notes()];
  expect(repairTime(payload, 'timestamp', n, false)).toEqual({ at: now, raw: '', clock: true });
  expect([payload, n.rules]).toEqual([{}, []]);
});

test('each sample of a message has its own time', () => {
  expect(repaired({ value: '1' }, '1970-01-01T00:00:00Z').times).toEqual([
    { at: now, raw: '1970-01-01T00:00:00Z', clock: true },
  ]);
});
