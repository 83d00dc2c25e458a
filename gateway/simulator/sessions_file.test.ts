import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fieldsOf, readDay, readSessions, whOf, type BadLine } from './sessions_file.ts';
import { energyWhOf, loadAt, type PlannedSession } from './timeline.ts';
import { zonedMs } from './zone.ts';

const real = join(import.meta.dirname, '../../../shared/data/ev/acn_jpl_sessions_2018_2021.csv.gz');
const header =
  'Session,ConnectionStartDateTime,ConnectionEndDateTime,ChargingStartDateTime,ChargingEndDateTime,Power,Energy,' +
  'ConnectionHours,ChargingHours,FlexibilityHours,ChargingStation,UserID,Profile';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gridtick-sessions-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const fileOf = (name: string, bytes: string | Buffer) => {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
};
const lineOf = (n: number, start: string, end: string, kWh: string, plug: string, user: string) =>
  `S${n},${start},${end},${start},${end},1,${kWh},1,1,0,${plug},${user},Worktime`;
const day = { day: '2019-05-15', from: '07:00', zone: 'America/Los_Angeles', powerW: 6_600 };

/** What the issue of a day's figures asks: counts, energy, and how loaded 195 kW are at a local time. */
const figures = (sessions: readonly PlannedSession[]) => ({
  sessions: sessions.length,
  plugs: new Set(sessions.map((s) => s.charger)).size,
  energyWh: sessions.reduce((sum, s) => sum + energyWhOf(s), 0),
  before: sessions.filter((s) => s.startMs < 0 && s.endMs > 0).length,
  at0700Bp: Math.round((loadAt(sessions, 0) / 195_000) * 10_000),
  at0732Bp: Math.round((loadAt(sessions, 32 * 60_000) / 195_000) * 10_000),
});

test.skipIf(!existsSync(real))('the real 2019-05-15 has the known figures (needs the ACN data file)', async () => {
  const { sessions, timeline, bad, notes } = await readDay({ ...day, file: real });
  expect(figures(sessions)).toEqual({
    sessions: 76,
    plugs: 52,
    energyWh: 1_206_150,
    before: 30,
    at0700Bp: 10_492,
    at0732Bp: 15_908,
  });
  expect(timeline.tags).toHaveLength(71);
  expect({ bad, notes }).toEqual({ bad: [], notes: [] });
});

describe('a generated twin of the real day', () => {
  // 76 sessions on 52 plugs: 31 charging at 07:00, 47 at 07:32, 1,206.15 kWh in all.
  const lines: string[] = [];
  let left = 1_206_150;
  const add = (start: string, end: string, wh: number, plug: number) => {
    const n = lines.length + 1;
    left -= wh;
    lines.push(lineOf(n, start, end, (wh / 1_000).toString(), `1-1-100-${plug}`, String(n).padStart(9, '0')));
  };
  for (let i = 0; i < 28; i += 1) add(`2019-05-15T13:${30 + i}:00Z`, '2019-05-15T23:00:00Z', 15_200, i);
  for (let i = 28; i < 30; i += 1) add('2019-05-15T12:40:00Z', '2019-05-15T22:00:00Z', 6_600, i); // done at 06:40
  for (let i = 30; i < 33; i += 1) add('2019-05-15T14:00:00Z', '2019-05-15T23:30:00Z', 20_010, i);
  for (let i = 33; i < 49; i += 1) add(`2019-05-15T14:${i - 17}:00Z`, '2019-05-15T23:30:00Z', 17_330, i);
  for (let i = 49; i < 52; i += 1) add('2019-05-15T18:00:00Z', '2019-05-15T23:30:00Z', 9_990, i);
  for (let i = 0; i < 23; i += 1) add('2019-05-15T23:40:00Z', '2019-05-16T06:10:00Z', 15_700, i);
  add('2019-05-16T00:10:00Z', '2019-05-16T06:31:00Z', left, 40);
  const noise = [
    lineOf(900, '2019-05-15T06:59:59Z', '2019-05-15T15:00:00Z', '9.9', '1-1-100-1', '000000900'), // the evening before
    lineOf(901, '2019-05-16T07:00:00Z', '2019-05-16T15:00:00Z', '9.9', '1-1-100-1', '000000901'), // local midnight
  ];
  const text = [header, ...noise, ...lines].join('\n') + '\n';

  test.each([
    ['plain', () => fileOf('day.csv', text)],
    ['gzip', () => fileOf('day.csv.gz', gzipSync(text))],
    [
      'with CRLF, byte order mark and no end of line',
      () => fileOf('crlf.csv', `\uFEFF${text.trim().replaceAll('\n', '\r\n')}`),
    ],
  ])('%s: gives the same figures', async (_, make) => {
    const { sessions, fromAt, bad } = await readDay({ ...day, file: make() });
    expect(figures(sessions)).toEqual({
      sessions: 76,
      plugs: 52,
      energyWh: 1_206_150,
      before: 30,
      at0700Bp: 10_492,
      at0732Bp: 15_908,
    });
    expect(new Date(fromAt).toISOString()).toBe('2019-05-15T14:00:00.000Z');
    expect(bad).toEqual([]);
  });
});

