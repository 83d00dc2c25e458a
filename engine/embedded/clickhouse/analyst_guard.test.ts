import { createClient, ClickHouseLogLevel, type ClickHouseClient } from '@clickhouse/client';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHistory, type HistoryStore } from '../../history/mod.ts';
import { analystSettings, analystViews, parseTree, withNames } from './analyst_guard.ts';
import { isAllowedFunction } from './analyst_functions.ts';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

let server: TestClickHouse;
let history: HistoryStore;
let analyst: ClickHouseClient;

beforeAll(async () => {
  server = await startTestClickHouse();
  history = await openHistory(server);
  analyst = createClient({
    url: server.url,
    username: 'analyst',
    password: server.analystPassword,
    log: { level: ClickHouseLogLevel.OFF },
  });
  await history.client.command({
    query: 'CREATE TABLE gridtick.secrets (word String) ENGINE = MergeTree ORDER BY word',
  });
  await history.client.insert({ table: 'gridtick.secrets', values: [{ word: 'hunter2' }], format: 'JSONEachRow' });
  await history.client.command({
    query: `INSERT INTO gridtick.prices_log (station, slot, produced_at, valid_until, load_w, capacity_w, utilisation_bp, tier,
      import_open, price_e5_sek_per_kwh, partition, sequence, index)
      SELECT 'nord-1', number, toDateTime64(number * 12, 3, 'UTC'), toDateTime64(number * 12 + 24, 3, 'UTC'), 88320, 138000, 6400,
      'normal', true, 100000, 1, number, 0 FROM numbers(10000)`,
  });
  writeFileSync(join(server.dataDir, 'secret.txt'), 'hunter2');
});
afterAll(async () => {
  await analyst?.close();
  await history?.close();
  await server?.stop();
});

const ask = (body: string, params: Record<string, string> = {}) =>
  fetch(`${server.url}/?${new URLSearchParams(params).toString()}`, {
    method: 'POST',
    body,
    headers: { 'x-clickhouse-user': 'analyst', 'x-clickhouse-key': server.analystPassword },
  });
/** [HTTP status, ClickHouse code, text] */
const answer = async (body: string, params: Record<string, string> = {}) => {
  const response = await ask(body, params);
  return [
    response.status,
    Number(response.headers.get('x-clickhouse-exception-code') ?? 0),
    await response.text(),
  ] as const;
};

const allowed: [string, string][] = [
  ['SELECT count() FROM prices', '10000\n'],
  ['SELECT count() FROM gridtick.prices FORMAT JSONCompactEachRow', '["10000"]\n'],
  ['-- how many\nSELECT count() /* of them */ FROM prices; ', '10000\n'],
  ["SELECT max(price_sek_per_kwh), any(load_kw) FROM prices WHERE station = 'nord-1'", '1\t88.32\n'],
  [
    'WITH hourly AS (SELECT toStartOfHour(produced_at) AS h, avg(load_w) AS w FROM prices GROUP BY h) SELECT count(), max(w) FROM hourly',
    '34\t88320\n',
  ],
  ['WITH 5 AS five, (SELECT max(slot) FROM prices) AS last SELECT five, last', '5\t9999\n'],
  ['SELECT count() FROM prices AS p LEFT JOIN sessions AS s ON s.station = p.station WHERE p.slot < 10', '10\n'],
  ['SELECT slot FROM prices WHERE slot IN (SELECT slot FROM prices ORDER BY slot LIMIT 2) ORDER BY slot', '0\n1\n'],
  [
    'SELECT sum(load_w) OVER (ORDER BY slot ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM prices ORDER BY slot LIMIT 2',
    '88320\n176640\n',
  ],
  ['SELECT 1 FROM prices LIMIT 1 UNION ALL SELECT 2 FROM meter_values', '1\n'],
  ["SELECT quantile(0.5)(load_w), countIf(tier = 'normal'), uniqExact(station) FROM prices", '88320\t10000\t1\n'],
  [
    "SELECT CASE WHEN slot > 1 THEN 'late' ELSE 'early' END AS `when it was` FROM prices ORDER BY slot LIMIT 1",
    'early\n',
  ],
  ["SELECT arrayMap(x -> x * 2, [1, 2]), 'INSERT INTO x; DROP'", '[2,4]\tINSERT INTO x; DROP\n'],
  [
    'SELECT * EXCEPT (ingested_at, valid_until, produced_at) FROM prices ORDER BY slot LIMIT 1 FORMAT TSV',
    'nord-1\t0\t88320\t138000\t6400\tnormal\ttrue\t100000\t88.32\t138\t64\t1\t1\t0\t0\n',
  ],
  ['SELECT 1', '1\n'],
  ['SELECT count() FROM loads, session_starts, consumption, ocpp_messages', '0\n'],
];

