/** `gridtick rebuild`: has the history role drop a projection and make it anew, and waits until it is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { ConfigError, type Config } from '../config/config.ts';
import { internal, journalBounds } from '../log/mod.ts';
import { projectedPositions } from '../projections/lookup.ts';
import { rebuildable, stageOf, type RebuildAnswer, type Rebuildable } from '../projections/rebuild.ts';
import { Refusal } from '../refusal.ts';
import { withRunning } from '../supervisor/log_access.ts';
import { packr } from '../wire.ts';
import { argumentsOf, jsonLine, type Screen } from './command.ts';
import { Progress } from './progress.ts';
import { readersOf } from './standing.ts';

export const rebuildUsage = `gridtick rebuild redis | clickhouse [--drop-older] [--json]
  drops the projection and makes it anew from the journal; doors that need it answer 503 until it is whole
  --drop-older  also where the journal was purged, so that rows of the history which it no longer holds are lost`;

/** Dropping may take as long as there is to drop. */
const dropMs = 120_000;
const lookMs = 500;

export async function rebuildCommand(config: Config, args: readonly string[], screen: Screen): Promise<void> {
  const options = { json: { type: 'boolean' }, 'drop-older': { type: 'boolean' } } as const;
  const { values, words } = argumentsOf(args, options, rebuildUsage);
  const wanted = rebuildable.find((projection) => projection === words[0]);
  if (!wanted || words.length > 1) throw new ConfigError(rebuildUsage);
  return withRunning(config, 'rebuild', async ({ nc, partitions, redisUrl }) => {
    const bounds = await Promise.all(Array.from({ length: partitions }, (_, p) => journalBounds(nc, p)));
    const purged = bounds.flatMap(({ first }, p) => (first > 1 ? [p] : []));
    if (wanted === 'clickhouse' && purged.length > 0 && !values['drop-older'])
      throw new Refusal(
        'outside_window',
        `the journal of partitions ${purged.join(', ')} was purged: what the history holds from before would be lost; ` +
          'with --drop-older it is',
        { partitions: purged },
      );
    const startedAt = performance.now();
    screen.tell(`dropping ${wanted}`);
    await ask(nc, wanted);
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: 3 });
    redis.on('error', () => undefined);
    const progress = new Progress(screen.tell);
    const of = bounds.reduce((sum, { last }) => sum + last, 0);
    try {
      for (;;) {
        const at =
          wanted === 'redis' ? await redisAt(redis, nc, partitions) : await clickhouseAt(redis, nc, partitions);
        if (at === null) break;
        progress.at(at, of, `${wanted} made again`);
        await sleep(lookMs);
      }
    } finally {
      redis.disconnect();
    }
    const seconds = Math.round(performance.now() - startedAt) / 1_000;
    if (values.json) screen.say(jsonLine({ ok: true, projection: wanted, records: of, seconds }));
    else screen.say(`${wanted} is whole again: ${of} records in ${seconds.toFixed(1)} s`);
  });
}

async function ask(nc: NatsConnection, wanted: Rebuildable): Promise<void> {
  let answer;
  try {
    answer = packr.unpack((await nc.request(internal.rebuild, wanted, { timeout: dropMs })).data) as RebuildAnswer;
  } catch (error) {
    if (error instanceof RequestError && error.isNoResponders())
      throw new ConfigError('the history role does not run: start it, it rebuilds what it writes');
    throw error;
  }
  if (!answer.ok) throw new Refusal('unavailable', answer.reason);
}

/** Records that are in again; null: all. */
async function redisAt(redis: Redis, nc: NatsConnection, partitions: number): Promise<number | null> {
  if (
    (await stageOf(redis, 'redis')) === null &&
    (await projectedPositions(redis, partitions)).every((at) => at !== null)
  )
    return null;
  return told(nc, partitions, 'redis');
}

async function clickhouseAt(redis: Redis, nc: NatsConnection, partitions: number): Promise<number | null> {
  return (await stageOf(redis, 'clickhouse')) === null ? null : told(nc, partitions, 'clickhouse');
}

async function told(nc: NatsConnection, partitions: number, id: Rebuildable): Promise<number> {
  const reader = (await readersOf(nc, partitions)).find((one) => one.reader === id);
  return reader?.partitions.reduce((sum, { position }) => sum + position, 0) ?? 0;
}