test('a bad line is told with its number and passed over', async () => {
  const file = fileOf(
    'bad.csv',
    [
      header,
      lineOf(1, '2019-05-15T14:00:00Z', '2019-05-15T15:00:00Z', '1.5', 'A', 'U1'),
      'S2,2019-05-15T14:00:00Z',
      lineOf(3, '2019-05-15 14:00', '2019-05-15T15:00:00Z', '1', 'A', 'U1'),
      lineOf(4, '2019-05-15T14:00:00Z', '2019-05-15T14:00:00Z', '1', 'A', 'U1'),
      lineOf(5, '2019-05-15T14:00:00Z', '2019-05-15T15:00:00Z', '-1', 'A', 'U1'),
      lineOf(6, '2019-05-15T14:00:00Z', '2019-05-15T15:00:00Z', 'NaN', 'A', 'U1'),
      lineOf(7, '2019-05-15T14:00:00Z', '2019-05-15T15:00:00Z', '1', 'a/b', 'U1'),
      lineOf(8, '2019-05-15T14:00:00Z', '2019-05-15T15:00:00Z', '1', 'A', ''),
      '"S9,2019',
      '',
      lineOf(9, '2019-05-15T16:00:00Z', '2019-05-15T17:00:00Z', '2', '"A"', 'U1'),
    ].join('\n'),
  );
  const bad: BadLine[] = [];
  const good = [];
  for await (const session of readSessions(file, (b) => bad.push(b))) good.push(session);
  expect(good.map((s) => [s.line, s.charger, s.energyWh])).toEqual([
    [2, 'A', 1_500],
    [12, 'A', 2_000],
  ]);
  expect(bad).toEqual([
    { line: 3, reason: '2 fields instead of 13' },
    { line: 4, reason: "ConnectionStartDateTime is not an ISO time with offset: '2019-05-15 14:00'" },
    { line: 5, reason: 'the session ends before it starts' },
    { line: 6, reason: "Energy is not a number of kWh: '-1'" },
    { line: 7, reason: "Energy is not a number of kWh: 'NaN'" },
    { line: 8, reason: "ChargingStation cannot name a charger: 'a/b'" },
    { line: 9, reason: "UserID cannot be a tag: ''" },
    { line: 10, reason: 'a quote is not closed' },
  ]);
});

test('a file that cannot be used is refused in words', async () => {
  const read = (file: string) => readDay({ ...day, file });
  await expect(read(join(directory, 'absent.csv'))).rejects.toThrow(/cannot read the sessions file .*absent\.csv/);
  await expect(read(fileOf('empty.csv', ''))).rejects.toThrow(/its first line must name the columns/);
  await expect(read(fileOf('other.csv', 'a,b\n1,2\n'))).rejects.toThrow(/line 1: no column ConnectionStartDateTime, /);
  const text = [header, lineOf(1, '2019-05-16T14:00:00Z', '2019-05-16T15:00:00Z', '1', 'A', 'U1')].join('\n');
  await expect(read(fileOf('late.csv', text))).rejects.toThrow(
    /has no session on 2019-05-15 in America\/Los_Angeles \(it has sessions from 2019-05-16 to 2019-05-16\)/,
  );
  const packed = gzipSync(Buffer.from(`${text}\n`.repeat(500)));
  await expect(read(fileOf('torn.csv.gz', packed.subarray(0, packed.length - 12)))).rejects.toThrow(
    /torn.csv.gz is damaged/,
  );
  await expect(readDay({ ...day, file: fileOf('zone.csv', text), zone: 'Mars/Base' })).rejects.toThrow(
    /unknown time zone/,
  );
});

test('a plug serves one car at a time: an overlap is cut and noted', async () => {
  const file = fileOf(
    'overlap.csv',
    [
      header,
      lineOf(1, '2019-05-15T14:00:00Z', '2019-05-15T18:00:00Z', '13.2', 'A', 'U1'),
      lineOf(2, '2019-05-15T15:00:00Z', '2019-05-15T16:00:00Z', '6.6', 'A', 'U2'),
      lineOf(3, '2019-05-15T15:00:00Z', '2019-05-15T16:00:00Z', '6.6', 'A', 'U3'),
    ].join('\n'),
  );
  const { sessions, notes, timeline } = await readDay({ ...day, file });
  expect(sessions.map((s) => [s.tag, s.startMs, s.endMs, energyWhOf(s)])).toEqual([
    ['U1', 0, 3_600_000, 6_600],
    ['U2', 3_600_000, 7_200_000, 6_600],
  ]);
  expect(notes).toEqual([
    'line 3: the session before it on A ends when this one starts',
    'line 4: a second session at the same time on A is left out',
  ]);
  expect(timeline.session('A', 1)?.tag).toBe('U2');
  expect(timeline.session('A', 2)).toBeUndefined();
});

test('kWh become whole Wh without a float', () => {
  expect(['6.31', '0.5', '12', '8.0005', '8.00049', '1.005'].map(whOf)).toEqual([
    6_310, 500, 12_000, 8_001, 8_000, 1_005,
  ]);
  for (const text of ['', '.5', '1e3', '1,5', ' 1', '1.']) expect(() => whOf(text)).toThrow(/not a number of kWh/);
});

test('quoted fields keep their commas and quotes', () => {
  expect(fieldsOf('a,"b,""c""",, d ')).toEqual(['a', 'b,"c"', '', 'd']);
});

test('local times survive both changes of the clock', () => {
  const iso = (day: string, time: string) => new Date(zonedMs(day, time, 'America/Los_Angeles')).toISOString();
  expect(iso('2019-05-15', '07:00')).toBe('2019-05-15T14:00:00.000Z');
  expect(iso('2019-03-10', '01:59')).toBe('2019-03-10T09:59:00.000Z');
  expect(iso('2019-03-10', '02:30')).toBe('2019-03-10T10:30:00.000Z'); // left out: an hour later on the new clock
  expect(iso('2019-11-03', '01:30')).toBe('2019-11-03T08:30:00.000Z'); // twice: the first
  expect(iso('2019-11-04', '00:00')).toBe('2019-11-04T08:00:00.000Z');
  expect(() => zonedMs('2019-02-30', '07:00', 'UTC')).toThrow(/no such day/);
  expect(() => zonedMs('15.5.2019', '7', 'UTC')).toThrow(/not a local time/);
});
