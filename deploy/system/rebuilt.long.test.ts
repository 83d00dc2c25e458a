/**
 * Everything but the log is a copy of it: after a recorded day (GRIDTICK_TEST_DAYS=7: a week) Redis and ClickHouse are dropped
 * and made again, undisturbed and with the history role killed in the middle, and answer as before; and what any entity was
 * at any record is what its commands come to.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectLog, internal } from '#engine/log/mod';
import { projectedPositions } from '#engine/projections/lookup';
import { stageOf, type Rebuildable } from '#engine/projections/rebuild';
import { sleep, until } from './installation.ts';
import { recordedDay } from './played_day.ts';
import { gridtick, playDays, type PlayedDays } from './played_days.ts';
import { differencesBetween, projectionsOf, statesOfThePast, type Projections } from './projections.ts';
import { twinDay, writeTwin } from './twin.ts';

const days = Number(process.env.GRIDTICK_TEST_DAYS || 1);
const seed = Number(process.env.GRIDTICK_TEST_SEED || Date.now() % 1_000_000);
const pairs = Number(process.env.GRIDTICK_TEST_PAIRS || 500);
const partitions = 16;
const say = (text: string) => console.log(text);
const limitMs = 1_200_000;

/** The busiest days of the recording; where it is absent, an hour of its generated twin. */
const isRecorded = existsSync(recordedDay);
const dayAfter = (n: number) => new Date(Date.UTC(2019, 4, (days === 1 ? 15 : 13) + n)).toISOString().slice(0, 10);
const folder = mkdtempSync(join(tmpdir(), 'gridtick-rebuilt-'));
function scenario(): string[] {
  const zone = ['--zone', 'America/Los_Angeles', '--speed', 'max'];
  if (isRecorded) return ['--sessions', recordedDay, '--from', dayAfter(0), '--to', dayAfter(days), ...zone];
  const file = join(folder, 'sessions.csv');
  writeTwin(file, {
    seed: 1,
    chargers: 20,
    waves: Array.from({ length: 12 }, (_, i) => 4 + ((i * 7) % 16)),
    waveMs: 300_000,
  });
  return ['--sessions', file, '--from', twinDay.day, '--to', '2019-05-16', ...zone];
}

describe(`${isRecorded ? `${days} recorded days` : 'a generated day'} (seed ${seed})`, () => {
  let played: PlayedDays;
  let before: Projections;
  beforeAll(async () => {
    // Room for all of it, so that all of it lies within the window.
    played = await playDays({ args: scenario(), env: { GRIDTICK_LOG_SCALE: '4' }, limitMs, say });
    before = await projectionsOf(played.installation, partitions);
    const rows = Object.values(before.views).reduce((sum, view) => sum + view.rows, 0);
    say(`${rows} rows in ${Object.keys(before.views).length} views, ${before.redis.size} entities in Redis`);
    expect(before.views['sessions']!.rows).toBeGreaterThan(0);
    expect([...before.redis.keys()].filter((key) => key.startsWith('e:session:')).length).toBeGreaterThan(0);
  }, limitMs + 100_000);
  afterAll(async () => {
    await played?.installation.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The consumption of sessions is made from the rows once they are in, and may be the last to be whole. */
  async function sameAsBefore(): Promise<void> {
    const found = async () => differencesBetween(before, await projectionsOf(played.installation, partitions));
    let differences = await found();
    for (const deadline = Date.now() + 120_000; differences.length > 0 && Date.now() < deadline;) {
      await sleep(1_000);
      differences = await found();
    }
    expect(differences).toEqual([]);
  }

  test.each(['redis', 'clickhouse'] as const)('%s dropped and made again answers as before', async (projection) => {
    say(await gridtick(played.installation, 'rebuild', projection));
    await sameAsBefore();
  });

  /** Asks for it, and kills the role as soon as it is at work; up to twice more when it is back and not done. */
  async function killedIn(projection: Rebuildable): Promise<number> {
    const { installation } = played;
    const nc = await connectLog(installation.coreUrl, 'rebuild test');
    const redis = new Redis(installation.endpoints.redis);
    const isWhole = async () =>
      (await stageOf(redis, projection)) === null &&
      (await projectedPositions(redis, partitions)).every((position) => position !== null);
    let kills = 0;
    try {
      nc.publish(internal.rebuild, projection);
      await until('the rebuild is under way', 60_000, async () => ((await isWhole()) ? undefined : true));
      for (; kills < 3 && !(await isWhole()); kills++) {
        installation.kill('history');
        await until('the history role runs again', 60_000, () => (installation.isDown('history') ? undefined : true));
      }
      await until('the rebuild is over', 600_000, async () => ((await isWhole()) ? true : undefined));
      await installation.ready(120_000);
      return kills;
    } finally {
      redis.disconnect();
      await nc.close();
    }
  }

  test.each(['redis', 'clickhouse'] as const)(
    'a rebuild of %s whose process is killed in the middle goes on where it was',
    async (projection) => {
      const kills = await killedIn(projection);
      say(`${projection}: history was killed ${kills} times in the middle`);
      expect(kills).toBeGreaterThan(0);
      await sameAsBefore();
    },
  );

  test(`${pairs} entities at records of the past are shown as their commands make them`, async () => {
    const states = await statesOfThePast(played.installation, { partitions, count: pairs, seed });
    const removed = states.filter(({ inspected }) => inspected === '-').length;
    say(
      `${states.length} states of ${new Set(states.map(({ entity }) => entity)).size} entities, ${removed} of them removed`,
    );
    expect(states.length).toBeGreaterThan(pairs / 2);
    expect(states.filter(({ inspected, executed }) => inspected !== executed)).toEqual([]);
  });
});
