/**
 * MeterValues: which session they belong to, which samples are new, and what power acts from now on. A known sample is
 * counted silently; the same sample with another value and a sample from after the end of its session go to quarantine
 * as an event. Whatever it is, the charger gets its answer.
 */
import type { ActorEvent, Decision, PartitionView, Stored } from './actor.ts';
import { sessionAddress } from './addresses.ts';
import { withConnector } from './charger_messages.ts';
import type { DomainIndex } from './domain_index.ts';
import { advance, intervalAfter, powerWMax, silenceMs } from './load.ts';
import { chargerEvent, type Outputs } from './machine.ts';
import { blockOf, chunkId, KeyBlock, outsideBlockId, sessionBlockId, trimmed } from './sample_keys.ts';
import { pointsOf } from './samples.ts';
import type { MeterSampledBody } from './schema/commands.ts';
import type { ChargerState, SampleKeysState, SessionState, StrayState } from './schema/entities.ts';
import type { Sample } from './schema/events.ts';
import type { Point } from './schema/internal.ts';
import { subject } from './schema/subjects.ts';
import { plausible } from './session_registers.ts';
import { divideHalfEven } from './units.ts';

/** Chunks of known sample keys by the id of their block, oldest first; a block that does not exist yet has none. */
export type Blocks = Record<string, string[]>;

export function blocksFor(view: PartitionView, samples: readonly Sample[], idOf: (at: number) => string): Blocks {
  const blocks: Blocks = {};
  for (const { at } of samples) {
    const id = idOf(at);
    blocks[id] ??= chunksOf(view, id);
  }
  return blocks;
}

function chunksOf(view: PartitionView, block: string): string[] {
  const chunks: string[] = [];
  for (;;) {
    const chunk = view.get<SampleKeysState>('sample_keys', chunkId(block, chunks.length));
    if (chunk === undefined) return chunks;
    chunks.push(chunk.context.keys);
  }
}

export const sessionBlock =
  (transaction: number) =>
  (at: number): string =>
    sessionBlockId(transaction, blockOf(at));

export interface Intake {
  fresh: Sample[];
  late: Sample[];
  conflicts: Sample[];
  puts: Outputs;
}

/**
 * Sorts samples into new, late (after `endAt`) and conflicting ones, and writes the keys of all that were unknown.
 * `knownUntil`: no sample later than this can be known, so only this message is searched for it.
 */
export function takeIn(
  samples: readonly Sample[],
  blocks: Blocks,
  idOf: (at: number) => string,
  knownUntil: number,
  endAt: number | null,
): Intake {
  const intake: Intake = { fresh: [], late: [], conflicts: [], puts: [] };
  const known = new Map<string, KeyBlock>();
  for (const sample of samples) {
    const id = idOf(sample.at);
    let block = known.get(id);
    if (!block) known.set(id, (block = new KeyBlock(blocks[id]!)));
    const novelty = block.take(sample, sample.at > knownUntil);
    if (novelty === 'duplicate') continue;
    if (novelty === 'conflict') intake.conflicts.push(sample);
    else if (endAt !== null && sample.at > endAt) intake.late.push(sample);
    else intake.fresh.push(sample);
  }
  const put = (id: string, keys: string) =>
    intake.puts.push({ type: 'put', params: { kind: 'sample_keys', id, state: { keys } } });
  for (const [id, block] of known) {
    const changed = block.changed();
    if (id.startsWith('-/')) {
      const old = blocks[id]![0] ?? '';
      const [entry] = changed;
      if (entry) put(id, trimmed(entry[0] === 0 ? entry[1] : old + entry[1]));
    } else for (const [n, keys] of changed) put(chunkId(id, n), keys);
  }
  return intake;
}

export interface MeterFacts {
  session: SessionState | null;
  blocks: Blocks;
  stray: StrayState | null;
}

const sessionOf = (view: PartitionView, id: string | number): SessionState | null => {
  const stored: Stored<SessionState> | undefined = view.get('session', String(id));
  return stored?.context ?? null;
};

/**
 * A transaction's own id finds it. Without one (none given, or 0 and −1 of a start that was never acknowledged) the
 * connector's open session does, if it had begun by then, else the one that was going on at the time.
 */
function belongsTo(
  view: PartitionView,
  charger: string,
  connector: number,
  transaction: number | null,
  at: number,
): SessionState | null {
  if (transaction !== null && transaction > 0) {
    const session = sessionOf(view, transaction);
    return session?.charger === charger ? session : null;
  }
  const open = view.get<ChargerState>('charger', charger)?.context.connectors[connector - 1]?.transaction ?? 0;
  const running = open === 0 ? null : sessionOf(view, open);
  if (running && running.startAt <= at) return running;
  let newest: SessionState | null = null;
  for (const id of (view.index as DomainIndex).endedOn(charger, connector)) {
    const session = sessionOf(view, id)!;
    if (session.startAt <= at && at <= session.endAt! && (newest === null || session.transaction > newest.transaction))
      newest = session;
  }
  return newest;
}

export const strayId = (charger: string, connector: number): string => `${charger}/${connector}`;

export function meterFacts(view: PartitionView, charger: string, body: MeterSampledBody): MeterFacts {
  let newestAt = 0;
  for (const { at } of body.samples) if (at > newestAt) newestAt = at;
  const session = belongsTo(view, charger, body.connector, body.transaction, newestAt);
  const outside = outsideBlockId(charger, body.connector);
  const idOf = session ? sessionBlock(session.transaction) : () => outside;
  const stray = view.get<StrayState>('stray', strayId(charger, body.connector))?.context ?? null;
  return { session, blocks: blocksFor(view, body.samples, idOf), stray };
}

