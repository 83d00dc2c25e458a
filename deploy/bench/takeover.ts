/**
 * `npm run bench -- takeover [--rounds 50] [--engines 3] [--every 50]`: engine processes share 16 partitions under a light load,
 * one is killed (kill -9), again and again. Measured is, for each partition of the killed one, the time from the kill to the first
 * reply that its new owner gave; every reply of the run is checked, and so are the journals at the end.
 * Yardstick, in the same run: from the kill of a process that only answers pings to "no responders", asked every ms.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RequestError } from '@nats-io/transport-node';
import { partitionOf } from '#actors/partition_key';
import {
  anyCommits,
  connectLog,
  journalBounds,
  openDoor,
  provision,
  readJournal,
  type CommitPositions,
} from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { rendezvous } from '#engine/ownership/rendezvous';
import { verifyPartitions } from '#engine/partition/verify';
import { youngGeneration } from '#engine/supervisor/role';
import { packr } from '#engine/wire';
import { hardware } from './lib/process_cpu.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    engines: { type: 'string', default: '3' },
    every: { type: 'string', default: '50' },
  },
});
const rounds = Number(values.rounds);
const everyMs = Number(values.every);
const partitions = 16;
const accountsPerPartition = 16;
const roundsPerSet = 5;
const yardstickRounds = 5;
const gateMs = 1_000;
const targetMs = 500;
const all = Array.from({ length: partitions }, (_, p) => p);
const here = (file: string) => new URL(file, import.meta.url).pathname;
const say = (line: string) => void process.stdout.write(`${line}\n`);

// Ends the server too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'bench');
await provision(nc, { partitions });
const env = {
  ...process.env,
  GRIDTICK_NATS_URL: nats.url,
  GRIDTICK_PARTITIONS: String(partitions),
  GRIDTICK_LOG_LEVEL: process.env['GRIDTICK_LOG_LEVEL'] ?? 'error',
};

/** Who owns what, as the engines say. */
const owners = new Map<number, { engine: string; epoch: number }>();
nc.subscribe(anyCommits, {
  callback: (_error, message) => {
    const { engine, partitions: told } = packr.unpack(message.data) as CommitPositions;
    for (const [p, , , , epoch = 0] of told) if (epoch >= (owners.get(p)?.epoch ?? 0)) owners.set(p, { engine, epoch });
  },
});

interface EngineProcess {
  child: ChildProcess;
  id: string;
}
const engines: EngineProcess[] = [];

async function start(file: string): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [youngGeneration, here(file)], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, line };
}

async function startEngine() {
  const { child, line } = await start('account/engine_process.js');
  engines.push({ child, id: (JSON.parse(line) as { engine: string }).engine });
}

/** Every partition is where it should be. */
async function balanced() {
  const ids = engines.map(({ id }) => id);
  while (!all.every((p) => owners.get(p)?.engine === rendezvous(p, ids))) await sleep(20);
}

/** The accounts of each partition get commands in turn, and every answer is what it must be. */
class Load {
  /** Per partition: replies since the kill, by place in the journal and time. */
  readonly replies: { sequence: number; at: number }[][] = all.map(() => []);
  sent = 0;
  answered = 0;
  readonly wrong: string[] = [];
  readonly #door;
  readonly #timers: NodeJS.Timeout[];

  constructor(door: Awaited<ReturnType<typeof openDoor>>) {
    this.#door = door;
    this.#timers = all.map((p) => {
      let n = 0;
      const ids = keysOf(p);
      return setInterval(() => {
        this.#send(p, ids[n % ids.length]!, Math.floor(n / ids.length) + 1);
        n += 1;
      }, everyMs);
    });
  }

  #send(partition: number, id: string, n: number) {
    this.sent += 1;
    const to = { kind: 'account', key: id, id };
    const command = { id: `load:${n}`, to, type: 'add', body: { amount: 3 }, timeoutMs: 30_000 };
    void this.#door.request(command).then((result) => {
      this.answered += 1;
      if (result.ok && result.value === 3 * n)
        this.replies[partition]!.push({ sequence: Number(result.at.split(':')[1]), at: performance.now() });
      else this.wrong.push(`${id} ${n}: ${JSON.stringify(result)}`);
    });
  }

  forget() {
    for (const replies of this.replies) replies.length = 0;
  }

  async end() {
    for (const timer of this.#timers) clearInterval(timer);
    const until = performance.now() + 30_000;
    while (this.answered < this.sent && performance.now() < until) await sleep(10);
    await this.#door.close();
  }
}

/** Accounts that live in the partition: so many that an answer asked for again is still remembered after a takeover. */
function keysOf(partition: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < accountsPerPartition; i++)
    if (partitionOf(`account-${i}`, partitions) === partition) keys.push(`account-${i}`);
  return keys;
}

