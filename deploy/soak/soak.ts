/**
 * `npm run soak [-- --minutes 60] [--chargers 900] [--warm 10] [--max-bytes 8MiB]`: a whole installation under a steady load of chargers; 900 of
 * them at a sample a second are 30 % of what `npm run bench -- ocpp` reaches on two cores. Tells every minute what each process
 * holds, how late its event loop was, and how long answers took; at the end whether anything grows.
 * With `--max-bytes` a journal holds so much and everything else in proportion: the log must go round and lose nothing.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { loadConfig } from '#engine/config/config';
import { connectLog, openDoor } from '#engine/log/mod';
import { startInstallation } from '#engine/supervisor/installation';
import { natsUrl, realParts, redisUrl, type Parts } from '#engine/supervisor/parts';
import { hardware, rssKib } from '../bench/lib/process_cpu.ts';
import { registerFleet, tag } from '../bench/ocpp/fleet.ts';
import { Program } from '../bench/ocpp/processes.ts';
import { textTable } from '../lib/text_table.ts';
import { BoundsWatch, metersStored, scaleOf } from './bounds.ts';
import type { MinuteOfLoad } from './load.ts';
import type { LoopFigures } from './loop_lag.ts';
import { slopeOf, type Slope } from './slope.ts';

const { values: args } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    warm: { type: 'string' },
    chargers: { type: 'string', default: '900' },
    'max-bytes': { type: 'string' },
  },
});
const maxBytes = args['max-bytes'];
const logScale = maxBytes === undefined ? undefined : scaleOf(maxBytes);
const minutes = Number(args.minutes);
/** Caches fill and the JIT settles in the first part; what counts is behind it. */
const warmMinutes = args.warm === undefined ? Math.min(10, minutes / 3) : Number(args.warm);
const lookEveryMs = 5_000;
/** A process may gain so much of its memory in an hour, if its slope is no noise. */
const grownPercentMax = 5;
/** Below this many minutes behind the warm-up a slope is no proof. */
const provenMinutes = 30;
const laterThanMax = 1.5;
/** Until the history has what was answered last. */
const drainMs = 60_000;

interface Look {
  /** Minutes from the beginning of the load. */
  at: number;
  rssMib: number;
  loopP99Ms: number | null;
  loopMaxMs: number | null;
}

const dir = mkdtempSync(join(tmpdir(), 'gridtick-soak-'));
const figures = join(dir, 'figures');
mkdirSync(figures);
const probe = ['--import', new URL('./loop_lag.js', import.meta.url).href];
const parts: Parts = {
  ...realParts,
  roles: (place) =>
    realParts.roles(place).map((spec) => ({
      ...spec,
      env: { ...spec.env, GRIDTICK_SOAK_DIR: figures },
      args: spec.command === process.execPath ? [...probe, ...spec.args] : spec.args,
    })),
};

function loopOf(pid: number): LoopFigures | null {
  try {
    return JSON.parse(readFileSync(join(figures, `${pid}.json`), 'utf8')) as LoopFigures;
  } catch {
    return null;
  }
}

const say = (line: string) => console.log(line);
const one = (n: number) => n.toFixed(1);

/** What grows, in words; empty when nothing does. */
function verdictOf(name: string, { slope, error, mean }: Slope): string {
  const perHour = slope * 60;
  const isNoise = slope <= 2 * error;
  return isNoise || perHour <= (mean * grownPercentMax) / 100 ? '' : `${name} grows by ${one(perHour)} MiB an hour`;
}

async function soak(): Promise<string[]> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const looks = new Map<string, Look[]>();
  const load: MinuteOfLoad[] = [];
  const bounded: string[] = [];
  try {
    const ports = ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0'] as const);
    const config = loadConfig({
      ...Object.fromEntries(ports),
      GRIDTICK_DATA_DIR: join(dir, 'data'),
      GRIDTICK_DEMO: 'false',
      GRIDTICK_LOG_LEVEL: 'warn',
      ...(logScale !== undefined && { GRIDTICK_LOG_SCALE: String(logScale) }),
    });
    const installation = await startInstallation({ config, parts, say: (line) => process.stderr.write(`  ${line}\n`) });
    closers.push(() => installation.stop());
    const nc = await connectLog(natsUrl(installation.place), 'soak');
    closers.push(() => nc.close());
    const redis = new Redis(redisUrl(installation.place));
    closers.push(() => redis.disconnect());
    const door = await openDoor(nc, { name: 'soak', partitions: config.partitions });
    await registerFleet(door, redis, Number(args.chargers), {
      chargersPerSite: 50,
      chargersPerStation: 10,
      ratedW: 11_040,
    });
    await door.close();

    const program: Program = new Program(
      new URL('./load.js', import.meta.url).href,
      { url: installation.endpoints.ocpp, chargers: args.chargers, tag },
      (line) => {
        if (!('minute' in line)) return;
        const of = line as unknown as MinuteOfLoad;
        load.push(of);
        const rss = [...looks].map(([name, list]) => `${name} ${Math.round(list.at(-1)!.rssMib)}`).join(', ');
        say(
          `minute ${of.minute}: ${of.answered} answered, ${of.failed} failed, p50 ${of.p50Ms} p99 ${of.p99Ms} ms; MiB: ${rss}`,
        );
      },
    );
    closers.push(() => program.stop().then(() => undefined));
    await program.line('charging');
    const watch = new BoundsWatch(nc, config.partitions);
    const began = Date.now();
    while (Date.now() - began < minutes * 60_000 + lookEveryMs) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      await watch.look();
      for (const [name, pid] of Object.entries(installation.pids())) {
        const loop = loopOf(pid);
        const list = looks.get(name) ?? [];
        looks.set(name, list);
        list.push({
          at: (Date.now() - began) / 60_000,
          rssMib: rssKib(pid) / 1_024,
          loopP99Ms: loop?.p99Ms ?? null,
          loopMaxMs: loop?.maxMs ?? null,
        });
      }
    }
    if (maxBytes !== undefined) {
      await program.stop();
      const answered = load.reduce((sum, minute) => sum + minute.answered, 0);
      bounded.push(...(await boundsKept(watch, answered, () => metersStored(installation.place))));
    }
  } finally {
    for (const close of closers.reverse()) await close();
  }
  return [...bounded, ...report(looks, load)];
}

