/**
 * `npm run bench -- engine [--rate N] [--runs 3] [--warm 10] [--seconds 30]`: durable commands per second.
 * A fresh nats-server, the engine role with 16 partitions and the load in three processes; without --rate the highest
 * sustained rate is looked for first. Each run prints its yardstick: bare appends of the same frames, load idle.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { jsApi } from '#engine/log/api';
import { commandBounds, connectLog, journalBounds, provision, ringPublisher } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { youngGeneration } from '#engine/supervisor/role';
import { verifyPartitions } from '#engine/partition/verify';
import { encodeFrame, type CommandEnvelope } from '#engine/wire';
import { cpuUs, hardware } from './lib/process_cpu.ts';

const { values } = parseArgs({
  options: {
    rate: { type: 'string' },
    runs: { type: 'string', default: '3' },
    warm: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '30' },
  },
});
const partitions = 16;
/** GRIDTICK_BENCH_PROFILE=<folder> leaves a CPU profile of each process there. */
const profileDir = process.env['GRIDTICK_BENCH_PROFILE'];
const profiling = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`] : [];
const here = (file: string) => new URL(file, import.meta.url).pathname;

interface Figures {
  rate: number;
  perSecond: number;
  waitingAtEnd: number;
  drainMs: number;
  refused: number;
  wrong: number;
  errors: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  sent: number;
  codes: Record<string, number>;
}
interface Run extends Figures {
  cpu: Record<string, number>;
  /** Commands per frame and per record, mean. */
  batch: { frame: number; record: number };
  yardstick: number;
}

const nats = await startTestNats();
const env = {
  ...process.env,
  GRIDTICK_NATS_URL: nats.url,
  GRIDTICK_PARTITIONS: String(partitions),
  GRIDTICK_LOG_LEVEL: 'warn',
};
const nc = await connectLog(nats.url, 'bench');
await provision(nc, { partitions });
await createYardstickStreams();
const engine = await startEngineProcess();
process.stdout.write(`${hardware()}, nats-server in its own process, ${partitions} partitions, 10,000 accounts\n`);

let runNumber = 0;
try {
  const rate = values.rate ? Number(values.rate) : await findRate();
  const runs: Run[] = [];
  for (let i = 0; i < Number(values.runs); i++)
    runs.push(show(await load(rate, Number(values.warm), Number(values.seconds))));
  const worst = runs.reduce((a, b) => (a.perSecond <= b.perSecond ? a : b));
  process.stdout.write(`\nworst of ${runs.length}: `);
  show(worst);
  const half = await load(rate / 2, 3, Math.min(15, Number(values.seconds)));
  process.stdout.write('at half of that load: ');
  show(half);
  const verdicts = await verifyPartitions(
    nc,
    Array.from({ length: partitions }, (_, p) => p),
  );
  const problems = verdicts.flatMap((v) => v.problems);
  process.stdout.write(
    `journal: ${verdicts.reduce((n, v) => n + v.records, 0)} records verified, ${problems.length} problems ${problems.slice(0, 3).join('; ')}\n`,
  );
  if (problems.length > 0 || runs.some((run) => !sustained(run))) process.exitCode = 1;
} finally {
  engine.kill('SIGTERM');
  await once(engine, 'exit');
  await nc.close();
  await nats.stop();
}

/** Every reply came and was right, and what was still under way at the end was less than a second's worth. */
function sustained(run: Figures): boolean {
  return run.refused + run.wrong + run.errors === 0 && run.waitingAtEnd < run.rate && run.perSecond > run.rate * 0.97;
}

async function findRate(): Promise<number> {
  let best = 20_000;
  for (const rate of [40_000, 60_000, 70_000, 80_000, 90_000, 100_000, 120_000, 140_000]) {
    const run = await load(rate, 3, 6);
    process.stdout.write(
      `  looking: ${rate}/s → ${run.perSecond}/s, waiting ${run.waitingAtEnd}, p99 ${run.p99Ms} ms ${JSON.stringify(run.codes)}\n`,
    );
    if (!sustained(run)) break;
    best = rate;
  }
  return best;
}

async function load(rate: number, warmUpS: number, seconds: number): Promise<Run> {
  const before = await ends();
  const child = fork(
    here('account/load_process.js'),
    [String(rate), String(warmUpS), String(seconds), `r${Date.now() % 1_000_000}-${++runNumber}`],
    {
      env,
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      execArgv: [...profiling, youngGeneration],
    },
  );
  const pids = { nats: nats.pid, engine: engine.pid!, load: child.pid! };
  const cpuAt: Record<string, Record<string, number>> = {};
  child.on('message', ({ phase }: { phase: string }) => {
    cpuAt[phase] = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuUs(pid)]));
  });
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  await once(child, 'exit');
  const figures = JSON.parse(line) as Figures & { issued: number };
  const cpu = Object.fromEntries(
    Object.keys(pids).map((name) => [
      name,
      Number(((cpuAt['drain']![name]! - cpuAt['measured']![name]!) / figures.issued).toFixed(1)),
    ]),
  );
  const after = await ends();
  const batch = {
    frame: Number((figures.sent / (after.frames - before.frames)).toFixed(1)),
    record: Number((figures.sent / (after.records - before.records)).toFixed(1)),
  };
  return { ...figures, cpu, batch, yardstick: await yardstick() };
}

/** Streams like the command logs, which nobody reads: the yardstick must leave no work behind. */
async function createYardstickStreams() {
  for (let p = 0; p < partitions; p++) {
    await jsApi(nc, `STREAM.CREATE.YARDSTICK_${p}`, {
      name: `YARDSTICK_${p}`,
      subjects: [`yardstick.${p}`],
      storage: 'file',
      retention: 'limits',
      discard: 'old',
      max_bytes: 64 * 1024 * 1024,
      num_replicas: 1,
    });
  }
}

/** Last sequences of all command logs and journals, summed. */
async function ends() {
  let frames = 0;
  let records = 0;
  for (let p = 0; p < partitions; p++) {
    frames += (await commandBounds(nc, p)).last;
    records += (await journalBounds(nc, p)).last;
  }
  return { frames, records };
}

/** Bare appends of frames of the same commands, 16 subjects, pipelined, no engine work: what the log alone takes. */
async function yardstick(): Promise<number> {
  const publisher = ringPublisher(nc);
  const commands = Array.from({ length: 64 }, (_, i): CommandEnvelope => ({
    id: `yard-${runNumber}:${i + 1}`,
    to: { kind: 'account', key: `yard-${i}`, id: `yard-${i}` },
    type: 'add',
    body: { amount: 3 },
    reply: { inbox: '_R_.00000000-0000-0000-0000-000000000000', token: i },
    deadline: 0,
    correlation: null,
  }));
  const frames = Array.from({ length: partitions }, () =>
    Uint8Array.from(encodeFrame({ kind: 'commands', writer: 'yardstick', first: 1, commands })),
  );
  const started = performance.now();
  let stored = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: 64 }, async () => {
      while (performance.now() - started < 3_000) {
        const p = next++ % partitions;
        await publisher.publish(`yardstick.${p}`, frames[p]!);
        stored += commands.length;
      }
    }),
  );
  publisher.close();
  const perSecond = Math.round((stored / (performance.now() - started)) * 1_000);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return perSecond;
}

function show(run: Run): Run {
  const { perSecond, p50Ms, p99Ms, p999Ms, cpu, batch, refused, wrong, errors, codes } = run;
  const count = (n: number) => n.toLocaleString('en');
  const parts = [
    `${count(perSecond)} commands/s`,
    `commit p50 ${p50Ms} p99 ${p99Ms} p99.9 ${p999Ms} ms`,
    `CPU µs/command ${Object.entries(cpu)
      .map((entry) => entry.join(' '))
      .join(', ')}`,
    `per frame ${batch.frame}, per record ${batch.record}`,
    `refused ${refused} wrong ${wrong} errors ${errors} ${JSON.stringify(codes)}`,
    `yardstick ${count(run.yardstick)}/s bare, ratio ${(perSecond / run.yardstick).toFixed(2)}`,
  ];
  process.stdout.write(`${parts.join(' · ')}\n`);
  return run;
}

async function startEngineProcess(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...profiling, youngGeneration, here('account/engine_process.js')], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}
