import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quarterMs, quarterOf, quartersOf, type MeteredSession } from './consumption.ts';

const noon = Date.UTC(2026, 4, 15, 12);
const minute = 60_000;
const session = (fields: Partial<MeteredSession> = {}): MeteredSession => ({
  site: 'demo',
  station: 'nord-1',
  charger: 'CP-1',
  connector: 1,
  transaction: 7,
  startedAt: noon + 5 * minute,
  meterStartWh: 1_000,
  end: { at: noon + 35 * minute, meterStopWh: 4_000, energyWh: 3_000 },
  ...fields,
});
const wh = (s: MeteredSession, readings: [minutes: number, wh: number][] = []) =>
  quartersOf(
    s,
    readings.map(([m, register]) => ({ at: noon + m * minute, wh: register })),
  ).map(({ at, energyWh }) => [(at - noon) / minute, energyWh]);

test('without readings the energy flows evenly from start to stop', () => {
  expect(wh(session())).toEqual([
    [0, 1_000],
    [15, 1_500],
    [30, 500],
  ]);
});

test('readings say when it flowed; between two of them it flows evenly', () => {
  expect(
    wh(session(), [
      [10, 3_000],
      [20, 3_000],
      [34, 3_000],
    ]),
  ).toEqual([
    [0, 2_000],
    [30, 1_000],
  ]);
});

test('readings in any order, twice, from before the start and after the end change nothing', () => {
  const readings: [number, number][] = [
    [10, 1_600],
    [25, 3_000],
  ];
  const before = wh(session(), readings);
  expect(wh(session(), [[90, 9_000], ...readings.toReversed(), readings[0]!, [-60, 5]])).toEqual(before);
});

test('a running session counts what its readings tell so far', () => {
  expect(
    wh(session({ end: null }), [
      [10, 1_500],
      [20, 2_500],
    ]),
  ).toEqual([
    [0, 1_000],
    [15, 500],
  ]);
  expect(wh(session({ end: null }))).toEqual([[0, 0]]);
});

test('what was settled counts, also after a reset of the register and where the meter says nothing', () => {
  const reset = session({ end: { at: noon + 35 * minute, meterStopWh: 500, energyWh: 1_100 } });
  const parts = wh(reset, [
    [15, 1_600],
    [16, 0],
  ]);
  expect(parts).toEqual([
    [0, 600],
    [15, 368],
    [30, 132],
  ]);
  expect(wh(session({ end: { at: noon + 35 * minute, meterStopWh: 1_000, energyWh: 600 } }))).toEqual([
    [0, 200],
    [15, 300],
    [30, 100],
  ]);
  expect(wh(session({ end: { at: noon + 35 * minute, meterStopWh: 9_000, energyWh: null } }))).toEqual([[0, 0]]);
});

test('a session of one instant, one whose end lies before its start and one of a century are each counted once', () => {
  expect(wh(session({ end: { at: noon + 5 * minute, meterStopWh: 1_010, energyWh: 10 } }))).toEqual([[0, 10]]);
  expect(wh(session({ end: { at: noon - 60 * minute, meterStopWh: 1_010, energyWh: 10 } }))).toEqual([[0, 10]]);
  const century = session({ startedAt: Date.UTC(1926, 0, 1) });
  expect(wh(century)).toEqual([[30, 3_000]]);
});

test('quarters of an ended session sum to its energy, whatever was read, and none is negative', () => {
  const reading = fc.record({ at: fc.integer({ min: -60, max: 600 }), wh: fc.integer({ min: 0, max: 1_000_000 }) });
  fc.assert(
    fc.property(
      fc.array(reading, { maxLength: 40 }),
      fc.integer({ min: 0, max: 1_000_000_000 }),
      fc.integer({ min: 0, max: 500 }),
      (readings, energyWh, minutes) => {
        const end = { at: noon + minutes * minute + 17, meterStopWh: 5_000, energyWh };
        const quarters = quartersOf(
          session({ startedAt: noon, end }),
          readings.map((r) => ({ at: noon + r.at * minute, wh: r.wh })),
        );
        expect(quarters.reduce((sum, q) => sum + q.energyWh, 0)).toBe(energyWh);
        for (const { at, energyWh: part } of quarters) {
          expect(part).toBeGreaterThanOrEqual(0);
          expect(at % quarterMs).toBe(0);
          expect(at).toBeGreaterThanOrEqual(quarterOf(noon));
          expect(at).toBeLessThanOrEqual(end.at);
        }
      },
    ),
  );
});