test.each(analystViews)('the view %s can be read, the table under it cannot', async (view) => {
  expect(await answer(`SELECT count() >= 0 FROM ${view}`)).toEqual([200, 0, '1\n']);
  expect((await answer(`SELECT count() FROM ${view}_log`))[1]).toBe(497);
});

test.each(allowed)('an analyst may ask: %s', async (query, text) => {
  const [status, , said] = await answer(query);
  expect([status, said.replaceAll('"10000"', '10000').replaceAll('10000]', '10000]')]).toEqual([
    200,
    text.replaceAll('"10000"', '10000'),
  ]);
});

/** Codes: 497 the guard, 164 the read-only session, 62 the parser, 60 no such table. */
const hostile: [why: string, query: string, ...codes: number[]][] = [
  ['scalar file()', "SELECT file('/etc/passwd')", 497],
  ['file() in upper case', "SELECT FILE('/etc/passwd') FROM prices", 497],
  ['file() as a table', "SELECT * FROM file('/etc/passwd', 'LineAsString', 'l String')", 497],
  ['file() in WITH', "WITH file('/etc/passwd') AS f SELECT f FROM prices", 497],
  ['file() behind APPLY', 'SELECT station APPLY(file) FROM prices', 497, 62],
  ['file() behind * APPLY', 'SELECT * APPLY(x -> file(toString(x))) FROM prices', 497],
  ['file() in ORDER BY of a window', "SELECT sum(slot) OVER (ORDER BY file('/etc/passwd')) FROM prices", 497],
  ['file() in a named window', "SELECT sum(slot) OVER w FROM prices WINDOW w AS (ORDER BY file('/etc/passwd'))", 497],
  ['file() in LIMIT', "SELECT slot FROM prices LIMIT length(file('/etc/passwd'))", 497],
  ['file() in ON', "SELECT 1 FROM prices p JOIN sessions s ON p.station = file('/etc/passwd')", 497],
  [
    'file() in INTERPOLATE',
    "SELECT slot, tier FROM prices ORDER BY slot WITH FILL INTERPOLATE (tier AS file('/etc/passwd'))",
    497,
    62,
    475,
  ],
  [
    'file() in DEFAULT of the values function',
    "SELECT * FROM values('a String DEFAULT file(\\'/etc/passwd\\')', ('x'))",
    497,
  ],
  ['files by url()', "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')", 497],
  ['another server by remote()', "SELECT * FROM remote('127.0.0.1', system.one)", 497],
  ['s3()', "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')", 497],
  ['mysql()', "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')", 497],
  ['executable()', "SELECT * FROM executable('id', TabSeparated, 'a String')", 497],
  ['input()', "SELECT * FROM input('a String')", 497],
  ['numbers()', 'SELECT count() FROM numbers(1000000000000)', 497],
  ['merge()', "SELECT * FROM merge('gridtick', '.*')", 497],
  ['cluster()', "SELECT * FROM cluster('default', gridtick.secrets)", 497],
  ['view()', 'SELECT * FROM view(SELECT * FROM gridtick.secrets)', 497],
  ['a dictionary', "SELECT dictGet('gridtick.d', 'a', 1)", 497],
  ['joinGet', "SELECT joinGet('gridtick.secrets', 'word', 1)", 497],
  ['INTO OUTFILE', "SELECT 1 INTO OUTFILE '/tmp/gridtick-analyst-1'", 497],
  ['INTO OUTFILE over lines and comments', "SELECT 1 INTO /* x */\noutFile '/tmp/gridtick-analyst-2' FORMAT CSV", 497],
  ['FROM INFILE', "INSERT INTO prices_log FROM INFILE '/etc/passwd' FORMAT CSV", 497],
  ['a base table', 'SELECT * FROM prices_log', 497],
  ['a base table, quoted', 'SELECT * FROM `gridtick`.`prices_log`', 497],
  ['another table', 'SELECT word FROM gridtick.secrets', 497],
  ['another table in a subquery', 'SELECT * FROM (SELECT word FROM secrets)', 497],
  ['another table in a scalar subquery', 'SELECT (SELECT any(word) FROM secrets) FROM prices', 497],
  ['another table in IN, bare', "SELECT 'hunter2' IN secrets FROM prices LIMIT 1", 497],
  ['another table in GLOBAL NOT IN, bare', "SELECT 'hunter2' GLOBAL NOT IN gridtick.secrets FROM prices LIMIT 1", 497],
  ['another table by the function in()', "SELECT in('hunter2', secrets) FROM prices LIMIT 1", 497],
  ['another table in EXISTS', 'SELECT 1 FROM prices WHERE EXISTS (SELECT 1 FROM secrets)', 497],
  ['another table in UNION', 'SELECT station FROM prices UNION ALL SELECT word FROM secrets', 497],
  ['another table in INTERSECT', 'SELECT station FROM prices INTERSECT SELECT word FROM secrets', 497],
  ['another table in JOIN', 'SELECT word FROM prices CROSS JOIN secrets', 497],
  ['another table behind a comma', 'SELECT word FROM prices, secrets', 497],
  ['another table in WITH', 'WITH s AS (SELECT word FROM secrets) SELECT * FROM s', 497],
  [
    'another table under the name of a WITH elsewhere',
    'SELECT * FROM (WITH secrets AS (SELECT 1) SELECT 1), secrets',
    497,
  ],
  [
    'another table under the name of a WITH, recursive',
    'WITH RECURSIVE secrets AS (SELECT 1) SELECT * FROM secrets',
    497,
  ],
  [
    'a system table under a quoted name of a WITH',
    'SELECT * FROM (WITH `system.users` AS (SELECT 1) SELECT 1), system.users',
    497,
  ],
  ['FROM before SELECT', 'FROM secrets SELECT word', 497],
  ['settings of the server', 'SELECT * FROM system.server_settings', 497],
  ['running queries of others', 'SELECT query FROM system.processes', 497],
  ['past queries of others', 'SELECT query FROM system.query_log', 497],
  ['users', 'SELECT * FROM system.users', 497],
  ['stored credentials', 'SELECT * FROM system.named_collections', 497],
  ['disks', 'SELECT path FROM system.disks', 497],
  ['parts of tables', 'SELECT * FROM system.parts', 497],
  ['the environment', "SELECT * FROM system.asynchronous_metrics WHERE metric LIKE 'OS%'", 497],
  ['warnings of the server', 'SELECT * FROM system.warnings', 497],
  ['the error log', 'SELECT last_error_message FROM system.errors', 497],
  ['ZooKeeper', "SELECT * FROM system.zookeeper WHERE path = '/'", 497],
  ['endless numbers', 'SELECT * FROM system.numbers', 497],
  ['a table beside the catalogue', 'SELECT * FROM catalogue.secrets', 497],
  ['the catalogue under a quoted name', 'SELECT * FROM `system.tables`', 497],
  ['another database of the catalogue', 'SELECT * FROM system.tables_log', 497],
  ['remoteSecure()', "SELECT * FROM remoteSecure('127.0.0.1', system.one)", 497],
  ['postgresql()', "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')", 497],
  ['sqlite()', "SELECT * FROM sqlite('/tmp/x.db', 't')", 497],
  ['hdfs()', "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'CSV', 'a String')", 497],
  ['a database of another server', "CREATE DATABASE x ENGINE = MySQL('127.0.0.1:1', 'd', 'u', 'p')", 497],
  ['values()', "SELECT * FROM values('a String', 'x')", 497],
  ['generateRandom()', "SELECT * FROM generateRandom('a String') LIMIT 1", 497],
  ['loop()', 'SELECT * FROM loop(gridtick.prices)', 497],
  ['the parts under a table', "SELECT * FROM mergeTreeIndex('gridtick', 'prices_log')", 497],
  ['a log of the server as text', "SELECT * FROM fileCluster('default', '/etc/passwd', 'LineAsString')", 497],
  ['a header of the request', "SELECT getClientHTTPHeader('x-clickhouse-key')", 497],
  ['macros', "SELECT getMacro('x')", 497],
  ['columns of another table by a function', "SELECT hasColumnInTable('gridtick', 'secrets', 'word')", 497],
  ['the certificate', 'SELECT showCertificate()', 497],
  ['a model file', "SELECT catboostEvaluate('/etc/passwd', 1)", 497],
  ['GRANT', 'GRANT ALL ON *.* TO analyst', 497],
  ['CREATE USER', "CREATE USER x IDENTIFIED BY 'y'", 497],
  ['CREATE FUNCTION', 'CREATE FUNCTION f AS x -> file(x)', 497],
  ['a view that reads more', 'CREATE VIEW gridtick.v AS SELECT * FROM secrets', 497],
  ['TRUNCATE', 'TRUNCATE TABLE gridtick.prices_log', 497],
  ['RENAME', 'RENAME TABLE gridtick.prices TO gridtick.p', 497],
  ['EXCHANGE', 'EXCHANGE TABLES gridtick.prices AND gridtick.secrets', 497],
  ['DETACH', 'DETACH TABLE gridtick.prices_log', 497],
  ['DELETE', 'DELETE FROM gridtick.prices_log WHERE 1', 497],
  ['UPDATE', 'UPDATE gridtick.prices_log SET load_w = 0 WHERE 1', 497, 62],
  ['a transaction', 'BEGIN TRANSACTION', 497, 62],
  ['EXECUTE AS', 'EXECUTE AS gridtick SELECT 1', 497, 62],
  ['CHECK', 'CHECK TABLE gridtick.prices_log', 497],
  ['WATCH', 'WATCH gridtick.prices', 497, 62],
  ['system tables by information_schema', 'SELECT * FROM information_schema.tables', 497],
  ['SHOW TABLES with a condition', "SHOW TABLES WHERE engine = 'MergeTree'", 497],
  ['SHOW of anything else', 'SHOW PROCESSLIST', 497],
  ['SHOW GRANTS', 'SHOW GRANTS', 497, 62],
  ['SHOW SETTINGS', "SHOW SETTINGS LIKE '%'", 497],
  ['SHOW CREATE', 'SHOW CREATE TABLE gridtick.secrets', 497],
  ['DESCRIBE of another table', 'DESCRIBE gridtick.secrets', 497],
  ['DESCRIBE of a base table', 'DESC prices_log', 497],
  ['DESCRIBE of a file', "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')", 497],
  ['DESCRIBE of an address', "DESCRIBE TABLE url('http://127.0.0.1:1/', CSV)", 497],
  ['DESCRIBE of a system table', 'DESCRIBE system.users', 497],
  ['EXISTS of a dictionary', 'EXISTS DICTIONARY gridtick.secrets', 497],
  ['EXPLAIN of a forbidden query', 'EXPLAIN SELECT * FROM secrets', 497],
  ['several statements', 'SELECT 1 FROM prices; SELECT word FROM secrets', 62],
  ['several statements, the first a comment', '/* ; */ SELECT 1; DROP TABLE gridtick.prices_log', 62],
  ['PARALLEL WITH', 'SELECT 1 FROM prices PARALLEL WITH SELECT word FROM secrets', 497, 62],
  ['SET', 'SET readonly = 0', 497],
  ['SETTINGS', 'SELECT count() FROM prices SETTINGS max_execution_time = 100000', 164, 497],
  ['SETTINGS of a subquery', 'SELECT * FROM (SELECT 1 FROM prices SETTINGS readonly = 0)', 164, 497],
  ['SETTINGS behind FORMAT', 'SELECT 1 FROM prices FORMAT CSV SETTINGS max_memory_usage = 0', 164, 497],
  ['INSERT', "INSERT INTO gridtick.secrets VALUES ('mine')", 497],
  ['INSERT behind a comment', "/* a */ -- b\n INSERT INTO gridtick.secrets VALUES ('mine')", 497],
  ['INSERT SELECT', 'INSERT INTO gridtick.secrets SELECT station FROM prices', 497],
  ['ALTER', 'ALTER TABLE gridtick.prices_log DELETE WHERE 1', 497],
  ['DROP', 'DROP TABLE gridtick.prices_log', 497],
  ['CREATE', 'CREATE TABLE gridtick.mine (a UInt8) ENGINE = Memory', 497],
  ['a temporary table', 'CREATE TEMPORARY TABLE mine AS SELECT 1', 497],
  ['OPTIMIZE', 'OPTIMIZE TABLE gridtick.prices_log FINAL', 497],
  ['KILL', 'KILL QUERY WHERE 1', 497],
  ['SYSTEM', 'SYSTEM STOP MERGES', 497],
  ['BACKUP', "BACKUP DATABASE gridtick TO File('/tmp/gridtick-analyst-3')", 497],
  ['USE', 'USE system', 497],
  ['a format that reads a schema file', 'SELECT 1 FROM prices FORMAT Protobuf', 497],
  ['a format made of a template file', 'SELECT 1 FROM prices FORMAT Template', 497],
  ['a name that imitates the tree, by lines', 'SELECT 1 AS `x\n   TableIdentifier prices` FROM secrets', 497],
  ['a name that imitates the tree, by its count', 'SELECT word AS `a (children 3)` FROM secrets', 497],
  ['a name that imitates an alias', 'SELECT * FROM secrets AS `prices (alias prices)`', 497],
  ['sleep', 'SELECT sleep(3) FROM prices', 497],
  ['currentUser and other facts of the host', 'SELECT hostName(), currentUser() FROM prices', 497],
  ['getSetting', "SELECT getSetting('readonly')", 497],
  ['arrayReduce with a function by name', "SELECT arrayReduce('sum', [1])", 497],
  ['a column of a table that is not read', 'SELECT secrets.word FROM prices', 47],
  ['nothing', '   ', 62],
];

