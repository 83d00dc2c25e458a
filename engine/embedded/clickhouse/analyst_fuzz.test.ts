/**
 * The forbidden in every clause: generated queries in which one harmless piece is replaced by one that reads a file, asks the
 * host, calls another server or names another table. The same query with a harmless piece must work, so that it is the
 * piece that is refused and not the query around it.
 */
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHistory, type HistoryStore } from '../../history/mod.ts';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

let server: TestClickHouse;
let history: HistoryStore;
let elsewhere: Server;
let calls = 0;
let port = 0;
const canary = 'canary-7f3a91';

beforeAll(async () => {
  server = await startTestClickHouse();
  history = await openHistory(server);
  elsewhere = createServer((_, response) => {
    calls++;
    response.end('1\n');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  port = (elsewhere.address() as AddressInfo).port;
  writeFileSync(join(server.dataDir, 'canary.txt'), canary);
  await history.client.command({
    query: 'CREATE TABLE gridtick.secrets (word String) ENGINE = MergeTree ORDER BY word',
  });
  await history.client.insert({ table: 'gridtick.secrets', values: [{ word: canary }], format: 'JSONEachRow' });
  await history.client.command({
    query: `INSERT INTO gridtick.prices_log (station, slot, produced_at, valid_until, load_w, capacity_w, utilisation_bp, tier,
      import_open, price_e5_sek_per_kwh, partition, sequence, index)
      SELECT 'nord-1', number, toDateTime64(number * 12, 3, 'UTC'), toDateTime64(number * 12 + 24, 3, 'UTC'), 88320, 138000, 6400,
      'normal', true, 100000, 1, number, 0 FROM numbers(100)`,
  });
}, 120_000);
afterAll(async () => {
  elsewhere?.close();
  await history?.close();
  await server?.stop();
});

async function answer(query: string): Promise<{ code: number; text: string }> {
  const response = await fetch(`${server.url}/?wait_end_of_query=1&max_execution_time=5`, {
    method: 'POST',
    body: query,
    headers: { 'x-clickhouse-user': 'analyst', 'x-clickhouse-key': server.analystPassword },
  });
  return { code: Number(response.headers.get('x-clickhouse-exception-code') ?? 0), text: await response.text() };
}

/** Clauses that take an expression of text. */
const clauses: ((e: string) => string)[] = [
  (e) => `SELECT ${e}`,
  (e) => `SELECT ${e} AS \`as it is\` FROM prices LIMIT 1`,
  (e) => `SELECT DISTINCT ${e} FROM prices`,
  (e) => `SELECT DISTINCT ON (${e}) slot FROM prices`,
  (e) => `SELECT station, * EXCEPT (station) REPLACE (${e} AS tier) FROM prices LIMIT 1`,
  (e) => `SELECT count(${e}), uniqExact(${e}) FROM prices`,
  (e) => `SELECT countIf(${e} = 'x') FROM prices`,
  (e) => `SELECT sum(load_w) FILTER (WHERE ${e} != '') FROM prices`,
  (e) => `SELECT argMax(slot, ${e}) FROM prices`,
  (e) => `WITH ${e} AS w SELECT w FROM prices LIMIT 1`,
  (e) => `WITH (SELECT ${e}) AS w SELECT w`,
  (e) => `WITH w AS (SELECT ${e} AS c) SELECT c FROM w`,
  (e) => `SELECT 1 FROM (SELECT ${e} AS c FROM prices) WHERE c != ''`,
  (e) => `SELECT slot FROM prices PREWHERE ${e} != 'x' LIMIT 1`,
  (e) => `SELECT slot FROM prices WHERE station = ${e}`,
  (e) => `SELECT slot FROM prices WHERE station IN (${e}, 'b')`,
  (e) => `SELECT slot FROM prices WHERE station IN (SELECT ${e})`,
  (e) => `SELECT slot FROM prices WHERE EXISTS (SELECT ${e})`,
  (e) => `SELECT slot FROM prices WHERE station LIKE concat(${e}, '%')`,
  (e) => `SELECT slot FROM prices WHERE slot BETWEEN 1 AND length(${e})`,
  (e) => `SELECT count() FROM prices GROUP BY ${e}`,
  (e) => `SELECT count() FROM prices GROUP BY ROLLUP(${e}, station)`,
  (e) => `SELECT count() FROM prices GROUP BY GROUPING SETS ((${e}), (station))`,
  (e) => `SELECT count() AS n FROM prices HAVING n > length(${e})`,
  (e) => `SELECT slot FROM prices ORDER BY ${e}, slot LIMIT 1`,
  (e) => `SELECT slot FROM prices ORDER BY slot LIMIT 1 BY ${e}`,
  (e) => `SELECT sum(slot) OVER (PARTITION BY ${e}) FROM prices LIMIT 1`,
  (e) => `SELECT sum(slot) OVER (ORDER BY ${e}) FROM prices LIMIT 1`,
  (e) => `SELECT sum(slot) OVER w FROM prices WINDOW w AS (PARTITION BY ${e}) LIMIT 1`,
  (e) => `SELECT slot FROM prices QUALIFY row_number() OVER (ORDER BY ${e}) = 1`,
  (e) => `SELECT c FROM prices ARRAY JOIN [${e}] AS c LIMIT 1`,
  (e) => `SELECT arrayJoin([${e}]) FROM prices LIMIT 1`,
  (e) => `SELECT 1 FROM prices AS a INNER JOIN sessions AS b ON a.station = b.station AND b.tag = ${e}`,
  (e) => `SELECT 1 UNION ALL SELECT length(${e})`,
  (e) => `SELECT '1' UNION DISTINCT SELECT ${e}`,
  (e) => `SELECT 'x' INTERSECT SELECT ${e}`,
  (e) => `SELECT 'x' EXCEPT SELECT ${e}`,
  (e) => `SELECT CASE WHEN ${e} = '' THEN 1 ELSE 2 END`,
  (e) => `SELECT CASE ${e} WHEN 'a' THEN 1 ELSE 2 END`,
  (e) => `SELECT if(1, 'a', ${e}), multiIf(0, ${e}, 'b')`,
  (e) => `SELECT arrayMap(x -> concat(x, ${e}), ['a'])`,
  (e) => `SELECT arrayFilter((x, y) -> y != ${e}, ['a'], ['b'])`,
  (e) => `SELECT tuple(1, (2, ${e})).2.2`,
  (e) => `SELECT map('k', ${e})['k']`,
  (e) => `SELECT [${e}][1], (${e})::String`,
  (e) => `SELECT CAST(${e} AS Nullable(String)), ${e} IS NULL, NOT ${e} = 'a'`,
  (e) => `SELECT substring(${e}, 1, 2) || ${e}`,
  (e) => `SELECT INTERVAL length(${e}) DAY + toDate('2026-01-01')`,
  (e) => `(((SELECT ${e})))`,
  (e) => `/* ${"'"} */ SELECT -- )\n ${e} # end`,
  (e) => `SELECT slot, tier FROM prices ORDER BY slot WITH FILL TO length(${e}) LIMIT 1`,
  (e) => `FROM prices SELECT ${e} LIMIT 1`,
];
/** What may stand around an expression. */
const around: ((e: string) => string)[] = [
  (e) => `upper(${e})`,
  (e) => `concat(${e}, 'a')`,
  (e) => `if(1 = 1, ${e}, '')`,
  (e) => `(SELECT any(c) FROM (SELECT ${e} AS c))`,
  (e) => `arrayStringConcat(arrayMap(x -> concat(x, ${e}), ['a']))`,
  (e) => `coalesce(NULL, ${e})`,
  (e) => `tuple(${e}, 1).1`,
  (e) => `toString((${e}, 1))`,
  (e) => `replaceAll(${e}, 'a', 'b')`,
];
const harmless = ["'file(x)'", "upper('a')", 'toString(today())', "'system.users'", "concat('a', version())"];
const forbidden = [
  "file('/etc/passwd')",
  "FILE('canary.txt')",
  "`file`('canary.txt')",
  'hostName()',
  'fqdn()',
  "getSetting('readonly')::String",
  "getServerSetting('path')",
  "getMacro('x')",
  "getClientHTTPHeader('authorization')",
  "dictGet('gridtick.d', 'a', 1)",
  "joinGet('gridtick.secrets', 'word', 1)",
  'toString(sleep(0.001))',
  'toString(sleepEachRow(0.001))',
  "toString(arrayReduce('count', [1]))",
  "toString(initializeAggregation('sum', 1))",
  'toString(rand())',
  'toString(generateUUIDv4())',
  'toString(serverUUID())',
  'toString(tcpPort())',
  'toString(filesystemAvailable())',
  "toString(hasColumnInTable('gridtick', 'secrets', 'word'))",
  "toString(catboostEvaluate('/etc/passwd', 1))",
  "toString(throwIf(1, 'x'))",
  "showCertificate()['x']",
  'addressToLine(1)',
  'query_id()',
  'initialQueryID()',
  '(SELECT any(word) FROM secrets)',
  '(SELECT any(word) FROM gridtick.secrets)',
  '(SELECT any(station) FROM prices_log)',
  '(SELECT any(query) FROM system.processes)',
  '(SELECT any(value) FROM system.server_settings)',
  "(SELECT any(l) FROM file('canary.txt', 'LineAsString', 'l String'))",
  "(SELECT any(a) FROM url('http://127.0.0.1:PORT/', 'CSV', 'a String'))",
  "(SELECT any(a) FROM s3('http://127.0.0.1:PORT/b/k', 'CSV', 'a String'))",
  "(SELECT toString(any(dummy)) FROM remote('127.0.0.1:PORT', system.one))",
  '(SELECT toString(any(number)) FROM numbers(3))',
  "(SELECT any(a) FROM executable('id', 'TSV', 'a String'))",
  "(SELECT any(a) FROM values('a String', 'x'))",
  "(SELECT any(word) FROM merge('gridtick', 'secrets'))",
  "(SELECT any(word) FROM cluster('default', gridtick.secrets))",
  '(SELECT any(word) FROM view(SELECT word FROM gridtick.secrets))',
  "toString('x' IN secrets)",
  "toString('x' NOT IN gridtick.secrets)",
];

/** One answer after the other, so that each is known to have been given. */
async function check(build: (atom: string) => string, bad: string, good: string): Promise<void> {
  const hostile = build(bad.replaceAll('PORT', String(port)));
  const refused = await answer(hostile);
  expect([hostile, refused.code]).toEqual([hostile, 497]);
  expect(refused.text).not.toContain(canary);
  const fine = build(good);
  const { code, text } = await answer(fine);
  // Allowed, but not everywhere possible: views know no PREWHERE, and a filled gap ends at a constant.
  expect([fine, [0, 182, 475].includes(code) ? '' : text]).toEqual([fine, '']);
}

test('each forbidden piece in turn, and each clause in turn', async () => {
  for (let i = 0; i < Math.max(clauses.length, forbidden.length); i++) {
    const clause = clauses[i % clauses.length] as (e: string) => string;
    await check(clause, forbidden[i % forbidden.length] as string, harmless[i % harmless.length] as string);
  }
}, 120_000);

test('any of them, wrapped in anything, in any clause', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...clauses),
      fc.array(fc.constantFrom(...around), { maxLength: 4 }),
      fc.constantFrom(...forbidden),
      fc.constantFrom(...harmless),
      (clause, layers, bad, good) =>
        check((atom) => clause(layers.reduce((inner, layer) => layer(inner), atom)), bad, good),
    ),
    { numRuns: Number(process.env['GRIDTICK_TEST_FUZZ'] ?? 120) },
  );
}, 600_000);

test('text that is no query at all is answered with an error, and the door goes on', async () => {
  const words = [
    'SELECT',
    'FROM',
    'secrets',
    '(',
    ')',
    ',',
    '*',
    'prices',
    "'",
    '`',
    ';',
    'WITH',
    'AS',
    'x',
    '1',
    '--',
    '/*',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
        fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 14 }).map((list) => list.join(' ')),
      ),
      async (text) => {
        const { text: said } = await answer(text);
        expect(said).not.toContain(canary);
        expect(await answer('SELECT 1')).toEqual({ code: 0, text: '1\n' });
      },
    ),
    { numRuns: Number(process.env['GRIDTICK_TEST_FUZZ'] ?? 120) },
  );
}, 600_000);

test('nobody was called and nothing was written', async () => {
  expect(calls).toBe(0);
  const tables = await history.client.query({
    query: `SELECT (SELECT groupArray(word) FROM gridtick.secrets) AS words, (SELECT count() FROM gridtick.prices) = 100 AS whole`,
    format: 'JSONEachRow',
  });
  expect(await tables.json()).toEqual([{ words: [canary], whole: 1 }]);
});