/** Power by the register's gain since the one before; null when that cannot be. */
function derivedW(from: { at: number; registerWh: number } | null, point: Point, ratedW: number): number | null {
  if (from === null || point.registerWh === null || point.at <= from.at) return null;
  const gain = point.registerWh - from.registerWh;
  if (gain < 0 || !plausible(gain, point.at - from.at, ratedW)) return null;
  const powerW = Number(divideHalfEven(BigInt(gain) * 3_600_000n, BigInt(point.at - from.at)));
  return powerW <= powerWMax ? powerW : null;
}

type LastRegister = Pick<SessionState, 'registerWh' | 'registerAt'>;
type LastPower = Pick<SessionState, 'transaction' | 'connector' | 'lastSampleAt' | 'intervalMs' | 'maxW' | 'powerW'>;

/** Gives the newest point the power that its register tells, where the charger does not report power. */
export function withPower(session: LastRegister, points: Point[], ratedW: number): Point[] {
  const newest = points.at(-1);
  if (!newest || newest.powerW !== null || newest.registerWh === null) return points;
  const { registerWh, registerAt } = session;
  let from = registerWh === null || registerAt === null ? null : { at: registerAt, registerWh };
  for (const point of points.slice(0, -1)) {
    if (point.registerWh !== null && (from === null || point.at >= from.at))
      from = { at: point.at, registerWh: point.registerWh };
  }
  const powerW = derivedW(from, newest, ratedW);
  return powerW === null ? points : [...points.slice(0, -1), { ...newest, powerW }];
}

/** What acts on the connector from now on. Samples older than the last one never change the present. */
export function powered(
  charger: ChargerState,
  session: LastPower,
  points: readonly Point[],
  now: number,
): ChargerState {
  const newest = points.at(-1);
  if (charger.connectors[session.connector - 1]?.transaction !== session.transaction || !newest) return charger;
  if (session.lastSampleAt !== null && newest.at < session.lastSampleAt) return charger;
  let { intervalMs, lastSampleAt, maxW } = session;
  let known = session.powerW !== null;
  for (const point of points) {
    if (lastSampleAt !== null && point.at < lastSampleAt) continue;
    intervalMs = intervalAfter(intervalMs, lastSampleAt, point.at);
    lastSampleAt = point.at;
    if (point.powerW !== null) {
      maxW = Math.max(maxW, point.powerW);
      known = true;
    }
  }
  return withConnector(charger, session.connector, (connector) => ({
    ...advance(connector, now),
    powerW: newest.powerW ?? connector.powerW,
    silentFromMs: now + silenceMs(intervalMs),
    silentW: known ? maxW : charger.ratedW,
    lastSampleAt: newest.at,
    lastEnergyWh: newest.registerWh ?? connector.lastEnergyWh,
  }));
}

export function meterEvent(
  charger: ChargerState,
  id: string,
  connector: number,
  transaction: number | null,
  now: number,
  samples: Sample[],
): Outputs[number] {
  return {
    type: 'emit',
    params: {
      kind: 'meter',
      subject: subject.meter(id, connector),
      payload: {
        site: charger.site,
        station: charger.station,
        charger: id,
        connector,
        transaction,
        receivedAt: now,
        samples,
      },
    },
  };
}

export function meterSampled(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<MeterSampledBody, MeterFacts>,
): Decision<ChargerState> {
  const { session } = facts;
  const idOf = session ? sessionBlock(session.transaction) : () => outsideBlockId(self.id, body.connector);
  const knownUntil = session && session.endAt === null ? (session.lastSampleAt ?? 0) : Infinity;
  const { fresh, late, conflicts, puts } = takeIn(body.samples, facts.blocks, idOf, knownUntil, session?.endAt ?? null);
  if (puts.length === 0) return {};

  const outputs = puts;
  const connector = session?.connector ?? body.connector;
  const transaction = session?.transaction ?? null;
  const quarantine = (reason: string, samples: Sample[]) => {
    if (samples.length > 0)
      outputs.push(chargerEvent(self.id, 'event', connector, samples[0]!.at, now, { reason, transaction, samples }));
  };
  quarantine('late_value', late);
  quarantine('conflict', conflicts);
  let next: ChargerState = { ...charger, lastHeardAt: now };
  if (fresh.length === 0) return { context: next, outputs };

  outputs.push(meterEvent(charger, self.id, connector, transaction, now, fresh));
  const points = pointsOf(fresh);
  if (session) {
    const measured = session.endAt === null ? withPower(session, points, charger.ratedW) : points;
    next = powered(next, session, measured, now);
    const flags = body.transaction !== null && body.transaction <= 0 ? ['repaired_id'] : [];
    outputs.push({
      type: 'send',
      params: {
        to: sessionAddress(self.key, session.transaction),
        type: 'session.sampled',
        body: { points: measured, samples: fresh.length, ratedW: charger.ratedW, flags },
      },
    });
  } else if (body.transaction !== null && body.transaction > 0) {
    outputs.push(...strayed(self.id, body.connector, body.transaction, facts.stray, points));
  }
  return { context: next, outputs };
}

/** The first register of a transaction that nobody started here: should its stop come, its energy begins there. */
function strayed(
  charger: string,
  connector: number,
  transaction: number,
  known: StrayState | null,
  points: readonly Point[],
): Outputs {
  const first = points.find((point) => point.registerWh !== null);
  if (!first || (known?.transaction === transaction && known.at <= first.at)) return [];
  const state = { transaction, at: first.at, registerWh: first.registerWh! };
  return [{ type: 'put', params: { kind: 'stray', id: strayId(charger, connector), state } }];
}
