import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../config/config.ts';
import { LogFile, lineSplitter } from './log_file.ts';
import { lockDataDirectory } from './lock.ts';
import { PidFile } from './pid_file.ts';
import { choosePorts } from './ports.ts';
import { startTime } from './processes.ts';
import { keepScenario } from './scenario.ts';
import { openSecrets } from './secrets.ts';

let dir = '';
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'gridtick-data-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a second start on the same data refuses and names who holds it, also by another path', async () => {
  const lock = await lockDataDirectory(dir);
  symlinkSync(dir, `${dir}-link`);
  await expect(lockDataDirectory(`${dir}-link`)).rejects.toThrow(`process ${process.pid}, since`);
  await lock.release();
  rmSync(`${dir}-link`);
  const again = await lockDataDirectory(dir);
  await again.release();
});

test('a holder that is killed leaves no lock behind', async () => {
  const lockModule = JSON.stringify(pathToFileURL(join(import.meta.dirname, 'lock.ts')).href);
  writeFileSync(
    join(dir, 'holder.mts'),
    `import { lockDataDirectory } from ${lockModule};
     await lockDataDirectory(${JSON.stringify(dir)}); console.log('held'); setInterval(() => {}, 1000);`,
  );
  const holder = spawn(process.execPath, ['--import', 'tsx', join(dir, 'holder.mts')], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface(holder.stdout), 'line');
  await expect(lockDataDirectory(dir)).rejects.toThrow(`process ${holder.pid}, since`);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = await lockDataDirectory(dir);
  await lock.release();
});

