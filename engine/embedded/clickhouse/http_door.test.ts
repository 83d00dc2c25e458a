import { execFile } from 'node:child_process';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createClient, ClickHouseLogLevel, type ClickHouseClient } from '@clickhouse/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

let server: TestClickHouse;
let client: ClickHouseClient;

const connect = (username: string, password: string) =>
  createClient({ url: server.url, username, password, log: { level: ClickHouseLogLevel.OFF } });

beforeAll(async () => {
  server = await startTestClickHouse();
  client = connect(server.user, server.password);
  await client.command({ query: 'CREATE DATABASE lab' });
});
afterAll(async () => {
  await client?.close();
  await server?.stop();
});

const basic = () => ({ authorization: `Basic ${Buffer.from(`gridtick:${server.password}`).toString('base64')}` });
const post = (
  params: Record<string, string>,
  body: string | Uint8Array<ArrayBuffer> | undefined = undefined,
  headers: Record<string, string> = {},
) =>
  fetch(`${server.url}/?${new URLSearchParams(params).toString()}`, {
    method: 'POST',
    headers: { ...basic(), ...headers },
    ...(body === undefined ? {} : { body }),
  });
const rows = async <T>(query: string, query_params: Record<string, unknown> = {}) =>
  (await client.query({ query, query_params, format: 'JSONEachRow' })).json<T>();
const count = async (table: string) => Number((await rows<{ n: string }>(`SELECT count() AS n FROM ${table}`))[0]?.n);
const table = async (name: string) => {
  await client.command({ query: `CREATE TABLE lab.${name} (id UInt64, name String) ENGINE = MergeTree ORDER BY id` });
  return `lab.${name}`;
};
/** Queries other than the one that asks. */
const running = async () =>
  (await rows<{ query: string }>('SELECT query FROM system.processes')).filter(
    ({ query }) => !query.includes('system.processes'),
  );
const untilIdle = async () => {
  while ((await running()).length > 0);
};

test('the client pings with and without a query, and anybody may ask /ping', async () => {
  expect((await client.ping()).success).toBe(true);
  expect((await client.ping({ select: true })).success).toBe(true);
  const response = await fetch(`${server.url}/ping`);
  expect([response.status, await response.text()]).toEqual([200, 'Ok.\n']);
});

test('a wrong password, an unknown user and none at all are refused in the words of ClickHouse', async () => {
  expect((await connect('gridtick', 'wrong').ping({ select: true })).success).toBe(false);
  for (const [user, key] of [
    ['gridtick', 'wrong'],
    ['nobody', server.password],
    ['analyst', server.password],
    ['default', ''],
  ] as const) {
    const response = await fetch(`${server.url}/?query=SELECT+1`, {
      headers: { 'x-clickhouse-user': user, 'x-clickhouse-key': key },
    });
    expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([403, '516']);
    expect(await response.text()).toMatch(
      new RegExp(
        `^Code: 516\\. DB::Exception: ${user}: Authentication failed.*\\(AUTHENTICATION_FAILED\\) \\(version `,
      ),
    );
  }
  const nobody = await fetch(`${server.url}/?query=SELECT+1`);
  expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="ClickHouse"']);
});

test('100,000 rows go in as a stream and come back in every format, also over several blocks', async () => {
  const name = await table('many');
  const values = Readable.from(
    (function* () {
      for (let id = 0; id < 100_000; id++) yield { id, name: `row ${id}` };
    })(),
  );
  const { summary } = await client.insert({ table: name, values, format: 'JSONEachRow' });
  expect(summary?.written_rows).toBe('100000');
  const query = `SELECT id, name FROM ${name} ORDER BY id`;
  const ids = (await (await client.query({ query, format: 'JSONEachRow' })).json<{ id: number }>()).map(({ id }) =>
    Number(id),
  );
  expect(ids).toEqual(Array.from({ length: 100_000 }, (_, id) => id));
  const json = await (await client.query({ query, format: 'JSON' })).json<{ id: number; name: string }>();
  expect([json.rows, json.data.at(-1)?.name]).toEqual([100_000, 'row 99999']);
  for (const [format, headerLines] of [
    ['CSV', 0],
    ['CSVWithNames', 1],
    ['TabSeparated', 0],
    ['TabSeparatedWithNamesAndTypes', 2],
    ['JSONCompactEachRow', 0],
    ['JSONCompactEachRowWithNamesAndTypes', 2],
  ] as const) {
    const lines = (await (await client.query({ query, format })).text()).trimEnd().split('\n');
    expect([format, lines.length]).toEqual([format, 100_000 + headerLines]);
    expect(new Set(lines).size).toBe(100_000 + headerLines);
  }
});

