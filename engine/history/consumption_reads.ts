/** What the consumption of sessions is made of, and what has been made of it. */
import { integer } from './customer_reads.ts';
import { quarterMs, quarterOf, quartersOf, type MeteredSession, type Reading } from './consumption.ts';
import { scopeCondition, type NodeScope } from './node_scope.ts';
import { dateTime } from './place.ts';
import type { ConsumptionRow } from './rows.ts';

type Select = (query: string, params: Record<string, unknown>) => Promise<Record<string, unknown>[]>;

/** A session by its charger and number. */
export interface SessionKey {
  charger: string;
  transaction: number;
}

export interface ConsumptionQuery extends NodeScope {
  /** `from ≤ at < to`, unix ms; at = start of the step. */
  from: number;
  to: number;
  step: 'hour' | 'day';
  /** IANA zone whose midnight begins a day. */
  zone: string;
}

/** `at` = start of the step; steps without energy are left out. */
export interface Consumption {
  at: number;
  energyWh: number;
}

const ms = (column: string) => `toUnixTimestamp64Milli(${column})`;
const dayMs = 86_400_000;
/** A session that has run for longer counts once it has ended. */
const runningMsMax = 7 * dayMs;
/** Running sessions beyond this number count once they have ended. */
const runningMax = 5_000;

const metered = (r: Record<string, unknown>, end: MeteredSession['end']): MeteredSession => ({
  site: String(r['site']),
  station: String(r['station']),
  charger: String(r['charger']),
  connector: integer(r['connector']),
  transaction: integer(r['transaction']),
  startedAt: integer(r['startedAt']),
  meterStartWh: integer(r['meterStartWh']),
  end,
});

export const keyText = ({ charger, transaction }: SessionKey): string => `${transaction}/${charger}`;

const asked = (keys: readonly SessionKey[]) => ({
  chargers: [...new Set(keys.map(({ charger }) => charger))],
  transactions: [...new Set(keys.map(({ transaction }) => transaction))],
});
const named = 'charger IN {chargers:Array(String)} AND transaction IN {transactions:Array(Int64)}';

/** Those of the named sessions that have ended, by their newest settlement, with the journal sequence of it. */
export async function endedSessions(
  select: Select,
  keys: readonly SessionKey[],
): Promise<{ session: MeteredSession; sequence: number }[]> {
  if (keys.length === 0) return [];
  const wanted = new Set(keys.map(keyText));
  const rows = await select(
    `SELECT site, station, charger, connector, transaction, ${ms('started_at')} AS startedAt, ${ms('ended_at')} AS endedAt,
  meter_start_wh AS meterStartWh, meter_stop_wh AS meterStopWh, energy_wh AS energyWh, sequence
FROM gridtick.sessions_log FINAL WHERE ${named}
ORDER BY version DESC, sequence DESC, \`index\` DESC LIMIT 1 BY charger, transaction`,
    asked(keys),
  );
  return rows
    .map((r) => ({
      session: metered(r, {
        at: integer(r['endedAt']),
        meterStopWh: integer(r['meterStopWh']),
        energyWh: r['energyWh'] === null ? null : integer(r['energyWh']),
      }),
      sequence: integer(r['sequence']),
    }))
    .filter(({ session }) => wanted.has(keyText(session)));
}

interface SessionReadings {
  readings: Reading[];
  sequence: number;
}

/**
 * Registers of sessions, at most two per quarter: the first and the last. The total counts, else the sum of the phases; the
 * outlet, else the inlet, as in the load.
 */
