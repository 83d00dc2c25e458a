/**
 * `npm run bench -- ocpp [--seconds 20] [--warm 5] [--sockets 1000]`: what a fleet of chargers can say per second when each
 * MeterValues is durable before its answer, with engine and history running; beside a bare ocpp-rpc server that stores
 * nothing, in the same run, loaded by the same raw sender. Ends with 1 when the gate is missed or a value is.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { loadConfig } from '#engine/config/config';
import { connectLog, openDoor } from '#engine/log/mod';
import { startInstallation, type Installation } from '#engine/supervisor/installation';
import { clickhouseUrl, natsUrl, realParts, redisUrl, type Parts } from '#engine/supervisor/parts';
import { cpuUs, hardware, rssKib } from './lib/process_cpu.ts';
import { registerFleet, tag } from './ocpp/fleet.ts';
import { Program } from './ocpp/processes.ts';
import {
  catchUp,
  followLag,
  logLength,
  storedValues,
  type CaughtUp,
  type LagFollower,
  type Sinks,
} from './ocpp/progress.ts';

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    warm: { type: 'string', default: '5' },
    sockets: { type: 'string', default: '1000' },
  },
});
const [seconds, warmup, sockets] = [args.seconds, args.warm, args.sockets].map(Number) as [number, number, number];
const gate = 0.4;
const lagGateMs = 1_000;
const valuesPerMessage = 4;
const yardstickSeconds = Math.min(seconds, 8);
/** A directory for CPU profiles of engine, history and gateway. */
const profileDir = process.env['GRIDTICK_BENCH_PROFILE'];
const unlimited = { callsPerSecond: 1e6, callBurst: 1e6 };

interface LoadResult {
  perSecond: number;
  answered: number;
  answeredInAll: number;
  errorsInAll: number;
  sentInAll: number;
  closed: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
}
interface StormResult {
  accepted: number;
  refused: number;
  seconds: number;
}
type Micros = Record<string, number>;

const say = (line: string) => process.stdout.write(`${line}\n`);
const round = (n: number, digits = 0) => Number(n.toFixed(digits)).toLocaleString('en');
const show = (micros: Micros) =>
  Object.entries(micros)
    .map(([name, us]) => `${name} ${us.toFixed(1)}`)
    .join(', ');
const total = (micros: Micros) => Object.values(micros).reduce((a, b) => a + b, 0);
const ms = ({ p50Ms, p99Ms, p999Ms }: LoadResult) => `p50 ${p50Ms} p99 ${p99Ms} p99.9 ${p999Ms} ms`;

/** CPU time of each process since the snapshot, per message. */
const cpuOf = (pids: Record<string, number>): Micros =>
  Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuUs(pid)]));
const since = (before: Micros, after: Micros, messages: number): Micros =>
  Object.fromEntries(Object.keys(before).map((name) => [name, (after[name]! - before[name]!) / messages]));

/** Runs the sender. CPU is counted from the end of the warm-up until `settled`, and divided by what was answered in it. */
async function load(
  url: string,
  options: Record<string, string | number | true>,
  pids: Record<string, number>,
  atEnd: () => void = () => undefined,
  settled: (result: LoadResult) => Promise<void> = async () => undefined,
): Promise<LoadResult & { cpu: Micros }> {
  let before: Micros = {};
  let answeredBefore = 0;
  let senderBefore = 0;
  let sender = 0;
  const program: Program = new Program('load.js', { url, sockets, tag, warmup, ...options }, ({ phase, answered }) => {
    if (phase === 'measured') {
      before = cpuOf(pids);
      senderBefore = cpuUs(program.pid);
      answeredBefore = answered as number;
    } else if (phase === 'over') {
      sender = (cpuUs(program.pid) - senderBefore) / ((answered as number) - answeredBefore);
      atEnd();
    }
  });
  const result = await program.result<LoadResult>((Number(options['seconds']) + warmup + 60) * 1_000);
  await settled(result);
  const cpu = since(before, cpuOf(pids), result.answeredInAll - answeredBefore);
  return { ...result, cpu: { ...cpu, sender } };
}

