import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../config/config.ts';
import type { ChildSpec } from './child.ts';
import { screen } from './endpoints.ts';
import { startInstallation, type Installation } from './installation.ts';
import { realParts, roleEnvironment, type Parts } from './parts.ts';
import { startTime } from './processes.ts';
import { roleWarning } from './role.ts';

let dir = '';
let said: string[] = [];
let installation: Installation | null = null;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gridtick-installation-'));
  said = [];
  installation = null;
});
afterEach(async () => {
  await installation?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const config = (more: Record<string, string> = {}) =>
  loadConfig({
    GRIDTICK_DATA_DIR: dir,
    ...Object.fromEntries(['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0'])),
    GRIDTICK_STOP_MS: '3000',
    ...more,
  });

/** A role that notes its start and its end in `order`. */
const fake = (role: string, script = 'serve()'): ChildSpec => ({
  role,
  command: process.execPath,
  args: [
    '-e',
    `const note = (what) => require('node:fs').appendFileSync(process.argv[1], '${role} ' + what + '\\n');
     const serve = () => { note('starts'); console.log('{"ready":true}'); setInterval(() => {}, 1000); };
     process.on('SIGTERM', () => { note('ends'); process.exit(0); });
     ${script}`,
    join(dir, 'order'),
  ],
  env: process.env,
  isReady: (line) => line.includes('"ready":true'),
  warning: roleWarning,
});
const order = () => readFileSync(join(dir, 'order'), 'utf8').trim().split('\n');

const parts = (more: Partial<Parts> = {}): Parts => ({
  servers: () => [fake('nats')],
  provision: async () => {},
  roles: () => [fake('engine')],
  seed: () => [fake('seed', `note('runs')`)],
  fleet: () => [fake('simulator')],
  ...more,
});

const start = async (more: Partial<Parts> = {}) =>
  (installation = await startInstallation({ config: config(), say: (line) => said.push(line), parts: parts(more) }));

test('parts start in order, and stop in the reverse order', async () => {
  const running = await start();
  expect(order()).toEqual(['nats starts', 'engine starts', 'seed runs', 'simulator starts']);
  const pids = Object.values(running.pids());
  expect(Object.keys(running.pids())).toEqual(['nats', 'engine', 'simulator']);
  await running.stop();
  expect(order().slice(4)).toEqual(['simulator ends', 'engine ends', 'nats ends']);
  expect(pids.map(startTime)).toEqual([null, null, null]);
});

test('endpoints.json is there while it serves, for the owner alone, and gone after the stop', async () => {
  const running = await start();
  const file = join(dir, 'endpoints.json');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const endpoints = JSON.parse(readFileSync(file, 'utf8'));
  expect(endpoints).toEqual(running.endpoints);
  expect(Object.keys(endpoints)).toEqual([
    ...['dashboard', 'api', 'ocpp', 'nats', 'redis', 'clickhouse', 'metrics', 'logins', 'analyst', 'integrator'],
  ]);
  expect(endpoints.ocpp).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ocpp$/);
  expect(endpoints.nats).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
  expect(endpoints.redis).toMatch(/^redis:\/\/:[\w-]{24}@127\.0\.0\.1:\d+$/);
  expect(endpoints.logins).toMatchObject([
    { role: 'operator', email: 'operator@demo.local' },
    { role: 'admin', email: 'admin@demo.local' },
    { role: 'customer', email: 'customer@demo.local' },
    { role: 'customer', email: 'trader@demo.local' },
  ]);
  expect(screen(running.endpoints, dir)).toContain(endpoints.logins[0].password);
  await running.stop();
  expect(existsSync(file)).toBe(false);
});

