/**
 * Loads of every slot, starts of sessions, energy per session and quarter of an hour, and what went over the chargers'
 * sockets. `consumption_log` is computed from the tables above it and written anew when they change: the highest version
 * of a row counts. `ocpp_messages_log` is a trace, not a fact; its rows are known by the gateway process that wrote them.
 */
import { decimal, engine, nullableDecimal, place } from './parts.ts';

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.loads_log (
  site LowCardinality(String),
  node LowCardinality(String) COMMENT 'a site or a station',
  slot UInt32 COMMENT 'the slot of 12 s that was measured',
  at DateTime64(3, 'UTC') COMMENT 'start of the slot',
  load_w Int64 COMMENT 'mean of the slot',
  capacity_w Int64,
  utilisation_bp Int64 COMMENT '10,000 = 100 %, rounded up',
  stale Bool COMMENT 'a part is assumed, because a meter fell silent',${place}
)${engine('node, at', 'at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.session_starts_log (
  site LowCardinality(String),
  station LowCardinality(String),
  charger LowCardinality(String),
  connector UInt16,
  transaction Int64,
  tag String,
  started_at DateTime64(3, 'UTC') COMMENT 'time of the charger',
  received_at DateTime64(3, 'UTC') COMMENT 'time of the log',
  meter_start_wh Int64,
  flags Array(LowCardinality(String)),${place}
)${engine('charger, transaction', 'received_at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.consumption_log (
  site LowCardinality(String),
  station LowCardinality(String),
  charger LowCardinality(String),
  connector UInt16,
  transaction Int64,
  at DateTime('UTC') COMMENT 'start of the quarter of an hour',
  energy_wh Int64 COMMENT 'the quarters of a session sum to its energy',
  version UInt64 COMMENT 'journal sequence of the newest fact it is made of',
  ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(at)
ORDER BY (charger, at, transaction)
TTL toDateTime(ingested_at, 'UTC') + INTERVAL 10 YEAR`,

  `CREATE TABLE IF NOT EXISTS gridtick.ocpp_messages_log (
  charger LowCardinality(String),
  at DateTime64(3, 'UTC') COMMENT 'time of the log at the gateway',
  direction LowCardinality(String) COMMENT 'in = from the charger, out = to it',
  type LowCardinality(String) COMMENT 'call, result, error; other = no frame of OCPP',
  action LowCardinality(String) COMMENT 'of an answer: of the call it answers; empty = unknown',
  message_id String,
  payload String COMMENT 'JSON text; keys and passwords blanked, tags masked' CODEC(ZSTD(3)),
  connection_seq UInt32 COMMENT '0 = before the connection was granted',
  latency_ms Nullable(UInt32) COMMENT 'of an answer: since its call, by the machine''s clock',
  gateway LowCardinality(String) COMMENT 'the process that wrote it',
  sequence UInt64 COMMENT 'batch of that process',
  \`index\` UInt32 COMMENT 'within the batch',
  ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (charger, at, gateway, sequence, \`index\`)
TTL toDateTime(ingested_at, 'UTC') + INTERVAL 90 DAY`,

  `CREATE TABLE IF NOT EXISTS gridtick.reader_positions (
  reader LowCardinality(String),
  partition UInt16,
  sequence UInt64 COMMENT 'everything up to this sequence is in the history',
  written_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(written_at) ORDER BY (reader, partition)`,

  // Which sessions got late samples while nobody looked is asked by the journal's sequence.
  `ALTER TABLE gridtick.meter_values_log ADD INDEX IF NOT EXISTS by_sequence sequence TYPE minmax GRANULARITY 4`,

  `CREATE VIEW IF NOT EXISTS gridtick.loads AS SELECT
  site, node, slot, at, load_w, capacity_w, utilisation_bp, stale,
  ${decimal('load_w', 3)} AS load_kw,
  ${decimal('capacity_w', 3)} AS capacity_kw,
  ${decimal('utilisation_bp', 2)} AS utilisation_percent,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.loads_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.session_starts AS SELECT
  site, station, charger, connector, transaction, tag, started_at, received_at, meter_start_wh,
  ${nullableDecimal('meter_start_wh', 3)} AS meter_start_kwh,
  flags, partition, sequence, \`index\`, ingested_at
FROM gridtick.session_starts_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.consumption AS SELECT
  site, station, charger, connector, transaction, at, energy_wh,
  ${decimal('energy_wh', 3)} AS energy_kwh,
  version, ingested_at
FROM gridtick.consumption_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.ocpp_messages AS SELECT
  charger, at, direction, type, action, message_id, payload, connection_seq, latency_ms, gateway, sequence, \`index\`,
  ingested_at
FROM gridtick.ocpp_messages_log FINAL`,
];