/** Memory that each of the idle, connected chargers costs, KiB. */
async function idle(url: string, pid: number): Promise<number> {
  const before = rssKib(pid);
  const holder = new Program('load.js', { url, sockets, idle: true, seconds: 6 });
  await holder.line('open');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const after = rssKib(pid);
  await holder.result(20_000);
  return (after - before) / sockets;
}

const storm = (url: string) => new Program('load.js', { url, sockets, storm: true }).result<StormResult>(120_000);

async function bareServer(): Promise<{ program: Program; url: string }> {
  const program = new Program('yardstick.js', {});
  const { port } = await program.line('ready');
  return { program, url: `ws://127.0.0.1:${String(port)}/ocpp` };
}

/** Ours, with the limit per charger lifted, and profiled when asked. */
const parts: Parts = {
  ...realParts,
  roles: (place) =>
    realParts.roles(place).map((spec) => ({
      ...spec,
      env: { ...spec.env, GRIDTICK_TEST_OCPP_LIMITS: JSON.stringify(unlimited) },
      args: profileDir
        ? ['--cpu-prof', `--cpu-prof-dir=${profileDir}`, '--cpu-prof-name', `${spec.role}.cpuprofile`, ...spec.args]
        : spec.args,
    })),
};

/** Ratio of the rates that so many idle cores would allow: none of ours is faster than its busiest process, nor all than all cores. */
function byCpu(ours: Micros, bare: Micros, cores: number): number {
  const usPerMessage = (micros: Micros) => {
    // Two are no single thread.
    const { nats: _nats, clickhouse: _clickhouse, ...threads } = micros;
    return Math.max(...Object.values(threads), total(micros) / cores);
  };
  return usPerMessage(bare) / usPerMessage(ours);
}