async function readingsOf(
  select: Select,
  sessions: readonly MeteredSession[],
  from: number,
): Promise<Map<string, SessionReadings>> {
  const found = new Map<string, SessionReadings>();
  if (sessions.length === 0) return found;
  const since = Math.max(from, Math.min(...sessions.map(({ startedAt }) => startedAt)));
  const until = Math.max(...sessions.map(({ end }) => end?.at ?? Number.MAX_SAFE_INTEGER));
  const rows = await select(
    `SELECT charger, transaction, min(at) AS firstAt, argMin(wh, at) AS firstWh, max(at) AS lastAt, argMax(wh, at) AS lastWh,
  max(newest) AS sequence
FROM (
  SELECT charger, transaction, ${ms('sampled_at')} AS at, location = 'Inlet' AS inlet, max(sequence) AS newest,
    if(countIf(phase = '') > 0, minIf(assumeNotNull(energy_wh), phase = ''), sum(assumeNotNull(energy_wh))) AS wh
  FROM gridtick.meter_values_log FINAL
  WHERE ${named} AND sampled_at >= {since:DateTime64(3, 'UTC')} AND sampled_at <= {until:DateTime64(3, 'UTC')}
    AND measurand = 'Energy.Active.Import.Register' AND energy_wh IS NOT NULL AND location IN ('', 'Outlet', 'Inlet')
    AND phase IN ('', 'L1', 'L2', 'L3', 'L1-N', 'L2-N', 'L3-N')
  GROUP BY charger, transaction, sampled_at, inlet
  ORDER BY inlet LIMIT 1 BY charger, transaction, at
)
GROUP BY charger, transaction, intDiv(at, ${quarterMs})`,
    { ...asked(sessions), since: dateTime(since), until: dateTime(until) },
  );
  for (const r of rows) {
    const key = keyText({ charger: String(r['charger']), transaction: integer(r['transaction']) });
    const known = found.get(key) ?? { readings: [], sequence: 0 };
    known.readings.push({ at: integer(r['firstAt']), wh: integer(r['firstWh']) });
    known.readings.push({ at: integer(r['lastAt']), wh: integer(r['lastWh']) });
    known.sequence = Math.max(known.sequence, integer(r['sequence']));
    found.set(key, known);
  }
  return found;
}

/**
 * Rows of the ended ones among `keys`, made anew from what is stored now. A quarter that an earlier making filled and this
 * one does not comes with 0. The same facts give the same rows.
 */
export async function consumptionRows(
  select: Select,
  keys: readonly SessionKey[],
): Promise<{ rows: ConsumptionRow[]; ended: SessionKey[] }> {
  const ended = await endedSessions(select, keys);
  const sessions = ended.map(({ session }) => session);
  const readings = await readingsOf(select, sessions, 0);
  const filled = new Map<string, Set<number>>();
  if (ended.length > 0) {
    const before = await select(
      `SELECT charger, transaction, toUnixTimestamp(at) AS second FROM gridtick.consumption_log WHERE ${named}`,
      asked(sessions),
    );
    for (const r of before) {
      const key = keyText({ charger: String(r['charger']), transaction: integer(r['transaction']) });
      const seconds = filled.get(key) ?? new Set();
      filled.set(key, seconds.add(integer(r['second'])));
    }
  }
  const rows: ConsumptionRow[] = [];
  for (const { session, sequence } of ended) {
    const key = keyText(session);
    const read = readings.get(key);
    const { site, station, charger, connector, transaction } = session;
    const version = Math.max(sequence, read?.sequence ?? 0);
    const row = { site, station, charger, connector, transaction, version };
    const left = filled.get(key) ?? new Set<number>();
    for (const { at, energyWh } of quartersOf(session, read?.readings ?? [])) {
      left.delete(at / 1_000);
      rows.push({ ...row, at: at / 1_000, energy_wh: energyWh });
    }
    for (const at of left) rows.push({ ...row, at, energy_wh: 0 });
  }
  return { rows, ended: sessions };
}

/**
 * Sessions of which something came behind these journal sequences: ended, settled anew, or sampled after their end. At most
 * `limit` in order of their key, behind `after`.
 */
export async function sessionsSince(
  select: Select,
  positions: ReadonlyMap<number, number>,
  after: SessionKey | null,
  limit: number,
): Promise<SessionKey[]> {
  const behind = [...positions].map(([partition, sequence]) => `partition = ${partition} AND sequence > ${sequence}`);
  const known = [...positions.keys()].join(', ');
  const others = known === '' ? '1' : `partition NOT IN (${known})`;
  const late =
    behind.length === 0
      ? ''
      : `UNION DISTINCT SELECT DISTINCT charger, assumeNotNull(transaction) AS transaction FROM gridtick.meter_values_log
WHERE transaction IS NOT NULL AND (${behind.map((b) => `(${b})`).join(' OR ')})
  AND (charger, assumeNotNull(transaction)) IN (SELECT charger, transaction FROM gridtick.sessions_log)`;
  const rows = await select(
    `SELECT charger, transaction FROM (
SELECT DISTINCT charger, transaction FROM gridtick.sessions_log
WHERE ${[others, ...behind.map((b) => `(${b})`)].join(' OR ')} ${late})
WHERE (charger, transaction) > ({charger:String}, {transaction:Int64}) ORDER BY charger, transaction LIMIT {limit:UInt32}`,
    { charger: after?.charger ?? '', transaction: after?.transaction ?? 0, limit },
  );
  return rows.map((r) => ({ charger: String(r['charger']), transaction: integer(r['transaction']) }));
}

