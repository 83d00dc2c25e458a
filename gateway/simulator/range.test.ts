import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRange } from './sessions_file.ts';
import { endOf, energyWhOf, loadSteps, type PlannedSession } from './timeline.ts';

const real = join(import.meta.dirname, '../../../shared/data/ev/acn_jpl_sessions_2018_2021.csv.gz');
const header = 'ConnectionStartDateTime,ConnectionEndDateTime,Energy,ChargingStation,UserID';
const zone = 'America/Los_Angeles';
const capacityW = 195_000;
const powerW = 6_600;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gridtick-range-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const fileOf = (rows: readonly string[]) => {
  const path = join(directory, `${rows.length}.csv`);
  writeFileSync(path, [header, ...rows].join('\n'));
  return path;
};

/** Minutes with a load up to 80, 100 and 120 % and above, from the first plug-in to the end of the last charge; the peak. */
function weekOf(sessions: readonly PlannedSession[], fromAt: number) {
  const steps = loadSteps(sessions);
  const minutes = [0, 0, 0, 0];
  let peak = { loadW: -1, fromMs: 0 };
  for (const [i, step] of steps.entries()) {
    const next = steps[i + 1];
    if (step.loadW > peak.loadW) peak = step;
    if (next === undefined) continue;
    const tier = [80, 100, 120].filter((percent) => step.loadW * 100 > percent * capacityW).length;
    minutes[tier] = (minutes[tier] ?? 0) + (next.fromMs - step.fromMs) / 60_000;
  }
  return {
    sessions: sessions.length,
    energyWh: sessions.reduce((sum, session) => sum + energyWhOf(session), 0),
    peakW: peak.loadW,
    peakBp: Math.round((peak.loadW * 10_000) / capacityW),
    peakAt: new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(
      fromAt + peak.fromMs,
    ),
    minutes: minutes.map(Math.round),
  };
}

test.skipIf(!existsSync(real))(
  'the real week of 2019-05-13 has the known figures (needs the ACN data file)',
  async () => {
    const week = await readRange({ file: real, from: '2019-05-13', to: '2019-05-20', zone, powerW });
    expect(new Date(week.fromAt).toISOString()).toBe('2019-05-13T07:00:00.000Z');
    expect(week.toAt - week.fromAt).toBe(7 * 86_400_000);
    expect(weekOf(week.sessions, week.fromAt)).toEqual({
      sessions: 391,
      energyWh: 5_797_600,
      peakW: 310_200,
      peakBp: 15_908,
      peakAt: '2019-05-15 07:32',
      // 9,205 / 194 / 186 / 176, each ± 5 where loads are means over 12 s.
      minutes: [9_205, 194, 186, 176],
    });
    expect([week.timeline.chargers.length, week.timeline.tags.length, week.notes, week.bad]).toEqual([52, 149, [], []]);
  },
);

test('a generated twin of a week: figures that can be worked out by hand', async () => {
  // Every day at 07:00 each of 40 cars plugs in a minute after the one before and takes 6.6 kWh, an hour.
  const rows = Array.from({ length: 7 * 40 }, (_, n) => {
    const [day, car] = [Math.floor(n / 40), n % 40];
    const start = Date.UTC(2019, 4, 13 + day, 14, car);
    const iso = (at: number) => new Date(at).toISOString();
    return `${iso(start)},${iso(start + 8 * 3_600_000)},6.6,P-${car},U${n}`;
  });
  const outside = [
    '2019-05-13T06:59:00Z,2019-05-13T15:00:00Z,6.6,P-1,BEFORE',
    '2019-05-20T07:00:00Z,2019-05-20T15:00:00Z,6.6,P-1,AFTER',
  ];
  const file = fileOf([...outside, ...rows]);
  const week = await readRange({ file, from: '2019-05-13', to: '2019-05-20', zone, powerW });
  expect(weekOf(week.sessions, week.fromAt)).toEqual({
    sessions: 280,
    energyWh: 280 * 6_600,
    // 40 cars from 07:39 to 08:00.
    peakW: 264_000,
    peakBp: 13_538,
    peakAt: '2019-05-13 07:39',
    // More than 23 cars are above 80 %, more than 29 above 100 %, more than 35 above 120 %; 6 minutes up and 6 down each.
    // In all 6 days and the 99 minutes of the last.
    minutes: [6 * 1_440 + 99 - 7 * (12 + 12 + 29), 7 * 12, 7 * 12, 7 * 29],
  });
  expect(endOf(week.timeline)).toBe(week.toAt - week.fromAt - (24 - 15) * 3_600_000 + 39 * 60_000);
});

test('without days it is all that the file has; a change of the clock makes a day shorter', async () => {
  const file = fileOf([
    '2019-03-10T08:30:00Z,2019-03-10T20:00:00Z,6.6,A,U1',
    '2019-03-10T09:30:00Z,2019-03-10T20:00:00Z,6.6,B,U2',
    'no session,2019-03-10T20:00:00Z,6.6,B,U2',
  ]);
  const all = await readRange({ file, from: '', to: '', zone, powerW });
  expect([new Date(all.fromAt).toISOString(), (all.toAt - all.fromAt) / 3_600_000]).toEqual([
    '2019-03-10T08:00:00.000Z',
    23,
  ]);
  expect(all.sessions.map(({ tag, startMs }) => [tag, startMs / 60_000])).toEqual([
    ['U1', 30],
    ['U2', 90],
  ]);
  expect(all.bad).toHaveLength(1);
  await expect(readRange({ file, from: '2019-03-11', to: '2019-03-12', zone, powerW })).rejects.toThrow(
    /has no session from 2019-03-11 before 2019-03-12 in America\/Los_Angeles \(it has sessions from 2019-03-10/,
  );
});

test('on the plugs of a range one car follows the other, over midnight too: an overlap is cut and noted', async () => {
  const file = fileOf([
    '2019-05-13T20:00:00Z,2019-05-14T20:00:00Z,6.6,A,U1',
    '2019-05-14T14:00:00Z,2019-05-14T16:00:00Z,6.6,A,U2',
  ]);
  const { sessions, notes } = await readRange({ file, from: '2019-05-13', to: '2019-05-15', zone, powerW });
  expect(sessions.map(({ tag, startMs, endMs }) => [tag, startMs / 3_600_000, endMs / 3_600_000])).toEqual([
    ['U1', 13, 31],
    ['U2', 31, 33],
  ]);
  expect(notes).toEqual(['line 3: the session before it on A ends when this one starts']);
});
