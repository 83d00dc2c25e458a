/**
 * `npm run bench -- monitoring [--chargers 500] [--minutes 10] [--warm 20] [--picture FILE]`: chargers of both versions, each
 * with an open session and a sample of four values every 10 s, all roles, and one browser with the Monitoring page open: the
 * tree unfolded, the connectors of a site listed, its charts of the last hour. Prints tables for RESULTS.md.
 * Ends with 1 when a message is not answered, a value is missing, the page lost its line, or engine, live state or history
 * was a second behind.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from '@clickhouse/client';
import { Redis } from 'ioredis';
import { userAddress } from '#actors/mod';
import { loadConfig } from '#engine/config/config';
import { connectLog, openDoor, type Door } from '#engine/log/mod';
import { startInstallation, type Installation } from '#engine/supervisor/installation';
import { clickhouseUrl, natsUrl, redisUrl } from '#engine/supervisor/parts';
import { hashPassword } from '#gateway/auth/password';
import { hardware } from './lib/process_cpu.ts';
import { followLags, storedValues, type LagReport, type Stored } from './monitoring/lag.ts';
import type { LoadResult } from './monitoring/load.ts';
import { powerW, valuesPerSample } from './monitoring/messages.ts';
import { MonitoringPage, type Login, type Smoothness } from './monitoring/page.ts';
import { measureUse, type Use } from './monitoring/usage.ts';
import { registerFleet, siteOf, tag, type Layout } from './ocpp/fleet.ts';
import { Program } from './ocpp/processes.ts';
import type { Sinks } from './ocpp/progress.ts';

const { values: args } = parseArgs({
  options: {
    chargers: { type: 'string', default: '500' },
    minutes: { type: 'string', default: '10' },
    warm: { type: 'string', default: '20' },
    picture: { type: 'string' },
  },
});
const [chargers, minutes, warmS] = [args.chargers, args.minutes, args.warm].map(Number) as [number, number, number];
const everyMs = 10_000;
const layout: Layout = { chargersPerSite: 50, chargersPerStation: 10, ratedW: powerW };
const lagGateMs = 1_000;
/** For what is under way at the end to be answered, and to be readable. */
const settleMs = 60_000;

const say = (line: string) => process.stdout.write(`${line}\n`);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const round = (n: number, digits = 0) => Number(n.toFixed(digits)).toLocaleString('en');

interface Measured {
  load: LoadResult;
  lags: Record<string, LagReport>;
  stored: Stored;
  use: Record<string, Use>;
  smoothness: Smoothness;
  heapMib: { start: number; end: number };
  seconds: number;
  connection: string;
  problems: readonly string[];
}

async function openOperator(door: Door): Promise<Login> {
  const login = { email: 'operator@bench.local', password: randomBytes(12).toString('base64url') };
  const result = await door.request({
    id: 'bench:1',
    to: userAddress('bench-operator'),
    type: 'user.create',
    body: {
      email: login.email,
      name: 'Bench operator',
      passwordHash: await hashPassword(login.password),
      roles: ['operator'],
    },
  });
  if (!result.ok) throw new Error(`user.create: ${result.code}`);
  return login;
}

/** Waits until ClickHouse has what was answered; more than that will be told too. */
async function readable({ clickhouse }: Sinks, values: number, from: number): Promise<Stored> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const stored = await storedValues(clickhouse, from);
    if (stored.values >= values || Date.now() > deadline) return stored;
    await wait(250);
  }
}

async function measure(installation: Installation, sinks: Sinks, login: Login, load: Program): Promise<Measured> {
  const { dashboard } = installation.endpoints;
  const sites = Math.ceil(chargers / layout.chargersPerSite);
  const page = await MonitoringPage.open(dashboard, login, {
    site: siteOf(1, layout),
    nodes: sites + Math.ceil(chargers / layout.chargersPerStation) + chargers,
    connectors: Math.min(chargers, layout.chargersPerSite),
  });
  const lags = await followLags(sinks);
  try {
    await lags.during(warmS * 1_000);
    const heapStart = await page.heapMib();
    await page.reset();
    lags.reset();
    load.child.stdin?.write('measure\n');
    const from = Date.now();
    const use = measureUse({ ...installation.pids(), load: load.pid, bench: process.pid }, { chromium: page.pid });
    await lags.during(minutes * 60_000);
    const seconds = (Date.now() - from) / 1_000;
    load.child.stdin?.write('end\n');
    const [used, lagReport, smoothness] = [use.end(), lags.report(), await page.read()];
    const heapEnd = await page.heapMib();
    const connection = await page.connection();
    if (args.picture !== undefined) await page.screenshot(args.picture);
    const result = await load.result<LoadResult>(settleMs);
    const stored = await readable(sinks, result.samples * valuesPerSample, from);
    return {
      ...{ load: result, lags: lagReport, stored, use: used, smoothness, seconds, connection },
      heapMib: { start: heapStart, end: heapEnd },
      problems: page.problems,
    };
  } finally {
    await page.close();
    await lags.stop();
  }
}

