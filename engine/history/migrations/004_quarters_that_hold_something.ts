/** A quarter of an hour that a later making of a session emptied stays in the table with 0 Wh; nobody needs to see it. */
import { decimal } from './parts.ts';

export const statements = [
  `CREATE OR REPLACE VIEW gridtick.consumption AS SELECT
  site, station, charger, connector, transaction, at, energy_wh,
  ${decimal('energy_wh', 3)} AS energy_kwh,
  version, ingested_at
FROM gridtick.consumption_log FINAL
WHERE energy_wh != 0`,
];
