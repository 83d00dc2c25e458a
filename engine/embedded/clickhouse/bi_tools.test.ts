/** The questions that BI tools, notebooks and drivers ask before anybody has written a query. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createClient, ClickHouseLogLevel } from '@clickhouse/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHistory, type HistoryStore } from '../../history/mod.ts';
import { analystViews } from './analyst_guard.ts';
import { asSelect, withCatalogue } from './analyst_catalogue.ts';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

let server: TestClickHouse;
let history: HistoryStore;

beforeAll(async () => {
  const { TZ } = process.env;
  // A machine that is not set to UTC.
  process.env['TZ'] = 'Asia/Kathmandu';
  server = await startTestClickHouse();
  if (TZ === undefined) delete process.env['TZ'];
  else process.env['TZ'] = TZ;
  history = await openHistory(server);
  await history.client.command({
    query: 'CREATE TABLE gridtick.secrets (word String) ENGINE = MergeTree ORDER BY word',
  });
});
afterAll(async () => {
  await history?.close();
  await server?.stop();
});

const answer = async (query: string, params: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}/?${new URLSearchParams(params).toString()}`, {
    method: 'POST',
    body: query,
    headers: { 'x-clickhouse-user': 'analyst', 'x-clickhouse-key': server.analystPassword },
  });
  return [response.status, await response.text()] as const;
};
const lines = async (query: string, params: Record<string, string> = {}) => {
  const [status, text] = await answer(query, params);
  expect([query, status, status === 200 ? '' : text]).toEqual([query, 200, '']);
  return text.split('\n').filter((line) => line !== '');
};
const views = [...analystViews].sort();

test('who and what the server is', async () => {
  expect(await lines('SELECT 1 FORMAT TabSeparated')).toEqual(['1']);
  expect(await lines('SELECT 1 FORMAT JSONCompact')).toContain('\t"rows": 1,');
  const [line] = await lines('SELECT version(), timezone(), currentDatabase()');
  expect(line).toMatch(/^\d+\.\d+\.\d+\S*\tUTC\tgridtick$/);
  // As a JDBC driver asks, in binary.
  const [status] = await answer(
    'select currentUser() user, timezone() timezone, version() version, ' +
      "toInt8(ifnull((select value from system.settings where name='readonly'),'0')) as readonly FORMAT RowBinaryWithNamesAndTypes",
  );
  expect(status).toBe(200);
  expect(await lines("SELECT value, readonly FROM system.settings WHERE name = 'max_execution_time'")).toEqual([
    '20\t1',
  ]);
  expect(
    (await lines('SELECT name, value, readonly AS readonly FROM system.settings LIMIT 10000')).length,
  ).toBeGreaterThan(500);
  expect(await lines('SELECT dummy FROM system.one')).toEqual(['0']);
});

test('databases and tables: the views, and nothing else there is', async () => {
  expect(await lines('SELECT name FROM system.databases')).toEqual(['gridtick']);
  expect(await lines('SHOW DATABASES')).toEqual(['gridtick']);
  expect(await lines("SHOW DATABASES LIKE 'x%'")).toEqual([]);
  expect(await lines('SHOW TABLES')).toEqual(views);
  expect(await lines('SHOW TABLES FROM gridtick FORMAT TSV')).toEqual(views);
  expect(await lines("SHOW TABLES IN gridtick LIKE '%session%'")).toEqual(['session_starts', 'sessions']);
  expect(await lines("SHOW FULL TABLES NOT LIKE '%s' LIMIT 1")).toEqual(['consumption']);
  expect(await lines('SHOW TABLES FROM system')).toEqual([]);
  expect(await lines("SELECT name, engine FROM system.tables WHERE database = 'gridtick' ORDER BY name")).toEqual(
    views.map((name) => `${name}\tView`),
  );
  expect(await lines('SELECT DISTINCT database FROM `system`.`tables` AS t WHERE t.is_temporary = 0')).toEqual([
    'gridtick',
  ]);
  expect(await lines("SELECT count() FROM system.tables WHERE name LIKE '%\\_log' OR name = 'secrets'")).toEqual(['0']);
});

test('how the views are made and where their files lie is not told', async () => {
  const hidden = 'create_table_query, as_select, engine_full, metadata_path, data_paths, dependencies_table';
  expect(await lines(`SELECT DISTINCT ${hidden} FROM system.tables`)).toEqual(['\t\t\t\t[]\t[]']);
  const everything = (await lines('SELECT * FROM system.tables, system.databases FORMAT JSONEachRow')).join('\n');
  expect(everything).not.toMatch(/secrets|_log|MergeTree|clickhouse\/|store\//);
});

test('columns, as system.columns and DESCRIBE tell them', async () => {
  const named = await lines("SELECT name, type FROM system.columns WHERE table = 'loads' ORDER BY position LIMIT 4");
  expect(named).toEqual([
    'site\tLowCardinality(String)',
    'node\tLowCardinality(String)',
    'slot\tUInt32',
    "at\tDateTime64(3, \\'UTC\\')",
  ]);
  expect(await lines("SELECT uniqExact(table) FROM system.columns WHERE database = 'gridtick'")).toEqual([
    String(views.length),
  ]);
  expect(await lines("SELECT count() FROM system.columns WHERE database != 'gridtick' OR table = 'secrets'")).toEqual([
    '0',
  ]);
  const [head, ...columns] = await lines('DESCRIBE TABLE gridtick.sessions FORMAT TSVWithNames');
  expect(head).toBe('name\ttype\tdefault_type\tdefault_expression\tcomment\tcodec_expression\tttl_expression');
  expect(columns[0]).toMatch(/^site\tLowCardinality\(String\)/);
  for (const view of views) expect((await lines(`DESC ${view}`)).length).toBeGreaterThan(5);
});

test('EXISTS', async () => {
  const cases = [
    ['EXISTS prices', 1],
    ['EXISTS TABLE gridtick.loads', 1],
    ['EXISTS VIEW gridtick.loads', 1],
    ['EXISTS DATABASE gridtick', 1],
    ['EXISTS gridtick.secrets', 0],
    ['EXISTS TABLE prices_log', 0],
    ['EXISTS DATABASE system', 0],
    ['EXISTS system.users', 0],
  ] as const;
  for (const [query, there] of cases) expect([query, await lines(query)]).toEqual([query, [String(there)]]);
});

test('the answer to a statement that is made into a SELECT has the format that was asked for', async () => {
  const [status, text] = await answer('SHOW TABLES LIKE {p:String}', {
    param_p: 'pri%',
    default_format: 'JSONEachRow',
  });
  // A pattern is part of the statement, not a value: the engine's parser takes no parameter there.
  expect([status, text]).toEqual([400, expect.stringContaining('(SYNTAX_ERROR)')]);
  expect(await lines("SHOW TABLES LIKE 'pri%'", { default_format: 'JSONEachRow' })).toEqual(['{"name":"prices"}']);
  expect(await lines('EXISTS prices FORMAT CSVWithNames')).toEqual(['"result"', '1']);
});

test('@clickhouse/client with its usual settings', async () => {
  const client = createClient({
    url: server.url,
    username: 'analyst',
    password: server.analystPassword,
    database: 'gridtick',
    compression: { response: true },
    clickhouse_settings: { wait_end_of_query: 1, output_format_json_quote_64bit_integers: 0 },
    log: { level: ClickHouseLogLevel.OFF },
  });
  expect((await client.ping({ select: true })).success).toBe(true);
  const found = await client.query({ query: 'SHOW TABLES', format: 'JSONEachRow' });
  expect((await found.json<{ name: string }>()).map(({ name }) => name)).toEqual(views);
  const counted = await client.query({
    query: 'SELECT count() AS n FROM prices WHERE station = {station:String}',
    query_params: { station: 'nord-1' },
    format: 'JSONEachRow',
  });
  expect(await counted.json()).toEqual([{ n: 0 }]);
  await expect(client.query({ query: 'SELECT * FROM secrets' })).rejects.toMatchObject({ code: '497' });
  await client.close();
});

test('curl, by GET and by POST', async () => {
  const curl = async (...args: string[]) =>
    (await promisify(execFile)('curl', ['-sS', '-u', `analyst:${server.analystPassword}`, ...args])).stdout;
  expect(await curl(`${server.url}/?query=SELECT+1+FORMAT+CSV`)).toBe('1\n');
  expect(await curl('--get', '--data-urlencode', 'query=SHOW TABLES FORMAT CSV', server.url)).toContain('"prices"\n');
  expect(await curl('--data-binary', 'EXISTS prices', `${server.url}/?default_format=JSONEachRow`)).toBe(
    '{"result":1}\n',
  );
});

test('a catalogue that is asked for inside of text stays text', () => {
  expect(withCatalogue("SELECT 'system.tables', `system.tables`, system.tables.name FROM system.tables AS t")).toBe(
    "SELECT 'system.tables', `system.tables`, catalogue.tables.name FROM catalogue.tables AS t",
  );
  expect(withCatalogue('SELECT x.system.tables FROM system.tables_log, my_system.tables, system.users')).toBe(
    'SELECT x.system.tables FROM system.tables_log, my_system.tables, system.users',
  );
  expect(asSelect("SHOW TABLES LIKE 'a' OR 1")).toBeUndefined();
  expect(asSelect("SHOW TABLES FROM x LIKE '\\' OR 1 = 1 --'")).toContain("name LIKE '\\' OR 1 = 1 --'");
  expect(asSelect('DESCRIBE TABLE a.b.c')).toBeUndefined();
});