async function compare(installation: Installation, sinks: Sinks, lag: LagFollower): Promise<boolean> {
  const { ocpp } = installation.endpoints;
  const pids = installation.pids();
  let messages = 0;

  const bare = await bareServer();
  const bareIdle = await idle(bare.url, bare.program.pid);
  const ourIdle = await idle(ocpp, pids['gateway']!);
  say(`idle charger: ${round(ourIdle, 1)} KiB resident, bare server ${round(bareIdle, 1)} KiB`);

  const ourStorm = await storm(ocpp);
  const bareStorm = await storm(bare.url);
  say(
    `boot storm of ${sockets}: last Accepted after ${ourStorm.seconds.toFixed(2)} s (${ourStorm.accepted} accepted, ` +
      `${ourStorm.refused} told to come back), bare server ${bareStorm.seconds.toFixed(2)} s (${bareStorm.accepted})`,
  );

  const yardstick = await load(bare.url, { seconds: yardstickSeconds }, { bare: bare.program.pid });
  say(`yardstick: ${round(yardstick.perSecond)} answered/s · ${ms(yardstick)} · CPU µs/message ${show(yardstick.cpu)}`);

  const ours = async (name: string, options: Record<string, number | true>) => {
    let engineLagMs = 0;
    let behind: CaughtUp = { engineMs: 0, historyMs: 0, redisMs: 0, publisherMs: 0 };
    const before = await logLength(sinks);
    const result = await load(
      ocpp,
      { start: true, ...options },
      pids,
      () => (engineLagMs = lag.worstMs()),
      async ({ answeredInAll }) => {
        messages += answeredInAll;
        behind = await catchUp(sinks, lag, { values: messages * valuesPerMessage, messages });
      },
    );
    const { errorsInAll, sentInAll, answeredInAll, closed, cpu } = result;
    const after = await logLength(sinks);
    const perFrame = answeredInAll / (after.frames - before.frames);
    const perRecord = answeredInAll / (after.records - before.records);
    say(
      `${name}: ${round(result.perSecond)} answered/s · ${ms(result)} · CPU µs/message ${show(cpu)} (in all ${total(cpu).toFixed(1)}; ` +
        `${perFrame.toFixed(1)} messages per frame, ${perRecord.toFixed(1)} per record) · ` +
        `engine lag in the last second ${engineLagMs} ms; after the last answer engine ${behind.engineMs} ms, ` +
        `history ${behind.historyMs} ms, live state ${behind.redisMs} ms, public stream ${behind.publisherMs} ms · ` +
        `errors ${errorsInAll}, unanswered ${sentInAll - answeredInAll - errorsInAll}, closed ${closed}`,
    );
    return { ...result, worstLagMs: Math.max(engineLagMs, ...(Object.values(behind) as number[])) };
  };
  const full = await ours('full load', { seconds });
  const again = await load(bare.url, { seconds: yardstickSeconds }, { bare: bare.program.pid });
  say(`yardstick again: ${round(again.perSecond)} answered/s · CPU µs/message ${show(again.cpu)}`);
  const half = await ours('half load, open loop', {
    seconds: Math.min(seconds, 15),
    rate: Math.round(full.perSecond / 2),
  });
  await bare.program.stop();

  const ratio = (2 * full.perSecond) / (yardstick.perSecond + again.perSecond);
  const gateway = full.cpu['gateway']! / ((yardstick.cpu['bare']! + again.cpu['bare']!) / 2);
  say(
    `ratio to the yardstick ${ratio.toFixed(2)} (gate ${gate}), gateway CPU ${gateway.toFixed(2)} × yardstick (goal 2)`,
  );
  say(
    `by CPU time alone, which other load on the machine changes least: ${byCpu(full.cpu, yardstick.cpu, cpus().length).toFixed(2)} on ` +
      `${cpus().length} cores, ${byCpu(full.cpu, yardstick.cpu, 8).toFixed(2)} on 8`,
  );
  const stored = await storedValues(sinks);
  const wanted = messages * valuesPerMessage;
  say(`sampled values answered ${round(wanted)}, in ClickHouse ${round(stored)}`);
  const missed = [
    ...(stored === wanted ? [] : [`${wanted - stored} values are missing or doubled`]),
    ...(ratio >= gate ? [] : [`ratio below ${gate}`]),
    ...(full.worstLagMs < lagGateMs ? [] : [`lag ${full.worstLagMs} ms at the end`]),
    ...(half.p99Ms < 250 ? [] : [`p99 ${half.p99Ms} ms at half load`]),
    ...(full.errorsInAll + half.errorsInAll === 0 ? [] : ['errors']),
    ...(ourStorm.accepted === sockets ? [] : ['not all boots were accepted']),
  ];
  say(missed.length === 0 ? 'all gates passed' : `missed: ${missed.join('; ')}`);
  return missed.length === 0;
}

const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-bench-'));
const anyPort = Object.fromEntries(
  ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0']),
);
const keep = process.env['GRIDTICK_BENCH_KEEP'] !== undefined;
const closers: (() => Promise<unknown> | void)[] = keep
  ? []
  : [() => rmSync(dataDir, { recursive: true, force: true })];
try {
  say(hardware());
  const config = loadConfig({
    ...anyPort,
    GRIDTICK_DATA_DIR: dataDir,
    GRIDTICK_DEMO: 'false',
    GRIDTICK_LOG_LEVEL: 'warn',
  });
  const installation = await startInstallation({ config, parts, say: (line) => process.stderr.write(`  ${line}\n`) });
  closers.push(() => installation.stop());
  const { place } = installation;
  const nc = await connectLog(natsUrl(place), 'bench');
  closers.push(() => nc.close());
  const redis = new Redis(redisUrl(place));
  closers.push(() => redis.disconnect());
  const clickhouse = createClient({
    url: clickhouseUrl(place),
    username: config.clickhouseUser,
    password: place.secrets.clickhouse,
  });
  closers.push(() => clickhouse.close());
  const { partitions } = config;
  const door = await openDoor(nc, { name: 'bench', partitions });
  await registerFleet(door, redis, sockets);
  await door.close();
  const lag = followLag(nc);
  closers.push(lag.stop);
  if (!(await compare(installation, { nc, redis, clickhouse, partitions }, lag))) process.exitCode = 1;
} finally {
  for (const close of closers.reverse()) await close();
}