test.each(hostile)('an analyst is refused: %s', async (_, query, ...codes) => {
  const [status, code, text] = await answer(query);
  expect(codes).toContain(code);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(text).toMatch(new RegExp(`^Code: ${code}\\. DB::Exception: .+\\([A-Z_]+\\) \\(version `, 's'));
  expect(text).not.toMatch(/hunter2(?!')|root:x/);
  expect(await answer('SELECT 1')).toEqual([200, 0, '1\n']);
});

/** Ways to hide a SELECT of one column inside another, as an analyst might write them. */
const hide: ((q: string) => string)[] = [
  (q) => `SELECT * FROM (${q})`,
  (q) => `SELECT (SELECT count() FROM (${q})) FROM prices LIMIT 1`,
  (q) => `SELECT 1 FROM prices WHERE station IN (${q})`,
  (q) => `WITH w AS (${q}) SELECT count() FROM w`,
  (q) => `WITH (SELECT count() FROM (${q})) AS w SELECT w + 1`,
  (q) => `SELECT 'x' UNION ALL SELECT toString(count()) FROM (${q})`,
  (q) => `SELECT count() FROM prices AS a CROSS JOIN (${q}) AS b`,
  (q) => `SELECT /* ${"'"} */ count() FROM -- )\n(${q})`,
  (q) => `SELECT arrayMap(x -> x + (SELECT count() FROM (${q})), [1])`,
  (q) => `SELECT if(1, 2, (SELECT count() FROM (${q})))`,
  (q) => `SELECT slot FROM prices ORDER BY (SELECT count() FROM (${q})) LIMIT 1`,
  (q) => `SELECT count() AS n FROM prices HAVING n > (SELECT count() FROM (${q}))`,
];
const good = [
  'SELECT station FROM prices',
  'SELECT tag FROM gridtick.sessions',
  "SELECT 'file(x) secrets'",
  'SELECT kind FROM `charger_events`',
];
const bad = [
  'SELECT word FROM secrets',
  'SELECT station FROM gridtick.prices_log',
  "SELECT file('/etc/passwd')",
  "SELECT a FROM url('http://127.0.0.1:1', CSV, 'a String')",
  'SELECT query FROM system.processes',
  'SELECT hostName()',
  'SELECT toString(number) FROM numbers(3)',
];

test('however deep it is hidden, the forbidden is refused and the allowed is not', async () => {
  const layers = fc.array(fc.constantFrom(...hide), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      layers,
      fc.constantFrom(...good),
      fc.constantFrom(...bad),
      async (around, allowedQuery, forbidden) => {
        const wrap = (inner: string) => around.reduce((query, layer) => layer(query), inner);
        const [, refusedWith] = await answer(wrap(forbidden));
        expect([wrap(forbidden), refusedWith]).toEqual([wrap(forbidden), 497]);
        const [, code, text] = await answer(wrap(allowedQuery));
        expect([wrap(allowedQuery), code, code === 0 ? '' : text]).toEqual([wrap(allowedQuery), 0, '']);
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);

test('after all that, nothing was written anywhere', async () => {
  const result = await history.client.query({
    query:
      'SELECT (SELECT groupArray(word) FROM gridtick.secrets) AS words, (SELECT count() FROM gridtick.prices) AS prices',
    format: 'JSONEachRow',
  });
  expect(await result.json()).toEqual([{ words: ['hunter2'], prices: expect.anything() }]);
  expect([1, 2, 3].map((n) => existsSync(`/tmp/gridtick-analyst-${n}`))).toEqual([false, false, false]);
});

const bombs: [string, string, number[]][] = [
  ['of time', 'SELECT count() FROM prices a, prices b, prices c WHERE (a.slot * b.slot * c.slot) % 7 = 3', [159, 158]],
  [
    'of memory',
    'SELECT length(arrayMap(x -> toString(x), range(toUInt64(100000000 + slot)))) FROM prices',
    [241, 69, 128],
  ],
  ['of rows in the result', 'SELECT a.slot FROM prices a, prices b', [396]],
  ['of depth', `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`, [62, 167, 306]],
  ['of nested subqueries', `SELECT * FROM ${'(SELECT * FROM '.repeat(60)}prices${')'.repeat(60)}`, [162, 167, 62, 306]],
  ['of length', `SELECT ${'1,'.repeat(60_000)}1`, [307, 62]],
  ['of elements', `SELECT ${'1+'.repeat(9_000)}1`, [168, 167, 62, 306]],
  [
    'of aliases that double each other',
    `SELECT ${Array.from({ length: 40 }, (_, i) => `(${i === 0 ? '1, 1' : `a${i - 1}, a${i - 1}`}) AS a${i}`).join(', ')}`,
    [168, 167, 62, 306, 36, 241, 396],
  ],
  [
    'of recursion',
    'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count() FROM r',
    [306, 159, 158, 241],
  ],
  ['of filled gaps', 'SELECT slot FROM prices ORDER BY slot WITH FILL FROM 0 TO 4000000000 STEP 1', [396, 159, 241]],
  ['of padding', "SELECT leftPad('x', 4000000000) FROM prices", [131, 241, 36, 128]],
  ['of groups', 'SELECT a.slot, b.slot, groupArray(a.load_w) FROM prices a, prices b GROUP BY ALL', [241, 396, 159]],
  ['of rows unfolded', 'SELECT sum(arrayJoin(range(100000000))) FROM prices', [241, 159, 128, 69]],
  [
    'of a long sort',
    'SELECT a.slot FROM prices a, prices b ORDER BY cityHash64(a.slot, b.slot) LIMIT 1 BY a.slot',
    [241, 159, 396, 158],
  ],
];
test.each(bombs)(
  'a bomb %s is stopped by a limit',
  async (_, query, codes) => {
    const response = await ask(query, { wait_end_of_query: '1', max_execution_time: '4' });
    expect(codes).toContain(Number(response.headers.get('x-clickhouse-exception-code')));
    await response.text();
    expect(await answer('SELECT 1')).toEqual([200, 0, '1\n']);
  },
  60_000,
);

test('parameters of an analyst are values; one that names a table is judged like the table', async () => {
  const query = 'SELECT count() FROM {t:Identifier} WHERE slot < {n:UInt32}';
  expect(await answer(query, { param_t: 'prices', param_n: '3' })).toEqual([200, 0, '3\n']);
  expect((await answer(query, { param_t: 'secrets', param_n: '3' }))[1]).toBe(497);
  expect((await answer('SELECT count() FROM prices WHERE station = {s:String}', { param_s: "' OR 1=1 --" }))[2]).toBe(
    '0\n',
  );
});

test('settings in the URL may choose the look and tighten limits, nothing else', async () => {
  expect(
    (
      await answer('SELECT max(slot) FROM prices FORMAT JSONEachRow', {
        output_format_json_quote_64bit_integers: '0',
        max_execution_time: '5',
      })
    )[0],
  ).toBe(200);
  for (const params of [
    { max_execution_time: '0' },
    { max_execution_time: '1e9' },
    { max_memory_usage: '-1' },
    { allow_ddl: '1' },
    { format_schema: '/etc/passwd:x' },
  ]) {
    expect([params, (await answer('SELECT 1', params as Record<string, string>))[1]]).toEqual([params, 164]);
  }
  expect((await answer('SELECT 1', { database: 'system' }))[1]).toBe(497);
  expect((await answer('SELECT slot FROM prices', { default_format: 'Template' }))[1]).toBe(497);
});

test('an analyst cannot leave a session changed, and the sinks work beside', async () => {
  expect((await answer('SET max_threads = 1', { session_id: 'a' }))[1]).toBe(497);
  const slow = ask('SELECT count() FROM prices a, prices b WHERE a.slot * b.slot % 7 = 3');
  await history.writePositions([[3, 1]]);
  expect((await history.readPositions()).get(3)).toBe(1);
  await (await slow).text();
});

test('the client library works for an analyst', async () => {
  expect((await analyst.ping({ select: true })).success).toBe(true);
  const result = await analyst.query({ query: 'SELECT slot FROM prices ORDER BY slot LIMIT 2', format: 'JSON' });
  expect((await result.json<{ slot: number }>()).data).toEqual([{ slot: 0 }, { slot: 1 }]);
});

test('the tree is read strictly', () => {
  expect(parseTree('A (children 2)\n B x\n C (alias y)\n')).toMatchObject({
    kind: 'A',
    children: [
      { kind: 'B', name: 'x' },
      { kind: 'C', name: '' },
    ],
  });
  for (const bad of ['', 'A (children 1)', 'A\n B', 'A (children 1)\n  B', 'A\nB', 'A (children 1)\n B\n C']) {
    expect(() => parseTree(bad), bad).toThrow(/could not be read/);
  }
});

test('names of WITH are found in canonical text, not in strings', () => {
  expect(
    withNames(
      "WITH a AS (SELECT 1), b(x, y) AS (SELECT 2), `c d` AS (SELECT 3), e AS MATERIALIZED (SELECT 4) SELECT 'f AS (SELECT 5)'",
    ),
  ).toEqual(['a', 'b', 'e']);
});

test('functions are known with their combinators, and by no trick of letters', () => {
  expect(
    ['count', 'COUNT', 'sumIf', 'uniqExactIf', 'avgOrNull', 'countDistinct', 'sumArrayIf'].filter(
      (f) => !isAllowedFunction(f),
    ),
  ).toEqual([]);
  expect(
    [
      'file',
      'FILE',
      'fileIf',
      'if()',
      '',
      'Distinct',
      'url',
      'dictGet',
      'sleep',
      'getMacro',
      'constructor',
      'initializeAggregation',
    ].filter(isAllowedFunction),
  ).toEqual([]);
});

test('a readonly setting that a client always sends is taken as said already', () => {
  expect(
    analystSettings([
      ['readonly', '2'],
      ['max_threads', '1'],
    ]),
  ).toEqual([['max_threads', '1']]);
});
