/** Rows that their table would not take, as text, so that all others could go on. Not for analysts: they hold everything. */
import { engine, place } from './parts.ts';

export const statements = [
  `CREATE TABLE IF NOT EXISTS gridtick.refused_rows_log (
  \`table\` LowCardinality(String),
  reason String COMMENT 'what ClickHouse said',
  row String COMMENT 'JSON, columns by name',${place}
)${engine('`table`, cityHash64(row)', 'ingested_at')}`,

  `CREATE VIEW IF NOT EXISTS gridtick.refused_rows AS
SELECT partition, sequence, \`index\`, \`table\`, reason, row, ingested_at FROM gridtick.refused_rows_log FINAL`,
];
