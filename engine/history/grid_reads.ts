/** What the load tree did: loads of sites and stations over any range, and sessions. */
import { slotMs } from '#actors/load';
import { integer } from './customer_reads.ts';
import { scopeCondition, type NodeScope } from './node_scope.ts';
import { dateTime } from './place.ts';
import { decodeParts, encodeParts } from './text_cursor.ts';

type Select = (query: string, params: Record<string, unknown>) => Promise<Record<string, unknown>[]>;

export interface LoadsQuery {
  node: string;
  /** `from ≤ at < to`, unix ms. */
  from: number;
  to: number;
  /** Rows at most. */
  points: number;
}

/** Slots gathered into one row. */
export interface LoadRow {
  /** Start of the step, unix ms. */
  at: number;
  meanW: number;
  /** Mean of the highest slot. */
  maxW: number;
  capacityW: number;
  maxUtilisationBp: number;
}

export interface Loads {
  stepMs: number;
  /** Oldest first; steps in which nothing ran are left out. */
  rows: LoadRow[];
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** Whole slots, and steps that people count in. */
const steps = [
  slotMs,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
  ...[1, 7, 28].map((n) => n * day),
];

/** The shortest step with which [from, to) has at most `points` rows. */
export function loadStepMs(from: number, to: number, points: number): number {
  const wanted = (stepMs: number) => Math.ceil(to / stepMs) - Math.floor(from / stepMs);
  return steps.find((stepMs) => wanted(stepMs) <= points) ?? Math.ceil((to - from) / points / day + 1) * day;
}

export async function readLoads(select: Select, { node, from, to, points }: LoadsQuery): Promise<Loads> {
  const stepMs = loadStepMs(from, to, points);
  const rows = await select(
    `SELECT intDiv(slot, ${stepMs / slotMs}) AS step, sum(load_w) AS sumW, count() AS slots, max(load_w) AS maxW,
  max(capacity_w) AS capacityW, max(utilisation_bp) AS maxUtilisationBp
FROM gridtick.loads_log FINAL
WHERE node = {node:String} AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')}
GROUP BY step ORDER BY step LIMIT {points:UInt32}`,
    { node, from: dateTime(from), to: dateTime(to), points },
  );
  return {
    stepMs,
    rows: rows.map((r) => ({
      at: integer(r['step']) * stepMs,
      meanW: Math.round(integer(r['sumW']) / integer(r['slots'])),
      maxW: integer(r['maxW']),
      capacityW: integer(r['capacityW']),
      maxUtilisationBp: integer(r['maxUtilisationBp']),
    })),
  };
}

export interface SessionsQuery extends NodeScope {
  /** `from ≤ startedAt < to`, unix ms. */
  from?: number | undefined;
  to?: number | undefined;
  /** 1 to 1,000. @default 100 */
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface SessionRecord {
  transaction: number;
  charger: string;
  connector: number;
  site: string;
  station: string;
  tag: string;
  startedAt: number;
  /** null while it runs; so are energy and reason. */
  endedAt: number | null;
  /** Also null where the start is unknown. */
  energyWh: number | null;
  state: 'started' | 'ended';
  flags: string[];
  reason: string | null;
}

export interface SessionsPage {
  /** By their start, newest first. */
  rows: SessionRecord[];
  next: string | null;
}

export const gridLimitMax = 1_000;
const limitDefault = 100;
const columns = 'site, station, charger, connector, transaction, tag, started_at, flags, sequence, `index`';

/** Throws BadCursor on a cursor that no page ended with. */
export async function readSessions(select: Select, query: SessionsQuery): Promise<SessionsPage> {
  const { from, to, limit = limitDefault, cursor } = query;
  const rowsMax = Math.min(Math.max(Math.trunc(limit), 1), gridLimitMax);
  const { condition, params } = scopeCondition(query);
  const conditions = ['1'];
  if (from !== undefined) {
    conditions.push("started_at >= {from:DateTime64(3, 'UTC')}");
    params['from'] = dateTime(from);
  }
  if (to !== undefined) {
    conditions.push("started_at < {to:DateTime64(3, 'UTC')}");
    params['to'] = dateTime(to);
  }
  if (cursor !== undefined) {
    const [at, atCharger, atTransaction] = decodeParts(cursor, [0, '', 0]);
    conditions.push(
      "(started_at, charger, transaction) < ({at:DateTime64(3, 'UTC')}, {atCharger:String}, {atTransaction:Int64})",
    );
    Object.assign(params, { at: dateTime(at as number), atCharger, atTransaction });
  }
  // A session that has ended has version 1 or more and hides its start. The range is looked at behind that, because a
  // settlement may know the start better than the one before.
  const found = await select(
    `SELECT site, station, charger, connector, transaction, tag, toUnixTimestamp64Milli(started_at) AS startedAt,
  if(version = 0, NULL, toUnixTimestamp64Milli(ended_at)) AS endedAt, energy_wh AS energyWh, reason, flags, version
FROM (
  SELECT * FROM (
    SELECT ${columns}, ended_at, energy_wh, reason, version FROM gridtick.sessions_log FINAL WHERE ${condition}
    UNION ALL
    SELECT ${columns}, started_at AS ended_at, CAST(NULL, 'Nullable(Int64)') AS energy_wh, '' AS reason, 0 AS version
    FROM gridtick.session_starts_log FINAL WHERE ${condition}
  )
  ORDER BY version DESC, sequence DESC, \`index\` DESC LIMIT 1 BY charger, transaction
)
WHERE ${conditions.join(' AND ')}
ORDER BY started_at DESC, charger DESC, transaction DESC LIMIT {limit:UInt32}`,
    { ...params, limit: rowsMax + 1 },
  );
  const rows = found.slice(0, rowsMax).map((r): SessionRecord => {
    const ended = integer(r['version']) > 0;
    return {
      transaction: integer(r['transaction']),
      charger: String(r['charger']),
      connector: integer(r['connector']),
      site: String(r['site']),
      station: String(r['station']),
      tag: String(r['tag']),
      startedAt: integer(r['startedAt']),
      endedAt: ended ? integer(r['endedAt']) : null,
      energyWh: r['energyWh'] === null ? null : integer(r['energyWh']),
      state: ended ? 'ended' : 'started',
      flags: r['flags'] as string[],
      reason: ended ? String(r['reason']) : null,
    };
  });
  const last = rows.at(-1);
  const more = last !== undefined && found.length > rowsMax;
  return { rows, next: more ? encodeParts([last.startedAt, last.charger, last.transaction]) : null };
}
