/** `gridtick export`: rows of the history a day at a time, or all entities of a kind, in the memory of a piece. */
import type { ClickHouseClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { domain } from '#actors/mod';
import { blanked } from '../blanked.ts';
import { ConfigError, type Config } from '../config/config.ts';
import { openHistory } from '../history/mod.ts';
import { definitionsOf } from '../projections/entities.ts';
import { storedEntities } from '../projections/redis_projection.ts';
import { withRunning } from '../supervisor/log_access.ts';
import { argumentsOf, type Screen } from './command.ts';
import { Progress } from './progress.ts';

export const exportUsage = `gridtick export <view | entity kind> [--from T] [--to T] [--format jsonl|csv]
  a view of the history with from ≤ its time < to (2026-01-31T12:00:00Z or unix ms), or all entities of a kind as they are
  --format  jsonl (default), a JSON object per line; csv, with a line of names`;

const dayMs = 86_400_000;
/** What a row's time is called, in this order of preference. */
const timeColumns = ['produced_at', 'sampled_at', 'at', 'received_at', 'started_at'];

interface Asked {
  from: number;
  to: number;
  format: 'jsonl' | 'csv';
}

export async function exportCommand(config: Config, args: readonly string[], screen: Screen): Promise<void> {
  const options = {
    from: { type: 'string' },
    to: { type: 'string' },
    format: { type: 'string', default: 'jsonl' },
    json: { type: 'boolean' },
  } as const;
  const { values, words } = argumentsOf(args, options, exportUsage);
  const [name] = words;
  const { format } = values;
  if (name === undefined || words.length > 1 || (format !== 'jsonl' && format !== 'csv'))
    throw new ConfigError(exportUsage);
  const asked: Asked = { from: timeNamed(values.from, -Infinity), to: timeNamed(values.to, Infinity), format };
  await withRunning(config, 'export', async ({ redisUrl, clickhouse }) => {
    const history = await openHistory({ ...clickhouse, timeoutMs: 600_000 });
    try {
      const views = await viewsOf(history.client);
      if (views.has(name)) return await exportView(history.client, name, views.get(name)!, asked, screen);
    } finally {
      await history.close();
    }
    const records = new Set(domain.records.map(({ kind }) => kind));
    const kinds = [...definitionsOf(domain).keys()].filter((kind) => !records.has(kind));
    if (!kinds.includes(name))
      throw new ConfigError(`there is no view and no kind of entity '${name}'; kinds: ${kinds.join(', ')}`);
    if (values.from !== undefined || values.to !== undefined)
      throw new ConfigError(
        `--from and --to are of views; ${name} is exported as it is: gridtick inspect shows the past`,
      );
    await exportEntities(redisUrl, name, format, screen);
  });
}

/** View → the column that is its time; null: it has none. */
async function viewsOf(client: ClickHouseClient): Promise<Map<string, string | null>> {
  const found = await client.query({
    query: `SELECT t.name AS view, groupArray(c.name) AS columns FROM system.tables AS t
LEFT JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
WHERE t.database = 'gridtick' AND t.engine = 'View' GROUP BY t.name ORDER BY view`,
    format: 'JSONEachRow',
  });
  const rows = await found.json<{ view: string; columns: string[] }>();
  return new Map(rows.map(({ view, columns }) => [view, timeColumns.find((name) => columns.includes(name)) ?? null]));
}

async function exportView(client: ClickHouseClient, view: string, column: string | null, asked: Asked, screen: Screen) {
  const isBounded = asked.from > -Infinity || asked.to < Infinity;
  if (column === null) {
    if (isBounded) throw new ConfigError(`${view} has no time: leave --from and --to out`);
    return rowsOf(client, `SELECT * FROM gridtick.${view}`, {}, asked.format, true, screen);
  }
  const edges = await client.query({
    query: `SELECT count() AS rows, toUnixTimestamp64Milli(min(${view}.${column})) AS first,
  toUnixTimestamp64Milli(max(${view}.${column})) AS last FROM gridtick.${view}`,
    format: 'JSONEachRow',
  });
  const [edge] = await edges.json<{ rows: string; first: string; last: string }>();
  if (!edge || Number(edge.rows) === 0) return;
  const from = Math.max(asked.from, Number(edge.first));
  const to = Math.min(asked.to, Number(edge.last) + 1);
  const progress = new Progress(screen.tell);
  let isFirst = true;
  // A day at a time: what the store must sort for one answer stays as small as a day.
  for (let at = from; at < to; at = nextDay(at)) {
    const end = Math.min(to, nextDay(at));
    const query = `SELECT * FROM gridtick.${view} WHERE toUnixTimestamp64Milli(${view}.${column}) >= {from:Int64}
  AND toUnixTimestamp64Milli(${view}.${column}) < {to:Int64} ORDER BY ${view}.${column}`;
    await rowsOf(client, query, { from: at, to: end }, asked.format, isFirst, screen);
    isFirst = false;
    progress.at(end - from, to - from, `${view} to ${new Date(end).toISOString()}`);
  }
}

const nextDay = (at: number) => (Math.floor(at / dayMs) + 1) * dayMs;

async function rowsOf(
  client: ClickHouseClient,
  query: string,
  params: Record<string, number>,
  format: Asked['format'],
  withNames: boolean,
  { write }: Screen,
) {
  const as = format === 'jsonl' ? 'JSONEachRow' : withNames ? 'CSVWithNames' : 'CSV';
  const { stream } = await client.exec({ query: `${query} FORMAT ${as}`, query_params: params });
  for await (const piece of stream) await write(piece as Uint8Array);
}

async function exportEntities(redisUrl: string, kind: string, format: Asked['format'], { write }: Screen) {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  const names = ['kind', 'id', 'key', 'partition', 'sequence', 'value', 'state'] as const;
  try {
    if (format === 'csv') await write(`${names.join(',')}\n`);
    for await (const { context, ...entity } of storedEntities(redis, definitionsOf(domain), kind)) {
      const row = { ...entity, state: blanked(context) };
      const line = format === 'jsonl' ? JSON.stringify(row) : names.map((name) => csvCell(row[name])).join(',');
      await write(`${line}\n`);
    }
  } finally {
    redis.disconnect();
  }
}

const csvCell = (value: unknown): string =>
  value === null
    ? ''
    : typeof value === 'number'
      ? String(value)
      : `"${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;

function timeNamed(text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  const time = /^\d{12,14}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(time)) throw new ConfigError(`'${text}' is no time: 2026-01-31T12:00:00Z, or unix ms`);
  return time;
}