function show({ load, lags, stored, use, smoothness, heapMib, seconds }: Measured): void {
  const rows: [string, string, string][] = [
    ['messages sent, answered', `${round(load.sent)}, ${round(load.answered)}`, 'equal'],
    ['unanswered, errors, sockets closed', `${load.unanswered}, ${load.errors}, ${load.closed}`, '0'],
    ['answer p50, p99, max', `${load.p50Ms}, ${load.p99Ms}, ${load.maxMs} ms`, ''],
    ...Object.entries(lags).map(([name, { p50Ms, p99Ms, maxMs }]): [string, string, string] => [
      `${name}: lag p50, p99, max`,
      `${[p50Ms, p99Ms, maxMs].map((ms) => round(ms)).join(', ')} ms`,
      `< ${round(lagGateMs)} ms`,
    ]),
    ['log to inserted row, of every value: p99, max', `${round(stored.p99Ms)}, ${round(stored.maxMs)} ms`, ''],
    ['values answered, in ClickHouse', `${round(load.samples * valuesPerSample)}, ${round(stored.values)}`, 'equal'],
    ['page: frames per second', round(smoothness.frames / seconds, 1), ''],
    ['… longest time between two frames', `${round(smoothness.longestGapMs)} ms`, ''],
    ['… tasks above 50 ms, longest', `${smoothness.longTasks}, ${round(smoothness.longestTaskMs)} ms`, ''],
    ['… JavaScript heap at start, at end', `${round(heapMib.start, 1)}, ${round(heapMib.end, 1)} MiB`, ''],
  ];
  say('\n| what | measured | wanted |\n|---|---|---|');
  for (const row of rows) say(`| ${row.join(' | ')} |`);
  say('\n| process | CPU, % of one core | memory at start, at end, MiB |\n|---|---|---|');
  for (const [name, { cpuPercent, startMib, endMib }] of Object.entries(use))
    say(`| ${name} | ${round(cpuPercent, 1)} | ${round(startMib)}, ${round(endMib)} |`);
  say(
    `| in all | ${round(
      Object.values(use).reduce((sum, { cpuPercent }) => sum + cpuPercent, 0),
      1,
    )} | |\n`,
  );
}

function missedIn({ load, lags, stored, connection, problems }: Measured): string[] {
  const values = load.samples * valuesPerSample;
  return [
    ...(load.unanswered === 0 ? [] : [`${load.unanswered} messages without an answer`]),
    ...(load.errors === 0 ? [] : [`${load.errors} messages answered with an error`]),
    ...(load.closed === 0 ? [] : [`${load.closed} sockets closed`]),
    ...(stored.values === values ? [] : [`${stored.values} values in ClickHouse of ${values}`]),
    ...Object.entries(lags).flatMap(([name, { maxMs }]) => (maxMs < lagGateMs ? [] : [`${name} ${maxMs} ms behind`])),
    ...(connection.toLowerCase().includes('live') ? [] : [`the page says '${connection}'`]),
    ...problems.slice(0, 3).map((problem) => `the page reported: ${problem}`),
  ];
}

const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-bench-'));
const anyPort = Object.fromEntries(
  ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0']),
);
const closers: (() => Promise<unknown> | void)[] = [() => rmSync(dataDir, { recursive: true, force: true })];
try {
  say(
    `${hardware()}: ${chargers} chargers, half 1.6 and half 2.0.1, a sample per ${everyMs / 1_000} s, ${minutes} min`,
  );
  const config = loadConfig({
    ...anyPort,
    GRIDTICK_DATA_DIR: dataDir,
    GRIDTICK_DEMO: 'false',
    GRIDTICK_LOG_LEVEL: 'warn',
  });
  const installation = await startInstallation({ config, say: (line) => process.stderr.write(`  ${line}\n`) });
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
  await registerFleet(door, redis, chargers, layout);
  const login = await openOperator(door);
  await door.close();

  const load = new Program('../monitoring/load.js', {
    ...{ url: installation.endpoints.ocpp, chargers, every: everyMs, tag },
  });
  closers.push(() => load.stop());
  await load.line('charging');
  const measured = await measure(installation, { nc, redis, clickhouse, partitions }, login, load);
  show(measured);
  const missed = missedIn(measured);
  say(missed.length === 0 ? 'all gates passed' : `missed: ${missed.join('; ')}`);
  if (missed.length > 0) process.exitCode = 1;
} finally {
  for (const close of closers.reverse()) await close();
}
