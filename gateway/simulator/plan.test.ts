import { expect, test } from 'vitest';
import { loadConfig } from '#engine/config/config';
import { generatedTimeline, sessionsOf } from './arrivals.ts';
import { ccCvCurve, constantCurve, energyAt, powerAt, wMsPerWh } from './car.ts';
import { demo, loadScenario, scenarioOptions } from './scenario.ts';
import { energyWhOf, loadAt } from './timeline.ts';

const minute = 60_000;
const timelineOf = (seed: number) =>
  generatedTimeline({ seed, chargers: demo.chargers, tags: demo.tags, powerW: demo.chargerW, doubleAboveW: 110_400 });

test('a car draws constant power to 80 % and tapers to its end from there', () => {
  const curve = ccCvCurve({ powerW: 11_040, capacityWh: 60_000, arrivalWh: 30_000, energyWh: 30_000 });
  const at80 = Math.ceil((18_000 * wMsPerWh) / 11_040);
  expect(powerAt(curve, at80 - 1)).toBe(11_040);
  expect(energyAt(curve, at80)).toBe(18_000 * wMsPerWh);
  expect(powerAt(curve, at80)).toBe(10_764); // 80–81 %: 39/40 of full power
  expect(powerAt(curve, curve.fullAtMs - 1)).toBe(276); // 99–100 %: 1/40
  expect(powerAt(curve, curve.fullAtMs)).toBe(0);
  expect(energyAt(curve, curve.fullAtMs)).toBe(30_000 * wMsPerWh);
  expect(powerAt(curve, -1)).toBe(0);
});

test('energy is the integral of power to the W·ms, and never falls', () => {
  const curve = ccCvCurve({ powerW: 11_040, capacityWh: 40_000, arrivalWh: 31_700, energyWh: 1_300 });
  let integral = 0;
  let before = 0;
  for (let ms = 0; ms < curve.fullAtMs + 1_000; ms += 1) {
    const energy = energyAt(curve, ms);
    if (energy < before || Math.abs(energy - integral) > 11_040)
      throw new Error(`at ${ms} ms: ${energy}, not ${integral}`);
    // Stages end within a ms: what the last ms of a stage draws too much is taken back here.
    before = energy;
    integral = energy + powerAt(curve, ms);
  }
  expect(before).toBe(1_300 * wMsPerWh);
});

test('a recorded car has its whole Wh exactly and draws nothing after', () => {
  const curve = constantCurve(6_600, 6_310);
  expect(energyAt(curve, 1_800_000)).toBe(3_300 * wMsPerWh);
  expect(energyAt(curve, 86_400_000)).toBe(6_310 * wMsPerWh);
  expect(powerAt(curve, curve.fullAtMs - 1)).toBe(6_600);
  expect(powerAt(curve, curve.fullAtMs)).toBe(0);
  expect(powerAt(constantCurve(6_600, 0), 0)).toBe(0);
});

test('with seed 1 the station goes from below 80 % to above it within the first 5 min', () => {
  const sessions = sessionsOf(timelineOf(1), 1);
  const loads = Array.from({ length: 25 }, (_, i) => loadAt(sessions, i * 12_000));
  expect(loads.slice(0, 6).every((load) => load <= 110_400)).toBe(true);
  expect(loads.slice(15, 20).every((load) => load > 110_400)).toBe(true);
  expect(sessions.filter((s) => s.startMs < 0 && s.endMs > 0).length).toBeGreaterThanOrEqual(8);
});

test('every seed of the first thirty shows its tier change', () => {
  for (let seed = 0; seed < 30; seed += 1) {
    const sessions = sessionsOf(timelineOf(seed), 1);
    expect([seed, loadAt(sessions, 0) <= 110_400, loadAt(sessions, 4 * minute) > 110_400]).toEqual([seed, true, true]);
  }
});

test('a seed gives the same days again, another seed others', () => {
  const plan = (seed: number) => JSON.stringify(sessionsOf(timelineOf(seed), 5));
  expect(plan(1)).toBe(plan(1));
  expect(plan(1)).not.toBe(plan(2));
});

test('arrivals, energies and stays are those of the measured workplace, scaled to 20 plugs', () => {
  const sessions = sessionsOf(timelineOf(1), 200);
  const energies = sessions.map(energyWhOf).sort((a, b) => a - b);
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const within = (value: number, wanted: number, share: number) =>
    expect(Math.abs(value / wanted - 1)).toBeLessThan(share);
  within(sessions.length / 200, (60.8 * 20) / 52, 0.05);
  within(mean(energies), 14_700, 0.05);
  within(energies[energies.length >> 1] ?? 0, 11_700, 0.05);
  within(energies[Math.trunc(energies.length * 0.95)] ?? 0, 39_200, 0.07);
  within(mean(sessions.map((s) => s.endMs - s.startMs)) / 3_600_000, 6.9, 0.1);
});

test('no plug serves two cars and no tag is at two plugs at a time', () => {
  const sessions = sessionsOf(timelineOf(1), 60);
  for (const by of ['charger', 'tag'] as const) {
    const last = new Map<string, number>();
    for (const s of [...sessions].sort((a, b) => a.startMs - b.startMs)) {
      expect(s.startMs).toBeGreaterThanOrEqual(last.get(s[by]) ?? -Infinity);
      last.set(s[by], s.endMs + 180_000);
    }
  }
  for (const charger of demo.chargers) {
    const indexes = sessions.filter((s) => s.charger === charger).map((s) => s.index);
    expect(indexes).toEqual(indexes.map((_, i) => i));
  }
});

test('the scenario follows from the settings, and a seed that is none is refused', async () => {
  const scenario = (env: Record<string, string>) => scenarioOptions(loadConfig(env), env);
  expect(scenario({})).toEqual({ kind: 'demo', seed: 1 });
  expect(scenario({ GRIDTICK_SEED: '7' })).toEqual({ kind: 'demo', seed: 7 });
  const played = { GRIDTICK_SESSIONS: 'f.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_FROM: '07:00' };
  expect(scenario(played)).toEqual({
    kind: 'sessions',
    file: 'f.csv',
    day: '2019-05-15',
    from: '07:00',
    zone: 'America/Los_Angeles',
  });
  expect(() => scenario({ GRIDTICK_SEED: 'x' })).toThrow(/GRIDTICK_SEED must be a whole number/);
  const week = { GRIDTICK_SESSIONS: 'f.csv', GRIDTICK_FROM: '2019-05-13', GRIDTICK_SPEED: 'max' };
  expect(scenario(week)).toEqual({
    kind: 'days',
    file: 'f.csv',
    from: '2019-05-13',
    to: '',
    zone: 'America/Los_Angeles',
  });
  const { timeline, station, spareTags, holders } = await loadScenario({ kind: 'demo', seed: 1 });
  expect([timeline.chargers.length, timeline.tags.length, timeline.ratedW, station.capacityW]).toEqual([
    20, 40, 11_040, 138_000,
  ]);
  expect([timeline.chargers[0], timeline.chargers[19], timeline.tags[39]]).toEqual(['CP-0001', 'CP-0020', 'DEMO0040']);
  // The customer's own card is nobody else's: a fleet that used it too would find it without money.
  expect([spareTags, holders]).toEqual([['DEMO0041'], [{ tag: 'DEMO0041', customer: 'customer' }]]);
  expect(timeline.tags).not.toContain('DEMO0041');
});
