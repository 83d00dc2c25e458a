/**
 * Orders, postings, batteries and what could not be applied; built like the first tables. A customer's rows lie together
 * in the order in which they came about. Battery samples, one per customer and 5 s, leave after 90 days.
 */
import { decimal, engine, place } from './parts.ts';

/** Money may be any safe integer, which has more digits than the 18 of the smaller decimal leave before the point. */
const sek = (column: string) => `CAST(${column}, 'Decimal(38, 5)') / 100000`;

/** An amount of a ledger as a decimal, null in the rows of the other ledger. */
const ofLedger = (ledger: string, column: string, scale: number) =>
  `if(ledger = '${ledger}', CAST(${column}, 'Nullable(Decimal(38, ${scale}))') / ${10 ** scale}, NULL)`;

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.trades_log (
  customer String,
  \`order\` String,
  side LowCardinality(String) COMMENT 'buy, sell',
  state LowCardinality(String) COMMENT 'held, cancelled, expired, delivering, completed, partial, void',
  at DateTime64(3, 'UTC') COMMENT 'time of the log',
  site LowCardinality(String),
  station LowCardinality(String),
  slot UInt32 COMMENT 'the slot of 12 s whose price is held',
  energy_wh Int64 COMMENT 'ordered',
  price_e5_sek_per_kwh Int64 COMMENT 'all components included',
  amount_e5_sek Int64 COMMENT 'all of the order at that price',
  delivered_wh Int64,
  settled_e5_sek Int64 COMMENT 'posted for what was delivered',
  expires_at DateTime64(3, 'UTC') COMMENT 'the last moment at which a held order can be committed',${place}
)${engine('customer, at', 'at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.ledger_entries_log (
  customer String COMMENT 'empty = system accounts only',
  batch String COMMENT 'the legs of a batch sum to 0 per ledger',
  kind LowCardinality(String),
  cause String COMMENT 'the order, session or command it was made for',
  at DateTime64(3, 'UTC') COMMENT 'time of the log',
  ledger LowCardinality(String) COMMENT 'SEK, Wh',
  account String COMMENT 'customer:<id>:available, customer:<id>:pending, or a system account of the partition',
  amount Int64 COMMENT 'signed; 10⁻⁵ SEK or Wh',
  balance Nullable(Int64) COMMENT 'after the batch; NULL for system accounts',${place}
)${engine('customer, at', 'at')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.battery_states_log (
  customer String,
  slot UInt32 COMMENT 'time / 5 s',
  at DateTime64(3, 'UTC'),
  energy_wh Int64,
  capacity_wh Int64,
  level_bp Int64 COMMENT '10,000 = 100 %, rounded down',
  power_w Int64 COMMENT '+ charging, - discharging',${place}
)${engine('customer, at', 'at', '90 DAY')}`,

  `CREATE TABLE IF NOT EXISTS gridtick.audit_events_log (
  kind LowCardinality(String),
  at DateTime64(3, 'UTC') COMMENT 'time of the log',
  entity String COMMENT 'kind/id',
  command LowCardinality(String),
  reason String,
  correlation Nullable(String),
  detail String COMMENT 'JSON',${place}
)${engine('kind, at', 'at')}`,

  `CREATE VIEW IF NOT EXISTS gridtick.trades AS SELECT
  customer, \`order\`, side, state, at, site, station, slot, energy_wh, price_e5_sek_per_kwh, amount_e5_sek,
  delivered_wh, settled_e5_sek, expires_at,
  ${decimal('energy_wh', 3)} AS energy_kwh,
  ${sek('price_e5_sek_per_kwh')} AS price_sek_per_kwh,
  ${sek('amount_e5_sek')} AS amount_sek,
  ${decimal('delivered_wh', 3)} AS delivered_kwh,
  ${sek('settled_e5_sek')} AS settled_sek,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.trades_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.ledger_entries AS SELECT
  customer, batch, kind, cause, at, ledger, account, amount, balance,
  ${ofLedger('SEK', 'amount', 5)} AS amount_sek,
  ${ofLedger('Wh', 'amount', 3)} AS amount_kwh,
  ${ofLedger('SEK', 'balance', 5)} AS balance_sek,
  ${ofLedger('Wh', 'balance', 3)} AS balance_kwh,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.ledger_entries_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.battery_states AS SELECT
  customer, slot, at, energy_wh, capacity_wh, level_bp, power_w,
  ${decimal('energy_wh', 3)} AS energy_kwh,
  ${decimal('capacity_wh', 3)} AS capacity_kwh,
  ${decimal('level_bp', 2)} AS level_percent,
  ${decimal('power_w', 3)} AS power_kw,
  partition, sequence, \`index\`, ingested_at
FROM gridtick.battery_states_log FINAL`,

  `CREATE VIEW IF NOT EXISTS gridtick.audit_events AS SELECT
  kind, at, entity, command, reason, correlation, detail, partition, sequence, \`index\`, ingested_at
FROM gridtick.audit_events_log FINAL`,
];
