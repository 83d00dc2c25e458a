import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { backOffMs, Child, type ChildSpec } from './child.ts';
import { PidFile } from './pid_file.ts';
import { startTime } from './processes.ts';
import { roleWarning } from './role.ts';

let dir = '';
let said: string[] = [];
let children: Child[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gridtick-child-'));
  said = [];
  children = [];
});
afterEach(async () => {
  await Promise.all(children.map((child) => child.stop(1_000)));
  rmSync(dir, { recursive: true, force: true });
});

/** A role that is this script. */
function childOf(script: string, options: { oneShot?: boolean; attempts?: number; readyMs?: number } = {}): Child {
  const spec: ChildSpec = {
    role: 'fake',
    command: process.execPath,
    args: ['-e', script],
    env: process.env,
    isReady: (line) => line.includes('"ready":true'),
    warning: roleWarning,
    ...(options.oneShot === undefined ? {} : { oneShot: options.oneShot }),
  };
  const { attempts, readyMs } = options;
  const child = new Child(spec, {
    pids: new PidFile(dir),
    logFile: join(dir, 'fake.log'),
    say: (line) => said.push(line),
    ...(attempts === undefined ? {} : { attempts }),
    ...(readyMs === undefined ? {} : { readyMs }),
  });
  children.push(child);
  return child;
}

const serves = `console.log('{"ready":true}'); setInterval(() => {}, 1000);`;
const recorded = () =>
  (JSON.parse(readFileSync(join(dir, 'pids'), 'utf8')) as { children: { role: string; pid: number }[] }).children;

test('a role is recorded while it lives and forgotten when it is stopped', async () => {
  const child = childOf(serves);
  await child.start();
  const pid = child.pid as number;
  expect(recorded()).toMatchObject([{ role: 'fake', pid }]);
  await child.stop(2_000);
  expect(startTime(pid)).toBeNull();
  expect(recorded()).toEqual([]);
});

test('a role that is killed comes back after 0.2 s, and the screen says so', async () => {
  const child = childOf(serves);
  await child.start();
  const first = child.pid;
  const killedAt = Date.now();
  child.kill('SIGKILL');
  await expect.poll(() => child.ready && child.pid !== first, { timeout: 5_000 }).toBe(true);
  expect(Date.now() - killedAt).toBeGreaterThanOrEqual(200);
  expect(said).toEqual(['fake ended (killed by SIGKILL), starts again in 0.2 s', 'fake serves again']);
});

test('waits grow from 0.2 s to 5 s', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map(backOffMs)).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test('a role that never serves is given up with its last words', async () => {
  const child = childOf(`console.error('no such table: prices'); process.exit(3)`, { attempts: 2 });
  await expect(child.start()).rejects.toThrow(/fake ended 2 times \(code 3\)[^]*no such table: prices/);
  expect(said).toContain('fake: no such table: prices');
});

test('a role that is silent for too long is given up', async () => {
  const child = childOf('setInterval(() => {}, 1000)', { readyMs: 300 });
  await expect(child.start()).rejects.toThrow('fake is not ready after 0.3 s');
});

test('a program that does not exist is an error, not a hang', async () => {
  const child = new Child(
    {
      role: 'ghost',
      command: join(dir, 'ghost'),
      args: [],
      env: process.env,
      isReady: () => false,
      warning: roleWarning,
    },
    { pids: new PidFile(dir), logFile: join(dir, 'ghost.log'), say: (line) => said.push(line), attempts: 1 },
  );
  children.push(child);
  await expect(child.start()).rejects.toThrow(/ghost ended 1 times[^]*not found/);
});

test('a one-shot is done at code 0 and does not come back', async () => {
  const child = childOf(`console.log('seeded')`, { oneShot: true });
  await child.start();
  expect(child.pid).toBeNull();
  expect(readFileSync(join(dir, 'fake.log'), 'utf8')).toContain('seeded');
});

test('a role that ignores SIGTERM is killed after its time', async () => {
  const child = childOf(`process.on('SIGTERM', () => {}); ${serves}`);
  await child.start();
  const pid = child.pid as number;
  const askedAt = Date.now();
  await child.stop(300);
  expect(startTime(pid)).toBeNull();
  expect(Date.now() - askedAt).toBeLessThan(2_000);
  expect(said.at(-1)).toBe('fake does not end within 0.3 s: killed');
});

test('warnings reach the screen, information does not', async () => {
  const entry = (level: number, msg: string) => `console.error(JSON.stringify({ level: ${level}, msg: '${msg}' }));`;
  const child = childOf(`${entry(30, 'all is well')} ${entry(40, 'slow screen')} ${serves}`);
  await child.start();
  await expect.poll(() => said, { timeout: 10_000 }).toEqual(['fake: slow screen']);
  expect(readFileSync(join(dir, 'fake.log'), 'utf8')).toContain('all is well');
});

test('of a crash the reason reaches the screen, its stack stays in the log', () => {
  const crash = [
    'TypeError: no price',
    '    at slot (/app/price.js:3:1)',
    '0. ? @ 0x000000001c8fa4b3',
    'Node.js v20.20.2',
  ];
  expect(crash.map(roleWarning)).toEqual(['TypeError: no price', null, null, null]);
  expect(roleWarning('{"level":50,"msg":"insert failed","err":{"message":"disk full"}}')).toBe(
    'insert failed: disk full',
  );
  expect(roleWarning('{"ready":true}')).toBeNull();
});

test('kill -9 of the supervisor takes every child with it within 5 s, also one that watches no pipe and ignores signals', async () => {
  const here = (file: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, file)).href);
  const script = join(dir, 'supervisor.mts');
  writeFileSync(
    script,
    `import { Child } from ${here('child.ts')};
     import { PidFile } from ${here('pid_file.ts')};
     const pids = new PidFile(${JSON.stringify(dir)});
     for (const role of ['deaf', 'stubborn']) {
       const child = new Child(
         { role, command: 'sh', args: ['-c', "trap '' TERM HUP INT; echo serving; while :; do sleep 1; done"], env: process.env,
           isReady: (line) => line === 'serving', warning: () => null },
         { pids, logFile: ${JSON.stringify(dir)} + '/' + role + '.log', say: () => {} });
       await child.start();
       console.log(child.pid);
     }
     console.log('up');`,
  );
  const supervisor = spawn(process.execPath, ['--import', 'tsx', '--conditions=source', script], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pids: number[] = [];
  for await (const line of createInterface(supervisor.stdout)) {
    if (line === 'up') break;
    pids.push(Number(line));
  }
  expect(pids.map((pid) => startTime(pid) !== null)).toEqual([true, true]);
  const killedAt = Date.now();
  supervisor.kill('SIGKILL');
  await once(supervisor, 'exit');
  await expect.poll(() => pids.map(startTime), { timeout: 5_000 }).toEqual([null, null]);
  expect(Date.now() - killedAt).toBeLessThan(5_000);
});
