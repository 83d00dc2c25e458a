/**
 * `npm run bench -- restate [--callers 256] [--keys 10000] [--warm 5] [--seconds 15]`: single calls of "read state, add, write
 * state, reply" here and in another durable actor runtime, Restate, one after the other on the same machine: here through
 * the NATS door (a deposit: a whole double entry), there through its HTTP ingress. Both sides check every answer.
 *
 * Its server and SDK are installed into a temporary folder, at the newest versions, and removed again; they are no dependency.
 * It runs once with the settings that it comes with, which sync every write to disk, and once without that, as nats-server
 * runs here (it syncs every two minutes). The ratio is to the faster of the two.
 */
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { freePort } from '#engine/log/testing';
import { cpuUs, hardware } from './lib/process_cpu.ts';

const { values } = parseArgs({
  options: {
    callers: { type: 'string', default: '256' },
    keys: { type: 'string', default: '10000' },
    warm: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '15' },
  },
});
const { callers, keys, warm, seconds } = values;
const startMs = 60_000;
const here = (file: string) => new URL(file, import.meta.url).pathname;
const source = (file: string) => here(`../../../deploy/bench/restate/${file}`);

interface Figures {
  commands: number;
  elapsedS: number;
  wrong: number;
  codes: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
  /** CPU µs per command by process. */
  cpu: Record<string, number>;
}

const say = (line: string) => process.stdout.write(`${line}\n`);
const rate = ({ commands, elapsedS }: Figures) => commands / elapsedS;
const folder = mkdtempSync(join(tmpdir(), 'gridtick-restate-'));
try {
  say(`${hardware()}; ${callers} callers, ${keys} keys, ${seconds} s after ${warm} s`);
  const version = install();
  const synced = await restate({});
  show(`Restate ${version}, as it comes`, synced);
  const unsynced = await restate({
    RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC: 'true',
    RESTATE_METADATA_SERVER__ROCKSDB_DISABLE_WAL_FSYNC: 'true',
  });
  show(`Restate ${version}, writes not synced`, unsynced);
  const { single, batched } = await gridtick();
  show('Gridtick, single commands', single);
  show('Gridtick, 64 commands a request', batched);
  const best = Math.max(rate(synced), rate(unsynced));
  const times = (figures: Figures) => (rate(figures) / best).toFixed(2);
  say(`ratio: ${times(single)} × one by one, ${times(batched)} × in batches; wanted: 10 × one by one`);
  if (Math.max(single.wrong, batched.wrong, synced.wrong, unsynced.wrong) > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @returns versions of server and SDK */
function install(): string {
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const packages = ['@restatedev/restate-server', '@restatedev/restate-sdk'];
  execFileSync('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: folder, stdio: 'ignore' });
  copyFileSync(source('counter.mjs'), join(folder, 'counter.mjs'));
  return packages
    .map((name) => {
      const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8');
      return `${name.slice(name.lastIndexOf('-') + 1)} ${(JSON.parse(text) as { version: string }).version}`;
    })
    .join(', ');
}

async function restate(settings: Record<string, string>): Promise<Figures> {
  const [ingress, admin, node, service] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const server = spawn(join(folder, 'node_modules/.bin/restate-server'), ['--base-dir', join(folder, `data-${node}`)], {
    cwd: folder,
    env: {
      ...process.env,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_LISTEN_MODE: 'tcp',
      RESTATE_DISABLE_TELEMETRY: 'true',
      RESTATE_LOG_FILTER: 'error',
      ...settings,
    },
    stdio: 'ignore',
    detached: true,
  });
  const object = spawn(process.execPath, [join(folder, 'counter.mjs'), String(service)], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production', RESTATE_LOGGING: 'ERROR' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await answers(`http://127.0.0.1:${admin}/health`);
    const registered = await fetch(`http://127.0.0.1:${admin}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
      signal: AbortSignal.timeout(startMs),
    });
    if (!registered.ok) throw new Error(`the object was not registered: ${await registered.text()}`);
    await answers(`http://127.0.0.1:${ingress}/restate/health`);
    const worker = serverPid(server.pid!);
    return await load(`http://127.0.0.1:${ingress}`, { server: worker, object: object.pid! });
  } finally {
    object.kill('SIGKILL');
    process.kill(-server.pid!, 'SIGKILL');
  }
}

/** The command is a script that starts the server as its child. */
function serverPid(parent: number): number {
  const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ');
  return Number(child) || parent;
}

async function answers(url: string): Promise<void> {
  const deadline = performance.now() + startMs;
  for (;;) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (response?.ok) return;
    if (performance.now() > deadline) throw new Error(`${url} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function load(url: string, pids: Record<string, number>): Promise<Figures> {
  const child = fork(here('restate/load_process.js'), [url, callers, keys, warm, seconds], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const all: Record<string, number> = { ...pids, load: child.pid! };
  const at: Record<string, Record<string, number>> = {};
  child.on('message', ({ phase }: { phase: string }) => {
    at[phase] = Object.fromEntries(Object.entries(all).map(([name, pid]) => [name, cpuUs(pid)]));
  });
  const figures = await lastLine<Omit<Figures, 'cpu'>>(child);
  const cpu = Object.keys(all).map((name) => [
    name,
    Math.round((at['end']![name]! - at['measured']![name]!) / Math.max(1, figures.commands)),
  ]);
  return { ...figures, cpu: Object.fromEntries(cpu) as Record<string, number> };
}

/** Runs the other bench with the same numbers. */
async function gridtick(): Promise<{ single: Figures; batched: Figures }> {
  const args = ['--callers', callers, '--customers', keys, '--warm', warm, '--seconds', seconds, '--json'];
  const child = spawn(process.execPath, [here('nats_door.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  return lastLine(child);
}

async function lastLine<T>(child: ChildProcess): Promise<T> {
  let last = '';
  for await (const line of createInterface({ input: child.stdout! })) last = line;
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0)
    throw new Error(`${child.spawnargs.slice(1).join(' ')} ended with ${child.exitCode}: ${last}`);
  return JSON.parse(last) as T;
}

function show(what: string, figures: Figures): void {
  const { p50Ms, p99Ms, wrong, codes, cpu } = figures;
  const time = Object.entries(cpu).map((entry) => entry.join(' '));
  say(
    `${what}: ${Math.round(rate(figures)).toLocaleString('en')} commands/s · p50 ${p50Ms} p99 ${p99Ms} ms · ` +
      `CPU µs/command ${time.join(', ')} · wrong ${wrong} refused ${JSON.stringify(codes)}`,
  );
}