/** ms from the kill to the first reply of the new owner, for each partition of the killed engine. */
async function round(load: Load): Promise<number[]> {
  await balanced();
  const owning = engines.filter(({ id }) => all.some((p) => owners.get(p)!.engine === id));
  const victim = owning[Math.floor(Math.random() * owning.length)]!;
  const lost = all.filter((p) => owners.get(p)!.engine === victim.id);
  const before = new Map(await Promise.all(lost.map(async (p) => [p, (await journalBounds(nc, p)).last] as const)));
  // Not in step with the load, nor with the pings.
  await sleep(Math.random() * 200);
  load.forget();
  const killedAt = performance.now();
  victim.child.kill('SIGKILL');
  engines.splice(engines.indexOf(victim), 1);
  const times = await Promise.all(
    lost.map(async (p) => {
      const taken = await epochRecordAfter(p, before.get(p)!);
      for (;;) {
        const first = load.replies[p]!.find(({ sequence }) => sequence > taken);
        if (first) return first.at - killedAt;
        if (load.wrong.length > 0) throw new Error(`a wrong answer: ${load.wrong[0]!}`);
        await sleep(5);
      }
    }),
  );
  await startEngine();
  return times;
}

/** Where the new owner's first record stands. */
async function epochRecordAfter(partition: number, sequence: number): Promise<number> {
  for (let next = sequence + 1; ;) {
    const stored = await readJournal(nc, partition, next);
    if (stored?.record.kind === 'epoch') return next;
    if (stored) next += 1;
    else await sleep(20);
  }
}

async function yardstick(): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < yardstickRounds; i++) {
    const { child } = await start('takeover/bare_process.js');
    const killedAt = performance.now();
    child.kill('SIGKILL');
    while (!(await isGone())) await sleep(1);
    times.push(performance.now() - killedAt);
  }
  return times;
}

async function isGone(): Promise<boolean> {
  try {
    await nc.request('bare.ping', '', { timeout: 20 });
    return false;
  } catch (error) {
    return error instanceof RequestError && error.isNoResponders();
  }
}

const percentile = (times: readonly number[], p: number) =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.ceil(times.length * p) - 1)]!;
const figures = (times: readonly number[]) =>
  `p50 ${percentile(times, 0.5).toFixed(0)}, p95 ${percentile(times, 0.95).toFixed(0)}, max ${Math.max(...times).toFixed(0)} ms`;

let failed = false;
try {
  const size = `${values.engines} engines, ${partitions} partitions, ${(partitions * 1_000) / everyMs} commands/s`;
  say(`${hardware()}; ${size}`);
  const bare = await yardstick();
  for (let i = 0; i < Number(values.engines); i++) await startEngine();
  const load = new Load(await openDoor(nc, { name: 'load', partitions, lagMax: { commands: 1e6, ms: 60_000 } }));
  const times: number[] = [];
  const whole: number[] = [];
  for (let set = 0; set * roundsPerSet < rounds; set++) {
    const ofSet: number[] = [];
    for (let n = set * roundsPerSet; n < Math.min(rounds, (set + 1) * roundsPerSet); n++) {
      const ofRound = await round(load);
      ofSet.push(...ofRound);
      whole.push(Math.max(...ofRound));
      process.stderr.write(`\r${whole.length} of ${rounds}: ${ofRound.map((ms) => ms.toFixed(0)).join(' ')} ms\x1b[K`);
    }
    say(`  rounds ${set * roundsPerSet + 1} to ${whole.length}: ${ofSet.length} partitions, ${figures(ofSet)}`);
    times.push(...ofSet);
  }
  await load.end();
  const verdicts = await verifyPartitions(nc, all);
  const problems = verdicts.flatMap((verdict) => verdict.problems);
  const p95 = percentile(times, 0.95);
  say(`takeover, ${times.length} partitions in ${whole.length} rounds: ${figures(times)}`);
  say(`  until the last partition of a round is served: ${figures(whole)}`);
  say(
    `  yardstick, kill to "no responders": ${figures(bare)}; ratio of p50 ${(percentile(times, 0.5) / percentile(bare, 0.5)).toFixed(1)}`,
  );
  say(
    `  commands ${load.sent}, answered ${load.answered}, wrong ${load.wrong.length}; journal problems ${problems.length}`,
  );
  for (const line of [...load.wrong.slice(0, 5), ...problems.slice(0, 5)]) say(`    ${line}`);
  say(
    `  gate p95 < ${gateMs} ms: ${p95 < gateMs ? 'met' : 'MISSED'}; target ${targetMs} ms: ${p95 < targetMs ? 'met' : 'missed'}`,
  );
  failed = p95 >= gateMs || load.answered < load.sent || load.wrong.length > 0 || problems.length > 0;
} finally {
  for (const { child } of engines) {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await nc.close();
  await nats.stop();
}
if (failed) process.exitCode = 1;