/** Whether the streams went round, and whether the history has every sample that was answered. */
async function boundsKept(watch: BoundsWatch, answered: number, stored: () => Promise<number>): Promise<string[]> {
  let found = await stored();
  const deadline = Date.now() + drainMs;
  while (found < answered && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    found = await stored();
  }
  const { commandsRounds, journalRounds, fullest } = watch.went;
  say(
    `\nbounds of ${maxBytes}: the fullest command log went round ${one(commandsRounds)} times, the fullest journal ` +
      `${one(journalRounds)} times; at most ${one(fullest * 100)} % full; ${answered} samples answered, ${found} in the history`,
  );
  const problems = [];
  if (found < answered) problems.push(`${answered - found} answered samples are not in the history`);
  if (commandsRounds < 1 || journalRounds < 1)
    problems.push('the streams did not go round: more minutes, or fewer bytes');
  return problems;
}

function report(looks: ReadonlyMap<string, Look[]>, load: readonly MinuteOfLoad[]): string[] {
  const problems: string[] = [];
  const rows = [...looks].map(([name, all]) => {
    const list = all.filter(({ at }) => at >= warmMinutes);
    const slope = slopeOf(list.map(({ at, rssMib }) => [at, rssMib]));
    const grown = verdictOf(name, slope);
    if (grown) problems.push(grown);
    const worst = (pick: (look: Look) => number | null) => {
      const seen = list.map(pick).filter((ms) => ms !== null);
      return seen.length === 0 ? '–' : String(Math.max(...seen));
    };
    return [
      ...[name, one(all[0]!.rssMib), one(slope.mean), one(all.at(-1)!.rssMib)],
      `${one(slope.slope * 60)} ± ${one(slope.error * 120)}`,
      ...[worst(({ loopP99Ms }) => loopP99Ms), worst(({ loopMaxMs }) => loopMaxMs)],
    ];
  });
  say(`\n${hardware()}: ${args.chargers} chargers, ${minutes} min, of which ${one(warmMinutes)} warm-up`);
  say(
    textTable([
      ['process', 'MiB at start', 'mean', 'at end', 'slope, MiB/h', 'worst p99 of the event loop, ms', 'worst, ms'],
      ...rows,
    ]),
  );
  const perMinute = load.map((m) => [m.minute, m.answered, m.failed, m.p50Ms, m.p99Ms, m.maxMs].map(String));
  say(`\n${textTable([['minute', 'answered', 'failed', 'p50, ms', 'p99, ms', 'max, ms'], ...perMinute])}`);
  const counted = load.filter(({ minute }) => minute > warmMinutes).map(({ p99Ms }) => p99Ms);
  const third = Math.ceil(counted.length / 3);
  const median = (list: number[]) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  const [first, last] = [median(counted.slice(0, third)), median(counted.slice(-third))];
  if (last > first * laterThanMax) problems.push(`p99 went from ${first} to ${last} ms`);
  const failed = load.reduce((sum, minute) => sum + minute.failed, 0);
  if (failed > 0) problems.push(`${failed} messages were not answered, or with an error`);
  return problems;
}

const problems = await soak().finally(() => rmSync(dir, { recursive: true, force: true }));
const isShort = minutes - warmMinutes < provenMinutes;
if (problems.length > 0) {
  say(`\nnot flat: ${problems.join('; ')}`);
  // So few minutes prove nothing, neither way.
  process.exitCode = isShort ? 0 : 1;
} else say(`\nflat: no process grows by more than ${grownPercentMax} % an hour, p99 stays`);
if (isShort)
  say(`(${one(minutes - warmMinutes)} min behind the warm-up are too few for a verdict; ${provenMinutes} are needed)`);
