/** Trading commands and what the clock and prices did to orders: what a dump is written from, with the postings. */
import { engine, place } from './parts.ts';

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.trade_facts_log (
  customer String,
  at DateTime64(3, 'UTC') COMMENT 'time of the log',
  what LowCardinality(String) COMMENT 'command, system',
  command LowCardinality(String) COMMENT 'ADD, BUY, …',
  txn UInt64 COMMENT 'transaction number of its sender',
  instrument LowCardinality(String) COMMENT 'symbol:<SYM>, energy:<station>, or empty',
  code LowCardinality(String) COMMENT 'why it was refused; empty where it was not',
  batch String COMMENT 'of its postings in ledger_entries; empty where there are none',
  fact String COMMENT 'all of it, JSON',${place}
)${engine('customer, at', 'at')}`,

  `CREATE VIEW IF NOT EXISTS gridtick.trade_facts AS SELECT
  customer, at, what, command, txn, instrument, code, batch, fact, partition, sequence, \`index\`, ingested_at
FROM gridtick.trade_facts_log FINAL`,
];