test('a living child of an earlier supervisor is ended at the next start, also when it ignores SIGTERM', async () => {
  const child = spawn('sh', ['-c', "trap '' TERM; echo up; while :; do sleep 1; done"], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  new PidFile(dir).add('engine', child.pid as number);
  expect(await new PidFile(dir).endLeftOver()).toEqual(['engine']);
  expect(startTime(child.pid as number)).toBeNull();
}, 15_000);

test('a pid that is used again by another process is left alone, and so is a copy of somebody else’s data', async () => {
  const bystander = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  try {
    const pid = bystander.pid as number;
    const file = { dataDir: dir, children: [{ role: 'engine', pid, started: `${startTime(pid)}0` }] };
    writeFileSync(join(dir, 'pids'), JSON.stringify(file));
    expect(await new PidFile(dir).endLeftOver()).toEqual([]);

    new PidFile(dir).add('engine', pid);
    const copy = join(dir, 'copy');
    mkdirSync(copy);
    cpSync(join(dir, 'pids'), join(copy, 'pids'));
    expect(await new PidFile(copy).endLeftOver()).toEqual([]);
    expect(startTime(pid)).not.toBeNull();
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('passwords are drawn once, kept, and readable by the owner alone', () => {
  const secrets = openSecrets(dir);
  expect(new Set(Object.values(secrets)).size).toBe(Object.keys(secrets).length);
  expect(secrets.operator).toMatch(/^[\w-]{24}$/);
  expect(openSecrets(dir)).toEqual(secrets);
  expect(statSync(join(dir, 'secrets.json')).mode & 0o777).toBe(0o600);
});

test('a damaged secrets file refuses: new passwords would lock people out', () => {
  writeFileSync(join(dir, 'secrets.json'), '{"operator":');
  expect(() => openSecrets(dir)).toThrow('restore it from a copy');
});

test('a data directory keeps its scenario and its partitions', async () => {
  const env = { GRIDTICK_DATA_DIR: dir };
  await keepScenario(loadConfig(env));
  await keepScenario(loadConfig({ ...env, GRIDTICK_SIMULATOR: 'false' }));
  const sessions = join(dir, 'sessions.csv');
  writeFileSync(sessions, 'a,b\n1,2\n');
  const real = {
    ...env,
    GRIDTICK_SESSIONS: sessions,
    GRIDTICK_DAY: '2019-05-15',
    GRIDTICK_FROM: '07:00',
  };
  await expect(keepScenario(loadConfig(real))).rejects.toThrow(/holds the scenario 'demo'[^]*GRIDTICK_DATA_DIR/);
  await expect(keepScenario(loadConfig({ ...env, GRIDTICK_PARTITIONS: '4' }))).rejects.toThrow(
    'GRIDTICK_PARTITIONS=16',
  );
});

test('another file, day or hour is another scenario', async () => {
  const sessions = join(dir, 'sessions.csv');
  writeFileSync(sessions, 'a,b\n1,2\n');
  const env = {
    GRIDTICK_DATA_DIR: dir,
    GRIDTICK_SESSIONS: sessions,
    GRIDTICK_DAY: '2019-05-15',
    GRIDTICK_FROM: '07:00',
  };
  await keepScenario(loadConfig(env));
  await keepScenario(loadConfig(env));
  await expect(keepScenario(loadConfig({ ...env, GRIDTICK_FROM: '08:00' }))).rejects.toThrow('07:00');
  writeFileSync(sessions, 'a,b\n1,3\n');
  await expect(keepScenario(loadConfig(env))).rejects.toThrow('holds the scenario');
  await expect(keepScenario(loadConfig({ ...env, GRIDTICK_SESSIONS: join(dir, 'none.csv') }))).rejects.toThrow(
    'cannot be read',
  );
});

test('a configured port that is busy refuses by name, a default one moves and says so', async () => {
  const foreign = createServer().listen(0, '127.0.0.1');
  await once(foreign, 'listening');
  const { port } = foreign.address() as { port: number };
  try {
    const said: string[] = [];
    const configured = loadConfig({ GRIDTICK_HTTP_PORT: String(port) });
    await expect(choosePorts(configured, ['httpPort'], (line) => said.push(line))).rejects.toThrow(
      `port ${port} on 127.0.0.1 is taken by another program: set GRIDTICK_HTTP_PORT`,
    );
    const byDefault = { ...loadConfig({}), httpPort: port };
    const ports = await choosePorts(byDefault, ['httpPort'], (line) => said.push(line));
    expect(ports.httpPort).not.toBe(port);
    expect(said).toEqual([`port ${port} is taken, the dashboard gets ${ports.httpPort} (GRIDTICK_HTTP_PORT sets it)`]);
  } finally {
    foreign.close();
  }
});

test('free ports are all different', async () => {
  const any = loadConfig(
    Object.fromEntries(['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0'])),
  );
  const ports = await choosePorts(any, ['httpPort', 'ocppPort', 'natsPort', 'redisPort', 'clickhousePort'], () => {});
  expect(new Set(Object.values(ports)).size).toBe(5);
});

test('a log file turns over at its limit and keeps one predecessor', () => {
  const log = new LogFile(join(dir, 'role.log'), 1_000);
  for (let i = 0; i < 100; i++) log.write(`line ${i} ${'x'.repeat(50)}`);
  log.close();
  const [now, before] = [readFileSync(join(dir, 'role.log'), 'utf8'), readFileSync(join(dir, 'role.log.1'), 'utf8')];
  expect(now.length).toBeLessThanOrEqual(1_000);
  expect(before.length).toBeLessThanOrEqual(1_000);
  expect(now).toContain('line 99');
  expect(log.tail().split('\n')).toHaveLength(20);
});

test('lines are whole although bytes come in pieces, and an endless line is cut', () => {
  const lines: string[] = [];
  const feed = lineSplitter((line) => lines.push(line), 10);
  const bytes = Buffer.from('öre\nzwei\n');
  feed(bytes.subarray(0, 1));
  feed(bytes.subarray(1, 7));
  feed(bytes.subarray(7));
  feed(Buffer.from('x'.repeat(25)));
  expect(lines).toEqual(['öre', 'zwei', 'x'.repeat(25)]);
});
