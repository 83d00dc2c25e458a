/**
 * Base tables hold one row per fact, named `<thing>_log`; views named after the thing are what people and programs read.
 * - Repeated rows are the same row: the order of each table ends in the row's place in the journal, and views read FINAL.
 * - Months are those of the log's clock, not of a charger's: one batch then touches one or two of them, whatever times
 *   chargers send.
 * - Rows leave ten years after they came in; never by event time, or a replayed old year would vanish.
 */
import { decimal, engine, nullableDecimal, place } from './parts.ts';

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.prices_log (
  station LowCardinality(String),
  slot UInt32 COMMENT 'produced_at / 12 s',
  produced_at DateTime64(3, 'UTC') COMMENT 'start of the slot',
  valid_until DateTime64(3, 'UTC'),
  load_w Int64 COMMENT 'mean of the preceding slot',
  capacity_w Int64,
  utilisation_bp Int64 COMMENT '10,000 = 100 %, rounded up',
  tier LowCardinality(String),
  import_open Bool,
  price_e5_sek_per_kwh Int64,${place}
)${engine('station, slot', 'produced_at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.meter_values_log (
  site LowCardinality(String),
  station LowCardinality(String),
  charger LowCardinality(String),
  connector UInt16 COMMENT '0 = main meter of the charger',
  transaction Nullable(Int64),
  sampled_at DateTime64(3, 'UTC') COMMENT 'time of the charger',
  received_at DateTime64(3, 'UTC') COMMENT 'time of the log',
  measurand LowCardinality(String),
  phase LowCardinality(String) COMMENT 'empty = total',
  location LowCardinality(String),
  context LowCardinality(String),
  unit LowCardinality(String),
  value_raw String COMMENT 'decimal text as sent',
  power_w Nullable(Int64),
  energy_wh Nullable(Int64),
  current_ma Nullable(Int64),${place}
)${engine('charger, connector, sampled_at', 'received_at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.sessions_log (
  site LowCardinality(String),
  station LowCardinality(String),
  charger LowCardinality(String),
  connector UInt16,
  transaction Int64,
  tag String,
  started_at DateTime64(3, 'UTC') COMMENT 'time of the charger',
  ended_at DateTime64(3, 'UTC') COMMENT 'time of the charger',
  received_at DateTime64(3, 'UTC') COMMENT 'time of the log at which the end was applied',
  meter_start_wh Int64,
  meter_stop_wh Int64,
  energy_wh Nullable(Int64) COMMENT 'NULL: the start is unknown',
  reason LowCardinality(String),
  flags Array(LowCardinality(String)),
  version UInt32 COMMENT '1 at the end, +1 at each re-settlement',${place}
)${engine('charger, transaction, version', 'received_at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.charger_events_log (
  charger LowCardinality(String),
  connector Nullable(UInt16),
  kind LowCardinality(String),
  at DateTime64(3, 'UTC') COMMENT 'time of the charger, or of the log where it has none',
  received_at DateTime64(3, 'UTC') COMMENT 'time of the log',
  detail String COMMENT 'JSON',${place}
)${engine('charger, at', 'received_at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.sink_positions (
  partition UInt16,
  sequence UInt64 COMMENT 'every row up to this journal sequence is stored; only grows',
  written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(sequence) ORDER BY partition`,

  `CREATE VIEW IF NOT EXISTS gridtick.prices AS SELECT
  station, slot, produced_at, valid_until, load_w, capacity_w, utilisation_bp, tier, import_open, price_e5_sek_per_kwh,
  ${decimal('load_w', 3)} AS load_kw,
  ${decimal('capacity_w', 3)} AS capacity_kw,
  ${decimal('utilisation_bp', 2)} AS utilisation_percent,
  ${decimal('price_e5_sek_per_kwh', 5)} AS price_sek_per_kwh,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.prices_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.meter_values AS SELECT
  site, station, charger, connector, transaction, sampled_at, received_at, measurand, phase, location, context, unit,
  value_raw, power_w, energy_wh, current_ma,
  ${nullableDecimal('power_w', 3)} AS power_kw,
  ${nullableDecimal('energy_wh', 3)} AS energy_kwh,
  ${nullableDecimal('current_ma', 3)} AS current_a,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.meter_values_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.sessions AS SELECT
  site, station, charger, connector, transaction, tag, started_at, ended_at, received_at,
  meter_start_wh, meter_stop_wh, energy_wh,
  ${nullableDecimal('energy_wh', 3)} AS energy_kwh,
  reason, flags, version, partition, sequence, \`index\`, ingested_at
FROM gridtick.sessions_log FINAL
ORDER BY version DESC, sequence DESC, \`index\` DESC
LIMIT 1 BY charger, transaction`,

  `CREATE VIEW IF NOT EXISTS gridtick.charger_events AS SELECT
  charger, connector, kind, at, received_at, detail, partition, sequence, \`index\`, ingested_at
FROM gridtick.charger_events_log FINAL`,
];
