import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  advance,
  intervalAfter,
  loadInSlot,
  meanW,
  newConnector,
  plugged,
  released,
  silenceMs,
  slotMs,
  sumLoads,
} from './load.ts';
import type { ConnectorState } from './schema/entities.ts';

const at = (slot: number, ms = 0) => slot * slotMs + ms;
const withPower = (
  c: ConnectorState,
  powerW: number,
  now: number,
  silentFromMs: number | null = null,
  silentW = 0,
) => ({ ...advance(c, now), powerW, silentFromMs, silentW });

test('power counts from the moment it was applied to the end of the slot', () => {
  const c = withPower(newConnector(), 6_000, at(10, 3_000));
  expect(loadInSlot(c, 10)).toEqual({ wMs: 6_000 * 9_000, stale: false });
  expect(loadInSlot(c, 11)).toEqual({ wMs: 6_000 * 12_000, stale: false });
  expect(meanW(6_000 * 9_000, slotMs)).toBe(4_500);
});

test('a change at a border takes nothing from the slot that ends there', () => {
  let c = withPower(newConnector(), 6_000, at(10, 3_000));
  c = withPower(c, 1_000, at(11));
  c = withPower(c, 2_000, at(11));
  expect(loadInSlot(c, 10)).toEqual({ wMs: 6_000 * 9_000, stale: false });
  expect(loadInSlot(c, 11)).toEqual({ wMs: 2_000 * 12_000, stale: false });
  c = withPower(c, 0, at(11, 5_000));
  expect(loadInSlot(c, 11)).toEqual({ wMs: 2_000 * 5_000, stale: false });

  let silent = withPower(newConnector(), 1_000, at(10), at(10, 4_000), 9_000);
  silent = withPower(silent, 0, at(11));
  expect(loadInSlot(silent, 10)).toEqual({ wMs: 1_000 * 4_000 + 9_000 * 8_000, stale: true });
  expect(loadInSlot(silent, 11)).toEqual({ wMs: 0, stale: false });
});

test('changes within a slot add up exactly', () => {
  let c = withPower(newConnector(), 1_000, at(10));
  c = withPower(c, 2_000, at(10, 4_000));
  c = withPower(c, 0, at(10, 10_001));
  expect(loadInSlot(c, 10).wMs).toBe(1_000 * 4_000 + 2_000 * 6_001);
});

test('without an open session nothing is drawn', () => {
  let c = plugged(newConnector(), 7, 11_040, 0, at(10));
  c = withPower(c, 5_000, at(10, 1_000), at(20), 5_000);
  c = released(c, at(10, 2_000));
  expect(loadInSlot(c, 10).wMs).toBe(5_000 * 1_000);
  expect(loadInSlot(c, 11)).toEqual({ wMs: 0, stale: false });
});

test('a session that never sent a sample counts rated power after 30 s', () => {
  const c = plugged(newConnector(), 7, 11_040, 0, at(10, 6_000));
  expect(loadInSlot(c, 11)).toEqual({ wMs: 0, stale: false });
  // 30 s after the start lie 0 s into slot 13.
  expect(loadInSlot(c, 12)).toEqual({ wMs: 0, stale: false });
  expect(loadInSlot(c, 13)).toEqual({ wMs: 11_040 * 12_000, stale: true });
});

test('silence that begins and ends inside one slot is counted and marked', () => {
  let c = withPower(newConnector(), 1_000, at(10), at(12, 2_000), 9_000);
  c = withPower(c, 3_000, at(12, 5_000), at(20), 9_000);
  expect(loadInSlot(c, 12)).toEqual({ wMs: 1_000 * 2_000 + 9_000 * 3_000 + 3_000 * 7_000, stale: true });
  expect(loadInSlot(c, 13)).toEqual({ wMs: 3_000 * 12_000, stale: false });
});

test('silence is 30 s, or two intervals of a slow charger', () => {
  expect([silenceMs(0), silenceMs(10_000), silenceMs(60_000)]).toEqual([30_000, 30_000, 120_000]);
});

test('an extra sample in between does not make a slow charger look silent', () => {
  expect(intervalAfter(60_000, 100_000, 101_000)).toBe(30_000);
  expect(intervalAfter(0, 100_000, 160_000)).toBe(60_000);
  expect(intervalAfter(10_000, null, 5)).toBe(10_000);
  expect(intervalAfter(10_000, 100, 90)).toBe(10_000);
});

test('any history of powers integrates as the sum over its milliseconds', () => {
  const change = fc.record({
    afterMs: fc.integer({ min: 0, max: 9_000 }),
    powerW: fc.integer({ min: 0, max: 22_000 }),
    silence: fc.option(fc.integer({ min: 0, max: 15_000 }), { nil: null }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const begin = at(100);
      const end = begin + 5 * slotMs;
      const watts = new Array<number>(end - begin).fill(0);
      const totals: number[] = [];
      let c: ConnectorState = { ...newConnector(), sinceMs: begin, slot: 100 };
      let now = begin;
      const pass = (until: number) => {
        for (let slot = Math.floor(now / slotMs); (slot + 1) * slotMs <= until; slot++)
          totals.push(loadInSlot(c, slot).wMs);
        for (let t = now; t < until; t++)
          watts[t - begin] = c.silentFromMs !== null && t >= c.silentFromMs ? c.silentW : c.powerW;
        now = until;
      };
      for (const { afterMs, powerW, silence } of changes) {
        if (now + afterMs >= end) break;
        pass(now + afterMs);
        c = withPower(c, powerW, now, silence === null ? null : now + silence, 22_000);
      }
      pass(end);
      const expected = Array.from({ length: 5 }, (_, s) =>
        watts.slice(s * slotMs, (s + 1) * slotMs).reduce((sum, w) => sum + w, 0),
      );
      expect(totals).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test('a station is stale as soon as one connector is', () => {
  expect(
    sumLoads([
      { wMs: 1, stale: false },
      { wMs: 2, stale: true },
    ]),
  ).toEqual({ wMs: 3, stale: true });
});

test('a connector that has moved on no longer knows an earlier slot', () => {
  const c = withPower(newConnector(), 6_000, at(10, 3_000));
  expect(loadInSlot(c, 9)).toEqual({ wMs: 0, stale: false });
});
