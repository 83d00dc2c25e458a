/**
 * `npm run bench -- nats_door [--callers 256] [--batches 64] [--customers N] [--warm 5] [--seconds 10] [--json]`: commands of an integrator per
 * second, one per request and in batches of 64, each answered after its commit. nats-server with accounts, the role engine
 * with the product's domain, a gateway with the NATS door alone, and the load are processes of their own.
 * The yardstick, in the same run: bare request and reply of the same sizes with an echo that does nothing.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { customerAddress } from '#actors/mod';
import { accountsFile, renderAccounts, renderServerConfig } from '#engine/log/accounts';
import { connectLog, openDoor, provision } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { verifyPartitions } from '#engine/partition/verify';
import { startTestRedis } from '#engine/projections/testing';
import { youngGeneration } from '#engine/supervisor/role';
import { customerOf } from './nats_door/names.ts';
import { cpuUs, hardware } from './lib/process_cpu.ts';

const { values } = parseArgs({
  options: {
    callers: { type: 'string', default: '256' },
    batches: { type: 'string', default: '64' },
    customers: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
    connections: { type: 'string', default: '8' },
    warm: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
  },
});
const partitions = 16;
const openedAtOnce = 500;
const here = (file: string) => new URL(file, import.meta.url).pathname;

interface Figures {
  requests: number;
  commands: number;
  elapsedS: number;
  wrong: number;
  codes: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-bench-'));
const redis = await startTestRedis();
const nats = await startTestNats({
  config: ({ port, storeDir }) => {
    const text = renderAccounts({
      core: { user: 'core', password: 'core' },
      integrators: [{ user: 'integrator', password: 'bench' }],
    });
    writeFileSync(join(dirname(storeDir), accountsFile), text);
    return renderServerConfig({ port, storeDir, maxFileBytes: 2 ** 40 });
  },
});
const as = (login: string) => nats.url.replace('//', `//${login}@`);
const env = {
  ...process.env,
  GRIDTICK_NATS_URL: as('core:core'),
  GRIDTICK_REDIS_URL: redis.url,
  GRIDTICK_DATA_DIR: dataDir,
  GRIDTICK_PARTITIONS: String(partitions),
  GRIDTICK_LOG_LEVEL: 'error',
};
const nc = await connectLog(as('core:core'), 'bench');
await provision(nc, { partitions });
const children: ChildProcess[] = [];
const engine = await serve('../../engine/roles/engine.js', env);
const gateway = await serve('../../gateway/main.js', env, ['--doors', 'nats']);
const customers = Math.max(Number(values.callers), Number(values.batches), Number(values.customers));
await openCustomers(customers);
const size = `${values.connections} connections of one load process, ${partitions} partitions`;
process.stdout.write(`${hardware()}, nats-server, engine, gateway and load in processes of their own, ${size}\n`);

let failed = false;
try {
  const callers = Number(values.callers);
  const single = await load('single', callers);
  show(`${callers} callers, one command a request`, single);
  const batched = await load('batch', Number(values.batches));
  show(`${values.batches} callers, 64 commands a request`, batched);
  const echo = await serve('nats_door/echo_process.js', { ...env, GRIDTICK_BENCH_URL: as('core:core') });
  const yardstick = await load('echo', callers, echo);
  show(`yardstick: ${callers} callers, bare request and reply`, yardstick);
  const ratio = (figures: Figures) =>
    (rate(figures.commands, figures) / rate(yardstick.requests, yardstick)).toFixed(2);
  process.stdout.write(`commands per bare request: ${ratio(single)} one by one, ${ratio(batched)} in batches\n`);
  const verdicts = await verifyPartitions(
    nc,
    Array.from({ length: partitions }, (_, p) => p),
  );
  const problems = verdicts.flatMap((verdict) => verdict.problems);
  process.stdout.write(
    `journal: ${verdicts.reduce((sum, v) => sum + v.records, 0)} records verified, ${problems.length} problems\n`,
  );
  failed ||= problems.length > 0;
  if (values.json) process.stdout.write(`${JSON.stringify({ single, batched, yardstick })}\n`);
} finally {
  for (const child of children.reverse()) {
    child.stdin?.end();
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await nc.close();
  await nats.stop();
  await redis.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
if (failed) process.exitCode = 1;

async function serve(file: string, environment: NodeJS.ProcessEnv, args: string[] = []): Promise<ChildProcess> {
  const child = spawn(process.execPath, [youngGeneration, here(file), ...args], {
    env: environment,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

async function openCustomers(count: number): Promise<void> {
  const door = await openDoor(nc, { name: 'bench', partitions });
  const open = (customer: number) => {
    const to = customerAddress(customerOf(customer));
    return door.request({ id: null, to, type: 'customer.open', body: { name: to.id } });
  };
  for (let from = 0; from < count; from += openedAtOnce) {
    const some = Array.from({ length: Math.min(openedAtOnce, count - from) }, (_, i) => open(from + i));
    const refused = (await Promise.all(some)).find((result) => !result.ok);
    if (refused) throw new Error(`a customer could not be opened: ${JSON.stringify(refused)}`);
  }
  await door.close();
}

/** CPU µs per command of every process beside the figures. */
type Measured = Figures & { cpu: Record<string, number> };

async function load(mode: 'single' | 'batch' | 'echo', callers: number, echo?: ChildProcess): Promise<Measured> {
  const { connections, warm, seconds } = values;
  const child = fork(
    here('nats_door/load_process.js'),
    [
      mode,
      String(callers),
      String(Number(values.customers) || callers),
      connections,
      warm,
      seconds,
      `${mode}-${Date.now() % 1_000_000}`,
    ],
    {
      env: { ...env, GRIDTICK_BENCH_URL: as(mode === 'echo' ? 'core:core' : 'integrator:bench') },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      execArgv: [youngGeneration],
    },
  );
  const working = echo ? { echo } : { gateway, engine };
  const pids = {
    nats: nats.pid,
    ...Object.fromEntries(Object.entries(working).map(([n, c]) => [n, c.pid!])),
    load: child.pid!,
  };
  const cpuAt: Record<string, Record<string, number>> = {};
  child.on('message', ({ phase }: { phase: string }) => {
    cpuAt[phase] = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuUs(pid)]));
  });
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  await once(child, 'exit');
  const figures = JSON.parse(line) as Figures;
  const cpu = Object.fromEntries(
    Object.keys(pids).map((name) => [
      name,
      Number(((cpuAt['end']![name]! - cpuAt['measured']![name]!) / Math.max(1, figures.commands)).toFixed(1)),
    ]),
  );
  return { ...figures, cpu };
}

function rate(count: number, { elapsedS }: Figures): number {
  return Math.round(count / elapsedS);
}

function show(what: string, figures: Measured): void {
  const { requests, commands, wrong, codes, p50Ms, p99Ms, p999Ms, maxMs, cpu } = figures;
  const perSecond = (n: number) => rate(n, figures).toLocaleString('en');
  const parts = [
    `${what}: ${perSecond(commands)} commands/s in ${perSecond(requests)} requests/s`,
    `p50 ${p50Ms} p99 ${p99Ms} p99.9 ${p999Ms} max ${maxMs} ms`,
    `CPU µs/command ${Object.entries(cpu)
      .map((entry) => entry.join(' '))
      .join(', ')}`,
    `wrong ${wrong} refused ${JSON.stringify(codes)}`,
  ];
  process.stdout.write(`${parts.join(' · ')}\n`);
  failed ||= wrong > 0;
}