test('one address tells metrics and health of all processes, and which of them does not answer', async () => {
  const told = `const ready = JSON.stringify({ ok: true, checks: { log: { ok: true } } });
    const server = require('node:http').createServer((asked, answer) =>
      answer.end(asked.url === '/metrics' ? '# HELP a A\\n# TYPE a gauge\\na 1\\n' : ready));
    server.listen(0, '127.0.0.1', () => {
      console.log(JSON.stringify({ ready: true, metricsPort: server.address().port }));
    });`;
  const running = await start({ roles: () => [fake('engine-1', told), fake('engine-2', told)] });
  const { metrics } = running.endpoints;
  const scrape = async () => (await (await fetch(metrics)).text()).split('\n');
  const health = async () => (await fetch(new URL('/health/ready', metrics))).json();
  expect(await scrape()).toEqual(
    expect.arrayContaining([
      'a{process="engine-1"} 1',
      'a{process="engine-2"} 1',
      'gridtick_process_up{process="supervisor",of="engine-2"} 1',
    ]),
  );
  const serves = { ok: true, checks: { log: { ok: true } } };
  expect(await health()).toEqual({ ok: true, checks: { 'engine-1': serves, 'engine-2': serves } });
  running.kill('engine-2', 'SIGKILL');
  const down = 'gridtick_process_up{process="supervisor",of="engine-2"} 0';
  await expect.poll(scrape, { timeout: 5_000, interval: 10 }).toContain(down);
  const silent = { ok: false, reason: 'the process does not answer' };
  expect(await health()).toEqual({ ok: false, checks: { 'engine-1': serves, 'engine-2': silent } });
  // Its next run has another port.
  await running.whenReady('engine-2');
  expect(await health()).toMatchObject({ ok: true });
});

test('a role that is killed while it serves comes back; the others do not notice', async () => {
  const running = await start();
  const before = running.pids();
  running.kill('engine', 'SIGKILL');
  await expect.poll(() => running.pids().engine ?? before.engine, { timeout: 5_000 }).not.toBe(before.engine);
  await running.whenReady('engine');
  expect(running.pids()).toMatchObject({ nats: before.nats, simulator: before.simulator });
});

test('a part that does not start ends the whole start, with its reason, and leaves nothing', async () => {
  const broken = fake('engine', `console.error('journal went back in time'); process.exit(1)`);
  await expect(start({ roles: () => [broken] })).rejects.toThrow('journal went back in time');
  expect(order()).toEqual(['nats starts', 'nats ends']);
  expect(JSON.parse(readFileSync(join(dir, 'pids'), 'utf8')).children).toEqual([]);
  await (await start()).stop();
});

test('Ctrl-C during the start stops what had been started', async () => {
  const stop = new AbortController();
  const silent = fake('engine', `note('starts'); setInterval(() => {}, 1000)`);
  const starting = startInstallation({
    config: config(),
    signal: stop.signal,
    parts: parts({ roles: () => [silent] }),
  });
  const outcome = expect(starting).rejects.toThrow(/stopped before everything was ready/);
  const started = () => existsSync(join(dir, 'order')) && order().includes('engine starts');
  await expect.poll(started, { timeout: 10_000 }).toBe(true);
  stop.abort();
  await outcome;
  expect(order()).toEqual(['nats starts', 'engine starts', 'engine ends', 'nats ends']);
});

test('a stop is over in time although a role does not want to end', async () => {
  const stubborn = fake('engine', `process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => {}); serve()`);
  const running = await start({ roles: () => [stubborn] });
  const startedAt = Date.now();
  await running.stop();
  // By itself it would never end.
  expect(Date.now() - startedAt).toBeLessThan(15_000);
  // Half of what those before it have left.
  expect(said).toContainEqual(expect.stringMatching(/^engine does not end within (1\.\d|0\.\d) s: killed$/));
});

test('a second installation on the same data refuses while the first serves', async () => {
  await start();
  await expect(startInstallation({ config: config(), parts: parts() })).rejects.toThrow(
    'is in use by another Gridtick',
  );
});

test('roles read their settings without contradiction, with the addresses of the embedded servers', async () => {
  const { place } = await start();
  const env = roleEnvironment(place);
  const role = loadConfig(env);
  expect(role.natsUrl).toBe(`nats://core:${place.secrets.nats}@127.0.0.1:${place.ports.natsPort}`);
  expect(role.clickhousePassword).toBe(place.secrets.clickhouse);
  expect(role).toMatchObject({ partitions: 16, httpPort: place.ports.httpPort, dataDir: place.config.dataDir });
});

test('a server that is given by URL is not started and gets no port', () => {
  const given = config({ GRIDTICK_NATS_PORT: '', GRIDTICK_NATS_URL: 'nats://core:x@10.0.0.7:4222' });
  const secrets = {
    nats: 'n',
    integrator: 'i',
    redis: 'r',
    clickhouse: 'c',
    analyst: 'a',
    operator: 'o',
    admin: 'm',
    customer: 'u',
    trader: 't',
    quotes: 'q',
  };
  const ports = { httpPort: 1, ocppPort: 2, natsPort: 0, redisPort: 4, clickhousePort: 5 };
  const roles = realParts.servers({ config: given, ports, secrets, env: {} }).map((spec) => spec.role);
  expect(roles).toEqual(['redis', 'clickhouse']);
});