test('an empty result still has its header, and a result in a binary format is whole', async () => {
  const empty = await post({}, 'SELECT 1 AS a, 2 AS b WHERE 0 FORMAT CSVWithNames');
  expect(await empty.text()).toBe('"a","b"\n');
  const parquet = Buffer.from(
    await (await post({}, 'SELECT number FROM numbers(200000) FORMAT Parquet')).arrayBuffer(),
  );
  expect(parquet.subarray(0, 4).toString() + parquet.subarray(-4).toString()).toBe('PAR1PAR1');
  expect(parquet.indexOf('PAR1', 4)).toBe(parquet.length - 4);
});

test('parameters are values, never text of the query', async () => {
  const nasty = "'; DROP TABLE x; -- \\ \t \n ü {y:String}";
  const query_params = { s: nasty, n: 42, list: [1, 2, 3], when: new Date('2026-01-02T03:04:05.678Z') };
  const query =
    "SELECT {s:String} AS s, {n:UInt32} + 1 AS n, arraySum({list:Array(UInt8)}) AS sum, {when:DateTime64(3, 'UTC')} AS `when`";
  expect(await rows(query, query_params)).toEqual([{ s: nasty, n: 43, sum: 6, when: '2026-01-02 03:04:05.678' }]);
  const long = 'x'.repeat(100_000);
  const result = await client.query({
    query: 'SELECT length({s:String}) AS n',
    query_params: { s: long },
    format: 'JSONEachRow',
    use_multipart_params: true,
  });
  expect(await result.json()).toEqual([{ n: 100_000 }]);
});

test('parameters and settings of requests at the same time do not mix', async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const clickhouse_settings = { max_block_size: String(1000 + i) };
      const query = "SELECT {i:UInt32} AS i, getSetting('max_block_size') AS size FROM numbers(2000) GROUP BY ALL";
      const result = await client.query({ query, query_params: { i }, clickhouse_settings, format: 'JSONEachRow' });
      return (await result.json<{ i: number; size: number }>())[0];
    }),
  );
  expect(answers.map((a) => [a?.i, Number(a?.size)])).toEqual(Array.from({ length: 40 }, (_, i) => [i, 1000 + i]));
});

test('errors carry code, name and status; nothing of a failed query shows in a later one', async () => {
  await expect(client.query({ query: 'SELEC 1' })).rejects.toMatchObject({ code: '62', type: 'SYNTAX_ERROR' });
  await expect(client.query({ query: 'SELECT nope' })).rejects.toMatchObject({
    code: '47',
    type: 'UNKNOWN_IDENTIFIER',
  });
  await expect(client.command({ query: 'SELECT 1; SELECT 2' })).rejects.toMatchObject({ code: '62' });
  const missing = await post({ query: 'SELECT * FROM lab.nothing' });
  expect([missing.status, missing.headers.get('x-clickhouse-exception-code')]).toEqual([404, '60']);
  const session = { session_id: 'leaky', max_result_rows: '1000', max_block_size: '100' };
  const tooMany = await post({ ...session, wait_end_of_query: '1' }, 'SELECT number FROM numbers(100000)');
  expect([tooMany.status, /TOO_MANY_ROWS_OR_BYTES/.test(await tooMany.text())]).toEqual([500, true]);
  expect(await (await post(session, "SELECT 'clean'")).text()).toBe('clean\n');
  const unknown = await post({ query: 'SELECT 1', no_such_setting: '1' });
  expect([unknown.status, await unknown.text()]).toEqual([404, expect.stringContaining('UNKNOWN_SETTING')]);
});

test('an error in the middle of a stream reaches the client as an error', async () => {
  const query = 'SELECT throwIf(number = 300000) FROM numbers(300001)';
  const result = await client.query({ query, format: 'JSONEachRow' });
  // The client reads the code only of an end that comes in one piece; of one that TCP has cut it says just that it is an error.
  const error = await result.json().then(
    () => null,
    (thrown: unknown) => thrown as Error & { code?: string },
  );
  expect(error).toBeInstanceOf(Error);
  expect(error?.code ?? error?.message).toMatch(/^(395|there was an error in the stream; .*)$/);
  const response = await post({ default_format: 'TabSeparated' }, query);
  const tag = response.headers.get('x-clickhouse-exception-tag');
  expect((await response.text()).slice(-600)).toMatch(
    new RegExp(`\\r\\n__exception__\\r\\n${tag}\\r\\nCode: 395\\. .*\\n\\d+ ${tag}\\r\\n__exception__\\r\\n$`, 's'),
  );
});

test('a query whose client goes away is cancelled', async () => {
  const abort = new AbortController();
  const query = 'SELECT max(sipHash64(number)) FROM numbers(1000000000000)';
  const asked = client.query({ query, abort_signal: abort.signal });
  const failed = expect(asked).rejects.toThrow(/abort/i);
  while ((await running()).length === 0);
  abort.abort();
  await failed;
  await untilIdle();
});

