import type { ClickHouseClient } from '@clickhouse/client';
import { HistoryRefused } from './errors.ts';
import { hashOf, migrations as all, type Migration } from './migrations/mod.ts';

/**
 * Applies what is missing, in order, and records it. Statements say IF NOT EXISTS, so that one which was interrupted, or
 * which two processes run at once, does no harm; the same SQL serves the embedded engine and a server.
 * @returns numbers of the migrations applied now
 * @throws HistoryRefused when a recorded migration differs, or the database is newer than this build
 */
export async function migrate(client: ClickHouseClient, migrations: readonly Migration[] = all): Promise<number[]> {
  await client.command({ query: 'CREATE DATABASE IF NOT EXISTS gridtick' });
  await client.command({
    query: `CREATE TABLE IF NOT EXISTS gridtick.migrations (
  number UInt32, name String, hash String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY number`,
  });
  const query = 'SELECT number, name, hash FROM gridtick.migrations FINAL ORDER BY number';
  const result = await client.query({ query, format: 'JSONEachRow' });
  const recorded = new Map(
    (await result.json<{ number: number; name: string; hash: string }>()).map((r) => [r.number, r]),
  );
  const known = new Set(migrations.map(({ number }) => number));
  for (const { number, name } of recorded.values()) {
    if (!known.has(number)) {
      throw new HistoryRefused(
        `the history has migration ${number} (${name}), which this build does not know: use a newer build`,
      );
    }
  }
  const applied: number[] = [];
  for (const migration of migrations) {
    const { number, name } = migration;
    const hash = hashOf(migration);
    const before = recorded.get(number);
    if (before && before.hash !== hash) {
      throw new HistoryRefused(
        `migration ${number} (${name}) is not the one that was applied: released migrations never change`,
      );
    }
    if (before) continue;
    for (const statement of migration.statements) await client.command({ query: statement });
    await client.insert({
      table: 'gridtick.migrations',
      values: [{ number, name, hash }],
      columns: ['number', 'name', 'hash'],
      format: 'JSONEachRow',
      clickhouse_settings: { async_insert: 0 },
    });
    applied.push(number);
  }
  return applied;
}