/** What the sessions under a node took, running ones included. Oldest first. */
export async function readConsumption(select: Select, query: ConsumptionQuery): Promise<Consumption[]> {
  const running = await runningQuarters(select, query);
  const { condition, params } = scopeCondition(query);
  const bucket =
    query.step === 'hour' ? 'toStartOfHour(quarter)' : "toDateTime(toStartOfDay(quarter, {zone:String}), 'UTC')";
  const rows = await select(
    `SELECT toUnixTimestamp(${bucket}) AS second, sum(wh) AS energyWh
FROM (
  SELECT at AS quarter, energy_wh AS wh FROM gridtick.consumption_log FINAL
  WHERE ${condition} AND at >= {from:DateTime('UTC')} AND at < {to:DateTime('UTC')}
  UNION ALL
  SELECT toDateTime(filled.1, 'UTC') AS quarter, filled.2 AS wh
  FROM (SELECT arrayJoin(arrayZip({seconds:Array(UInt32)}, {wh:Array(Int64)})) AS filled)
)
GROUP BY second HAVING energyWh != 0 ORDER BY second`,
    {
      ...params,
      zone: query.zone,
      from: second(query.from),
      to: second(query.to),
      seconds: running.map(({ at }) => at / 1_000),
      wh: running.map(({ energyWh }) => energyWh),
    },
  );
  return rows.map((r) => ({ at: integer(r['second']) * 1_000, energyWh: integer(r['energyWh']) }));
}

const second = (at: number): number => Math.min(Math.ceil(at / 1_000), 0xffff_ffff);

/**
 * Quarters in range of sessions that have no rows yet: they run, or have ended a moment ago. Of a start that was told again,
 * because connector or tag became known later (OCPP 2.x), the newest word counts.
 */
async function runningQuarters(select: Select, query: ConsumptionQuery): Promise<Consumption[]> {
  const { condition, params } = scopeCondition(query);
  const rows = await select(
    `WITH (SELECT max(received_at) FROM gridtick.session_starts_log) AS newest
SELECT site, station, charger, connector, transaction, ${ms('started_at')} AS startedAt, meter_start_wh AS meterStartWh
FROM gridtick.session_starts_log FINAL
WHERE ${condition} AND received_at >= newest - INTERVAL ${runningMsMax / 1_000} SECOND
  AND started_at < {until:DateTime64(3, 'UTC')}
  AND (charger, transaction) NOT IN (
    SELECT charger, transaction FROM gridtick.consumption_log
    WHERE ${condition} AND at >= toStartOfHour(toDateTime(newest, 'UTC')) - INTERVAL ${(2 * runningMsMax) / 1_000} SECOND)
ORDER BY received_at DESC, sequence DESC, \`index\` DESC LIMIT 1 BY charger, transaction LIMIT ${runningMax}`,
    { ...params, until: dateTime(query.to) },
  );
  if (rows.length === 0) return [];
  const started = rows.map((r) => metered(r, null));
  const ended = new Map((await endedSessions(select, started)).map(({ session }) => [keyText(session), session]));
  const sessions = started.map((session) => ended.get(keyText(session)) ?? session);
  const readings = await readingsOf(select, sessions, 0);
  const sums = new Map<number, number>();
  for (const session of sessions) {
    for (const { at, energyWh } of quartersOf(session, readings.get(keyText(session))?.readings ?? []))
      if (at >= quarterOf(query.from) && at < query.to && energyWh !== 0) sums.set(at, (sums.get(at) ?? 0) + energyWh);
  }
  return [...sums].filter(([at]) => at >= query.from).map(([at, energyWh]) => ({ at, energyWh }));
}