test('a client that reads slowly holds the query back, not the memory', async () => {
  const before = server.rssMb();
  const response = await post({}, "SELECT number, repeat('x', 1000) FROM numbers(100000000) FORMAT TabSeparated");
  const reader = response.body!.getReader();
  let bytes = 0;
  while (bytes < 50_000_000) bytes += (await reader.read()).value?.length ?? 0;
  // 100 GB would follow. While we do not read, other queries run and the process does not grow by what waits.
  for (let i = 0; i < 50; i++) await rows('SELECT 1');
  expect(server.rssMb() - before).toBeLessThan(400);
  await reader.cancel();
  await untilIdle();
});

test('inserts: statement and data in one body, in two, as VALUES, compressed, in binary, and with text that looks like SQL', async () => {
  const name = await table('inserts');
  const insert = async (
    params: Record<string, string>,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ) => {
    const response = await post(params, body, headers);
    expect([response.status, await response.text()]).toEqual([200, '']);
  };
  await insert({}, `INSERT INTO ${name} FORMAT JSONEachRow\n{"id": 1, "name": "a; SELECT ') FORMAT CSV"}\n`);
  await insert({ query: `INSERT INTO ${name} (name, id) FORMAT CSV` }, '"two\nlines",2\n');
  await insert({ query: `INSERT INTO ${name} VALUES` }, "(3, 'c'), (4, 'd;')");
  await insert({}, `/* INSERT */ INSERT INTO ${name} (id, name) VALUES (5, 'VALUES (6')`);
  await insert({ query: `INSERT INTO ${name} FORMAT TabSeparated` }, gzipSync('7\tg\n8\th\n'), {
    'content-encoding': 'gzip',
  });
  await insert(
    { query: `INSERT INTO ${name} FORMAT RowBinary` },
    new Uint8Array([9, 0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0xfe]),
  );
  await insert({}, `INSERT INTO ${name} SELECT number + 10, 'x' FROM numbers(3)`);
  await insert({ query: `INSERT INTO ${name} FORMAT JSONEachRow` }, '');
  const stored = await rows<{ id: number; name: string }>(
    `SELECT id, if(id = 9, hex(name), name) AS name FROM ${name} ORDER BY id`,
  );
  expect(stored.map(({ id, name: n }) => [Number(id), n])).toEqual([
    [1, "a; SELECT ') FORMAT CSV"],
    [2, 'two\nlines'],
    [3, 'c'],
    [4, 'd;'],
    [5, 'VALUES (6'],
    [7, 'g'],
    [8, 'h'],
    [9, 'FFFE'],
    [10, 'x'],
    [11, 'x'],
    [12, 'x'],
  ]);
});

test('an insert larger than memory allows waits in a file and is stored whole; one that breaks off stores nothing', async () => {
  const name = await table('large');
  const line = (id: number) => `${JSON.stringify({ id, name: 'x'.repeat(200) })}\n`;
  const part = (from: number) => Array.from({ length: 10_000 }, (_, i) => line(from + i)).join('');
  const values = async function* (breaks: boolean) {
    for (let i = 0; i < 5; i++) yield part(i * 10_000);
    if (breaks) throw new Error('cable cut');
  };
  const params = { query: `INSERT INTO ${name} FORMAT JSONEachRow` };
  const send = (breaks: boolean) =>
    fetch(`${server.url}/?${new URLSearchParams(params).toString()}`, {
      method: 'POST',
      headers: basic(),
      body: Readable.from(values(breaks)),
      duplex: 'half',
    } as unknown as RequestInit);
  await expect(send(true)).rejects.toThrow();
  expect((await send(false)).status).toBe(200);
  expect(await count(name)).toBe(50_000);
});

test('bad data is refused with the row, and nothing of it is stored', async () => {
  const name = await table('bad');
  const response = await post({ query: `INSERT INTO ${name} FORMAT JSONEachRow` }, '{"id": 1}\n{"id": "one"}\n');
  expect([response.status, await response.text()]).toEqual([400, expect.stringMatching(/^Code: 27\. .*row 2/s)]);
  const broken = await post({ query: `INSERT INTO ${name} FORMAT JSONEachRow` }, 'not gzip', {
    'content-encoding': 'gzip',
  });
  expect([broken.status, await broken.text()]).toEqual([400, expect.stringContaining('BAD_ARGUMENTS')]);
  const encoding = await post({ query: `INSERT INTO ${name} FORMAT JSONEachRow` }, 'x', {
    'content-encoding': 'snappy',
  });
  expect([encoding.status, await encoding.text()]).toEqual([501, expect.stringContaining("Content-Encoding 'snappy'")]);
  expect(await count(name)).toBe(0);
});

