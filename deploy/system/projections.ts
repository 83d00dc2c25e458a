/** What Redis and ClickHouse hold, and what two readings of it differ in; states of the past, shown in two ways that share nothing but the log. */
import { Redis } from 'ioredis';
import { domain } from '#actors/mod';
import { blanked } from '#engine/blanked';
import { connectLog, journalBounds, readJournalLast } from '#engine/log/mod';
import { compileDomain } from '#engine/partition/catalogue';
import { replayPartition } from '#engine/partition/replay';
import { JournalReader } from '#engine/partition/replay_journal';
import { jetstreamSource } from '#engine/partition/replay_source';
import { exitCodeOf } from '#engine/partition/replay_verdict';
import type { PartitionState } from '#engine/partition/state';
import { TimeTravel, type EntityThen } from '#engine/partition/time_travel';
import { definitionsOf } from '#engine/projections/entities';
import { Random } from '#gateway/simulator/random';
import type { Installation } from './installation.ts';
import { hashesOfViews } from './played_days.ts';

export interface Projections {
  views: Record<string, { rows: number; hash: string }>;
  /** Every entity in Redis by its key, as it is stored: place of its last change, post-image. */
  redis: Map<string, string>;
  /** Where the journals ended before anything of it was read. */
  ends: number[];
}

/** The trace of the sockets is written beside the journal, and goes on while chargers and servers tell that they live. */
const besideTheJournal = ['ocpp_messages'];

export async function projectionsOf(installation: Installation, partitions: number): Promise<Projections> {
  const nc = await connectLog(installation.coreUrl, 'projections');
  const redis = new Redis(installation.endpoints.redis);
  try {
    const ends = await Promise.all(
      Array.from({ length: partitions }, async (_, p) => (await journalBounds(nc, p)).last),
    );
    const found = new Map<string, string>();
    for (const set of await redis.keys('ids:*'))
      for (const id of await redis.smembers(set)) {
        const key = `e:${set.slice('ids:'.length)}:${id}`;
        found.set(key, (await redis.get(key)) ?? 'in its set, and not there');
      }
    for (const key of await redis.keys('e:*')) if (!found.has(key)) found.set(key, 'there, and not in its set');
    // All rows in all columns; only when a row was inserted is its own.
    const views = await hashesOfViews(installation, {
      leaveOut: besideTheJournal,
      isCompared: (_, column) => column !== 'ingested_at',
    });
    return { views, redis: found, ends };
  } finally {
    redis.disconnect();
    await nc.close();
  }
}

/**
 * What the later reading has otherwise than the earlier one, though no record of the time between says so: a gateway tells now
 * and then that it lives, and chargers that lost their line come back.
 */
export function differencesBetween(before: Projections, after: Projections): string[] {
  const differences: string[] = [];
  for (const [view, { rows, hash }] of Object.entries(before.views)) {
    const now = after.views[view];
    if (now?.hash !== hash || now.rows !== rows) differences.push(`${view}: ${rows} rows, then ${now?.rows}`);
  }
  for (const key of new Set([...before.redis.keys(), ...after.redis.keys()])) {
    const [was, is] = [before.redis.get(key), after.redis.get(key)];
    if (was === is) continue;
    const [partition, sequence] = is?.startsWith('[') ? (JSON.parse(is) as [number, number]) : [0, 0];
    if (sequence > before.ends[partition]!) continue;
    differences.push(`${key}: ${was?.slice(0, 200)}, then ${is?.slice(0, 200)}`);
  }
  return differences;
}

/** Text of an entity as it was: version, state of its machine and fields, secrets blanked; '-' when there was none. */
type Shown = string;

/** An entity at a place, as `gridtick inspect --at` shows it and as it comes out of its commands. */
export interface PairOfStates {
  entity: string;
  at: string;
  inspected: Shown;
  executed: Shown;
}

/**
 * Draws `count` pairs of entity and place over all partitions. Each state is shown as an operator asks for it, and made again
 * by executing the partition's commands from the beginning, without a look at a single post-image.
 * @throws when not every record could be executed
 */
export async function statesOfThePast(
  installation: Installation,
  { partitions, count, seed }: { partitions: number; count: number; seed: number },
): Promise<PairOfStates[]> {
  const nc = await connectLog(installation.coreUrl, 'states of the past');
  const random = new Random(`states ${seed}`);
  const definitions = definitionsOf(domain);
  const travel = new TimeTravel(nc, partitions, definitions);
  const pairs: PairOfStates[] = [];
  try {
    for (let p = 0; p < partitions; p++) {
      const build = (await readJournalLast(nc, p))?.record.build;
      if (build === undefined) continue;
      const source = await jetstreamSource(nc, p, partitions);
      const wanted = await drawn(new JournalReader(source), Math.ceil(count / partitions), random);
      const executed = new Map<string, Shown>();
      const rules = { catalogue: compileDomain(domain), build, clock: 'driven' } as const;
      const verdict = await replayPartition(source, rules, undefined, (sequence, state) => {
        for (const { kind, id } of wanted.get(sequence) ?? [])
          executed.set(`${sequence} ${kind} ${id}`, shownOf(state, kind, id));
      });
      if (exitCodeOf([verdict]) !== 0) throw new Error(`partition ${p} does not come out of its commands again`);
      for (const [sequence, entities] of wanted)
        for (const { kind, id } of entities) {
          const found = await travel.find({ kind, id, at: { partition: p, sequence } });
          pairs.push({
            entity: `${kind}:${id}`,
            at: `${p}:${sequence}`,
            inspected: found.map(inspectedOf).join(),
            executed: executed.get(`${sequence} ${kind} ${id}`) ?? 'never reached',
          });
        }
    }
    return pairs;
  } finally {
    await nc.close();
  }
}

interface Named {
  kind: string;
  id: string;
}

/** Places in the journal, and of each an entity that has existed by then; all of them are equally likely. */
async function drawn(reader: JournalReader, count: number, random: Random): Promise<Map<number, Named[]>> {
  const known: Named[] = [];
  const names = new Set<string>();
  const sample: { sequence: number; entity: Named }[] = [];
  let records = 0;
  for (let entry = await reader.next(); entry !== null; entry = await reader.next()) {
    for (const { kind, id } of entry.record.entities) {
      if (names.has(`${kind} ${id}`)) continue;
      names.add(`${kind} ${id}`);
      known.push({ kind, id });
    }
    if (known.length === 0) continue;
    records += 1;
    const place = sample.length < count ? sample.length : random.below(records);
    if (place < count) sample[place] = { sequence: entry.sequence, entity: known[random.below(known.length)]! };
  }
  await reader.close();
  const wanted = new Map<number, Named[]>();
  for (const { sequence, entity } of sample.sort((a, b) => a.sequence - b.sequence))
    wanted.set(sequence, [...(wanted.get(sequence) ?? []), entity]);
  return wanted;
}

const text = (version: number, value: string | null, context: unknown): Shown =>
  JSON.stringify({ version, value, context: blanked(context) }, sortedKeys);

function shownOf(state: PartitionState, kind: string, id: string): Shown {
  const entity = state.entities.get(kind)?.get(id);
  if (!entity) return '-';
  const { value = null, context } = entity.stored as { value?: string | null; context: unknown };
  return text(entity.version, value, context);
}

const inspectedOf = ({ removed, version, value, state }: EntityThen): Shown =>
  removed ? '-' : text(version, value, state);

/** The order of an object's keys says nothing. */
const sortedKeys = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
