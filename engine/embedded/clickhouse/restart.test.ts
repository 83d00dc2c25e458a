import { createClient, ClickHouseLogLevel } from '@clickhouse/client';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

let server: TestClickHouse;
beforeAll(async () => {
  server = await startTestClickHouse();
});
afterAll(() => server?.stop());

const connect = () =>
  createClient({
    url: server.url,
    username: server.user,
    password: server.password,
    log: { level: ClickHouseLogLevel.OFF },
  });

async function ids(): Promise<number[]> {
  const client = connect();
  const result = await client.query({ query: 'SELECT id FROM lab.t FINAL ORDER BY id', format: 'JSONCompactEachRow' });
  const rows = await result.json<[number]>();
  await client.close();
  return rows.map(([id]) => Number(id));
}

test('a restart keeps the data, and the port', async () => {
  const client = connect();
  await client.command({ query: 'CREATE DATABASE lab' });
  await client.command({
    query: 'CREATE TABLE lab.t (id UInt64, filler String) ENGINE = ReplacingMergeTree ORDER BY id',
  });
  await client.insert({ table: 'lab.t', values: [{ id: 0 }], format: 'JSONEachRow' });
  await client.close();
  await server.restart();
  expect(await ids()).toEqual([0]);
}, 60_000);

test('kill -9 in the middle of inserts: what was answered is there, and what was cut off can be sent again', async () => {
  const client = connect();
  const batch = (first: number) =>
    Array.from({ length: 5_000 }, (_, i) => ({ id: first + i, filler: 'x'.repeat(100) }));
  let answered = 0;
  const insert = async () => {
    for (;;) {
      await client.insert({ table: 'lab.t', values: batch(1 + answered * 5_000), format: 'JSONEachRow' });
      answered++;
      if (answered === 3) void server.kill9();
    }
  };
  await expect(insert()).rejects.toThrow();
  await client.close();
  await server.restart();
  const after = await ids();
  const whole = Array.from({ length: 1 + answered * 5_000 }, (_, id) => id);
  expect(after.slice(0, whole.length)).toEqual(whole);
  const again = connect();
  await again.insert({ table: 'lab.t', values: batch(1 + answered * 5_000), format: 'JSONEachRow' });
  await again.close();
  expect(await ids()).toEqual(Array.from({ length: 1 + (answered + 1) * 5_000 }, (_, id) => id));
}, 60_000);

test('a second process on the same data is refused in words', async () => {
  await expect(startTestClickHouse({ dataDir: server.dataDir })).rejects.toThrow(/another process has it open/);
}, 60_000);

test('the process ends when its supervisor is gone, and refuses to start without passwords', async () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const run = (env: Record<string, string>) =>
    spawn(process.execPath, ['--conditions=source', '--import', 'tsx', main], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      env: { ...process.env, GRIDTICK_CLICKHOUSE_PORT: '0', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  await server.kill9();
  const child = run({
    GRIDTICK_DATA_DIR: server.dataDir,
    GRIDTICK_CLICKHOUSE_PASSWORD: 'a',
    GRIDTICK_ANALYST_PASSWORD: 'b',
  });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  child.stdin.end();
  expect((await exited)[0]).toBe(0);
  const bare = run({
    GRIDTICK_DATA_DIR: server.dataDir,
    GRIDTICK_CLICKHOUSE_PASSWORD: '',
    GRIDTICK_ANALYST_PASSWORD: 'b',
  });
  let logged = '';
  bare.stderr.on('data', (text) => (logged += text));
  expect((await once(bare, 'exit'))[0]).toBe(1);
  expect(logged).toContain('GRIDTICK_CLICKHOUSE_PASSWORD is not set');
}, 60_000);