test('results are compressed when the client asks for it', async () => {
  const compressed = createClient({
    url: server.url,
    username: server.user,
    password: server.password,
    compression: { response: true, request: true },
  });
  const name = await table('gzip');
  await compressed.insert({ table: name, values: [{ id: 1, name: 'one' }], format: 'JSONEachRow' });
  expect(await (await compressed.query({ query: `SELECT name FROM ${name}`, format: 'JSONEachRow' })).json()).toEqual([
    { name: 'one' },
  ]);
  await compressed.close();
  const { stdout } = await promisify(execFile)(
    'curl',
    [
      '-sS',
      '-u',
      `gridtick:${server.password}`,
      '-H',
      'Accept-Encoding: gzip',
      `${server.url}/?enable_http_compression=1&query=SELECT+7`,
    ],
    { encoding: 'buffer' },
  );
  expect(gunzipSync(stdout).toString()).toBe('7\n');
});

test('curl reads by GET, and GET changes nothing', async () => {
  const curl = async (query: string) => {
    const url = `${server.url}/?${new URLSearchParams({ query, default_format: 'JSONCompact' }).toString()}`;
    return (await promisify(execFile)('curl', ['-sS', '-u', `gridtick:${server.password}`, url])).stdout;
  };
  expect(JSON.parse(await curl('SELECT 1 AS one'))).toMatchObject({ data: [[1]], rows: 1 });
  expect(await curl('CREATE DATABASE by_get')).toMatch(/^Code: 164\. .*\(READONLY\)/);
});

test('a BI tool finds its headers: query id, format, summary, zone, and types in RowBinaryWithNamesAndTypes', async () => {
  const response = await post(
    { database: 'lab', query_id: 'bi-1', default_format: 'RowBinaryWithNamesAndTypes', compress: '0' },
    'SELECT currentDatabase() AS db',
  );
  const headers = ['x-clickhouse-query-id', 'x-clickhouse-format', 'x-clickhouse-timezone'].map((h) =>
    response.headers.get(h),
  );
  expect(headers).toEqual(['bi-1', 'RowBinaryWithNamesAndTypes', 'UTC']);
  expect(JSON.parse(response.headers.get('x-clickhouse-summary') ?? '')).toMatchObject({ read_rows: '1' });
  expect(Buffer.from(await response.arrayBuffer()).toString('latin1')).toBe('\x01\x02db\x06String\x03lab');
});

test('a session keeps temporary tables and settings, is locked while in use, and URL settings are for one request', async () => {
  const session = { session_id: 's1', session_timeout: '30' };
  await post(session, 'CREATE TEMPORARY TABLE kept (a UInt8)');
  await post({ ...session, query: 'INSERT INTO kept VALUES' }, '(1), (2)');
  await post(session, 'SET max_block_size = 77');
  expect(
    await (
      await post(
        { ...session, max_threads: '1' },
        "SELECT sum(a), getSetting('max_block_size'), getSetting('max_threads') FROM kept",
      )
    ).text(),
  ).toBe('3\t77\t1\n');
  expect(await (await post(session, "SELECT getSetting('max_threads') > 1")).text()).toBe('1\n');
  const busy = post(session, 'SELECT sleep(2)');
  while ((await running()).length === 0);
  const second = await post(session, 'SELECT 1');
  expect([second.status, await second.text()]).toEqual([423, expect.stringContaining('SESSION_IS_LOCKED')]);
  await busy;
});

test('what is too large, not there, or belongs to a command line is refused by name', async () => {
  const cases: [Record<string, string>, string | undefined, number, string][] = [
    [{}, `SELECT '${'x'.repeat(2_000_000)}'`, 413, 'QUERY_IS_TOO_LARGE'],
    [{}, '', 400, 'SYNTAX_ERROR'],
    [{}, "SELECT 1 INTO OUTFILE '/tmp/gridtick-never'", 501, 'NOT_IMPLEMENTED'],
    [{}, "INSERT INTO lab.many FROM INFILE '/etc/passwd' FORMAT CSV", 501, 'NOT_IMPLEMENTED'],
    [{ compress: '1' }, 'SELECT 1', 501, 'NOT_IMPLEMENTED'],
    [{ session_id: 'x', session_timeout: '99999' }, 'SELECT 1', 400, 'BAD_ARGUMENTS'],
    [{ 'max threads': '1' }, 'SELECT 1', 404, 'UNKNOWN_SETTING'],
    [{ database: 'no`pe' }, 'SELECT 1', 404, 'UNKNOWN_DATABASE'],
  ];
  for (const [params, body, status, type] of cases) {
    const response = await post(params, body);
    expect([params, response.status, await response.text()]).toEqual([
      params,
      status,
      expect.stringContaining(`(${type})`),
    ]);
  }
  const verb = await fetch(`${server.url}/`, { method: 'PUT' });
  expect(verb.status).toBe(405);
  expect((await fetch(`${server.url}/play`)).status).toBe(404);
});
