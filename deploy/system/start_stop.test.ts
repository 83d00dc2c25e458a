/** What a person does with an installation: start it, start it twice, stop it, start it again. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, type TestContext } from 'vitest';
import type { Price, SessionEvent } from '#actors/schema/events';
import { connectLog } from '#engine/log/mod';
import type { ChargersReply, PricesReply } from '#gateway/schema/replies';
import type { Figures } from '#gateway/simulator/fleet';
import { seededImages } from './at_rest.ts';
import { Operator, replay } from './doors.ts';
import { Installation, until } from './installation.ts';
import { recordedStation } from './price_path.ts';
import { twinDay, writeTwin } from './twin.ts';

const folder = mkdtempSync(join(tmpdir(), 'gridtick-twin-'));
let installation: Installation | null = null;
afterEach(async (context: TestContext) => {
  await installation?.dispose(context.task.result?.state === 'fail');
  rmSync(folder, { recursive: true, force: true });
});

const { station } = recordedStation;
const pricesOf = async (operator: Operator): Promise<Price[]> =>
  (await operator.get<PricesReply>(`/stations/${station}/prices?limit=5000`)).prices;
const priceAfter = (operator: Operator, slot: number) =>
  until(`a price after slot ${slot}`, 30_000, async () => {
    const prices = await pricesOf(operator);
    return (prices.at(-1)?.slot ?? 0) > slot ? prices : undefined;
  });

/** Our numbers of sessions, which chargers of 1.6 know; those of 2.0.1 have names of their own. */
const transactionsOf = ({ chargers }: Figures): number[] =>
  chargers.flatMap(({ sessions }) =>
    sessions.flatMap(({ transaction }) => (typeof transaction === 'number' ? transaction : [])),
  );
const countsOf = (chargers: readonly string[]) =>
  Object.fromEntries([...new Set(chargers)].map((one) => [one, chargers.filter((charger) => charger === one).length]));

/** Cars come and go for ten minutes, whatever the machine needs for two starts. */
const manyWaves = Array.from({ length: 60 }, (_, i) => [15, 20, 12, 18, 10][i % 5]!);

test('a second start goes on where the first one ended; one beside it is refused', async () => {
  const file = join(folder, 'sessions.csv');
  writeTwin(file, { seed: 2, chargers: 20, waves: manyWaves, waveMs: 10_000 });
  const args = ['--sessions', file, '--day', twinDay.day, '--from', twinDay.from];
  const first = (installation = new Installation({ args, env: { GRIDTICK_TEST_SAMPLE_EVERY_MS: '1000' } }));
  const startMs = await first.start();
  const signedIn = await Operator.signIn(first.endpoints);
  const before = await priceAfter(signedIn, 0);
  const seeded = await seededImages(first.coreUrl);
  expect(seeded).toBeGreaterThan(20);
  const { logins, analyst, integrator } = first.endpoints;
  const children = first.children();
  expect(children.map(({ role }) => role).sort()).toEqual([
    ...['clickhouse', 'engine', 'gateway', 'history', 'nats', 'redis', 'simulator'],
  ]);

  await expect(first.beside()).rejects.toThrow(/is in use by another Gridtick[^]*GRIDTICK_DATA_DIR/);
  expect(first.children()).toEqual(children);
  expect(Installation.alive(children)).toEqual(children);

  const stopMs = await first.stop();
  expect(stopMs).toBeLessThan(10_000);
  expect(Installation.alive(children)).toEqual([]);
  expect(existsSync(join(first.dataDir, 'endpoints.json'))).toBe(false);
  const sessionsBefore = first.figures();

  await expect(first.beside(['--no-simulator'])).rejects.toThrow(/GRIDTICK_DATA_DIR/);

  const againMs = await first.start();
  // A machine that has other things to do is slow at both.
  expect(againMs).toBeLessThan(Math.max(15_000, 2 * startMs));
  expect({ ...first.endpoints }).toMatchObject({ logins, analyst, integrator });
  // The sign-in of before still counts, at the new address.
  const operator = signedIn.at(first.endpoints);
  const after = await priceAfter(operator, before.at(-1)!.slot);
  expect(after.slice(0, before.length)).toEqual(before);
  const old = transactionsOf(sessionsBefore);
  const numbered = new Set(
    sessionsBefore.chargers.filter(({ version }) => version === '1.6').map(({ charger }) => charger),
  );
  await until('a session that began after the second start', 60_000, async () => {
    const { chargers } = await operator.get<ChargersReply>('/chargers');
    expect(chargers).toHaveLength(20);
    const open = chargers
      .filter(({ charger }) => numbered.has(charger))
      .flatMap(({ connectors }) => connectors.map(({ transaction }) => transaction ?? 0));
    return Math.max(...open) > Math.max(...old) || undefined;
  });
  expect(await seededImages(first.coreUrl)).toBe(seeded);

  const figures = await first.quiet();
  const outside = await connectLog(first.integratorUrl, 'system test');
  const sessions = await replay<SessionEvent>(outside, integrator.user, 'session');
  await outside.close();
  const started = sessions.filter(({ payload }) => payload.state === 'started').map(({ payload }) => payload);
  expect(new Set(started.map(({ transaction }) => transaction)).size).toBe(started.length);
  const all = transactionsOf(figures);
  const heard = started.filter(({ charger }) => numbered.has(charger)).map(({ transaction }) => transaction);
  expect(all.toSorted()).toEqual(heard.toSorted());
  expect(countsOf(started.map(({ charger }) => charger))).toEqual(
    countsOf(figures.chargers.flatMap(({ charger, sessions: own }) => own.map(() => charger))),
  );
  const young = all.filter((transaction) => !old.includes(transaction));
  expect(young.length).toBeGreaterThan(0);
  expect(Math.min(...young)).toBeGreaterThan(Math.max(...old));
  console.log(
    `first start ${startMs} ms, stop ${stopMs} ms, second start ${againMs} ms; ` +
      `${old.length} sessions before, ${young.length} after; ${before.length} prices before, ${after.length} with those after`,
  );
});
