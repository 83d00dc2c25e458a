/** What played days came to, from the history's views. */
import type { ClickHouseClient } from '@clickhouse/client';

export interface DaysReport {
  /** What the simulated chargers counted, and how long it took. */
  played: { sessions: number; energyWh: number; untilAt: number; wallMs: number };
  /** What the history holds: one row per session, and where its energy differs by more than 1 Wh from its registers. */
  sessions: { ended: number; energyWh: number; doubled: number; unlikeRegisters: number };
  stations: StationDays[];
  /** Sum of all legs that were ever posted, per ledger: 0. */
  ledgers: { ledger: string; legs: number; sum: number }[];
  zone: string;
}

/** One station from the first plug-in to the end of the last charge. Minutes are of mean loads over 12 s. */
export interface StationDays {
  station: string;
  capacityW: number;
  fromAt: number;
  untilAt: number;
  peakW: number;
  peakBp: number;
  /** The first slot of 12 s with the peak, unix ms of its start. */
  peakAt: number;
  /** Up to 80 %, 100 %, 120 %, and above. */
  minutes: { normal: number; double: number; triple: number; capped: number };
}

/** A price shows the load of the slot before it. */
const slotMs = 12_000;

const stationsQuery = `
WITH days AS (
  SELECT station, min(started_at) AS first, max(ended_at) AS last FROM gridtick.sessions GROUP BY station
), loads AS (
  SELECT station, produced_at - INTERVAL ${slotMs} MILLISECOND AS at, load_w, capacity_w, utilisation_bp FROM gridtick.prices
), charged AS (
  SELECT loads.station AS station, first, max(at) AS until FROM loads INNER JOIN days ON loads.station = days.station
  WHERE load_w > 0 GROUP BY station, first
)
SELECT loads.station AS station,
  max(capacity_w) AS capacityW,
  toUnixTimestamp64Milli(any(first)) AS fromAt,
  toUnixTimestamp64Milli(any(until)) + ${slotMs} AS untilAt,
  max(load_w) AS peakW,
  max(utilisation_bp) AS peakBp,
  toUnixTimestamp64Milli(argMax(at, (load_w, -toUnixTimestamp64Milli(at)))) AS peakAt,
  countIf(utilisation_bp <= 8000) / 5 AS normal,
  countIf(utilisation_bp > 8000 AND utilisation_bp <= 10000) / 5 AS double,
  countIf(utilisation_bp > 10000 AND utilisation_bp <= 12000) / 5 AS triple,
  countIf(utilisation_bp > 12000) / 5 AS capped
FROM loads INNER JOIN charged ON loads.station = charged.station
WHERE at >= first AND at <= until
GROUP BY loads.station ORDER BY station`;

const sessionsQuery = `
SELECT count() AS ended, sum(energy_wh) AS energyWh,
  (SELECT count() - uniqExact(charger, transaction, version) FROM gridtick.sessions_log FINAL) AS doubled,
  countIf(abs(energy_wh - (meter_stop_wh - meter_start_wh)) > 1) AS unlikeRegisters
FROM gridtick.sessions`;

const ledgersQuery = `
SELECT ledger, count() AS legs, sum(amount) AS sum FROM gridtick.ledger_entries GROUP BY ledger ORDER BY ledger`;

type Row = Record<string, string | number>;
type StationRow = Record<keyof Omit<StationDays, 'minutes'> | keyof StationDays['minutes'], string | number>;

export interface Played {
  at: number;
  sessions: number;
  energyWh: number;
  wallMs: number;
  zone: string;
}

export async function daysReport(client: ClickHouseClient, played: Played): Promise<DaysReport> {
  const read = async <T = Row>(query: string) => (await client.query({ query, format: 'JSONEachRow' })).json<T>();
  const [stations, [sessions], ledgers] = await Promise.all([
    read<StationRow>(stationsQuery),
    read(sessionsQuery),
    read(ledgersQuery),
  ]);
  const { at, zone, wallMs } = played;
  const number = (row: Row | undefined, name: string) => Number(row?.[name] ?? 0);
  return {
    played: { sessions: played.sessions, energyWh: played.energyWh, untilAt: at, wallMs },
    sessions: {
      ended: number(sessions, 'ended'),
      energyWh: number(sessions, 'energyWh'),
      doubled: number(sessions, 'doubled'),
      unlikeRegisters: number(sessions, 'unlikeRegisters'),
    },
    stations: stations.map(({ station, normal, double, triple, capped, ...row }) => ({
      station: String(station),
      capacityW: Number(row.capacityW),
      fromAt: Number(row.fromAt),
      untilAt: Number(row.untilAt),
      peakW: Number(row.peakW),
      peakBp: Number(row.peakBp),
      peakAt: Number(row.peakAt),
      minutes: { normal: Number(normal), double: Number(double), triple: Number(triple), capped: Number(capped) },
    })),
    ledgers: ledgers.map((row) => ({
      ledger: String(row.ledger),
      legs: Number(row.legs),
      sum: Number(row.sum),
    })),
    zone,
  };
}

const kWh = (wh: number) => `${(wh / 1_000).toLocaleString('en', { minimumFractionDigits: 2 })} kWh`;
const percent = (bp: number) => `${(bp / 100).toFixed(1)} %`;

/** The report as the screen shows it. */
export function reportLines({ played, sessions, stations, ledgers, zone }: DaysReport): string[] {
  const local = (at: number) =>
    new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(at);
  const minutes = (value: number) => Math.round(value).toLocaleString('en');
  const line = '─'.repeat(78);
  return [
    line,
    `  played in ${(played.wallMs / 1_000).toFixed(0)} s, up to ${local(played.untilAt)} ${zone}`,
    `  sessions     ${sessions.ended} ended, ${kWh(sessions.energyWh)}; ` +
      `the chargers counted ${played.sessions}, ${kWh(played.energyWh)}`,
    `               ${sessions.doubled} twice, ${sessions.unlikeRegisters} unlike their registers by more than 1 Wh`,
    ...stations.flatMap((s) => [
      `  ${s.station.padEnd(12)} peak ${(s.peakW / 1_000).toFixed(1)} kW = ${percent(s.peakBp)} of ` +
        `${(s.capacityW / 1_000).toFixed(0)} kW at ${local(s.peakAt)}`,
      `               minutes up to 80 %: ${minutes(s.minutes.normal)}, to 100 %: ${minutes(s.minutes.double)}, ` +
        `to 120 %: ${minutes(s.minutes.triple)}, above: ${minutes(s.minutes.capped)}`,
    ]),
    ...ledgers.map(
      ({ ledger, legs, sum }) => `  ledger ${ledger.padEnd(5)} ${legs.toLocaleString('en')} legs, sum ${sum}`,
    ),
    line,
  ];
}
