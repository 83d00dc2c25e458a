/**
 * From a correlation id to the rows that came of it: one row per public event, naming the view and the indexes of its rows.
 * It is a help in finding, so it is kept as long as the message log, not as long as the books.
 */
import { engine, place } from './parts.ts';

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.correlations_log (
  correlation String COMMENT 'of the request or message at the door',
  command_id String COMMENT 'of its sender; empty where there is none',
  at DateTime64(3, 'UTC') COMMENT 'time of the log',
  rows_of LowCardinality(String) COMMENT 'the view that has the rows',
  index_from UInt32,
  index_to UInt32,${place},
  INDEX by_command command_id TYPE bloom_filter(0.01) GRANULARITY 4
)${engine('correlation', 'at', '90 DAY')}`,

  `CREATE VIEW IF NOT EXISTS gridtick.correlations AS SELECT
  correlation, command_id, at, rows_of, index_from, index_to, partition, sequence, \`index\`, ingested_at
FROM gridtick.correlations_log FINAL`,
];
