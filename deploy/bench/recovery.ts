/**
 * `npm run bench -- recovery [--entities 100000] [--tail 20000] [--runs 3]`: an engine that starts on what another one left: a
 * snapshot of that many entities in each of 16 partitions, and a journal behind it that changed `tail` of them. Measured until
 * the first reply of every partition, asked before the process was there.
 * Yardstick, in the same run: the bytes it has to read, pulled from the same streams with nothing done to them.
 */
import { parseArgs } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import { partitionOf } from '#actors/partition_key';
import { connectLog, journalBounds, openDoor, provision, snapshotBounds, stream, type Bounds } from '#engine/log/mod';
import { readRange } from '#engine/log/range';
import { startTestNats } from '#engine/log/testing';
import { addTo, addToAll, MeasuredEngine } from './lib/measured_engine.ts';
import { cpuUs, hardware } from './lib/process_cpu.ts';

const { values } = parseArgs({
  options: {
    entities: { type: 'string', default: '100000' },
    tail: { type: 'string', default: '20000' },
    runs: { type: 'string', default: '3' },
  },
});
const entities = Number(values.entities);
const tail = Math.min(entities, Number(values.tail));
const partitions = 16;
const gateMs = 2_000;
const targetMs = 1_000;
const all = Array.from({ length: partitions }, (_, p) => p);
const say = (line: string) => void process.stdout.write(`${line}\n`);
const ms = (n: number) => `${Math.round(n).toLocaleString('en')} ms`;

// Ends the server too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'bench');
await provision(nc, { partitions });
const env = { ...process.env, GRIDTICK_NATS_URL: nats.url, GRIDTICK_PARTITIONS: String(partitions) };

/** One account of each partition, not changed behind the snapshot unless all are. */
const asked = all.map((p) => {
  for (let i = entities - 1; i >= 0; i--) if (partitionOf(`account-${i}`, partitions) === p) return i;
  throw new Error(`no account in partition ${p}`);
});
let round = 0;

/** Leaves a snapshot of everything, and behind it a journal. */
async function fill(): Promise<number[]> {
  const engine = new MeasuredEngine(env);
  await engine.next('ready');
  await addToAll(nc, partitions, entities, 0);
  const before = await Promise.all(all.map((p) => journalBounds(nc, p)));
  await engine.ask('snapshot');
  await addToAll(nc, partitions, tail, 1);
  await engine.stop();
  return before.map(({ last }) => last);
}

/** The first replies of all partitions, ms since the process was started: of the first and of the last partition. */
async function run(client: NatsConnection) {
  const door = await openDoor(client, { name: 'asker', partitions, lagMax: { commands: 1e6, ms: 600_000 } });
  const number = ++round;
  const engine = new MeasuredEngine(env);
  const replied = Promise.all(
    asked.map(async (account) => {
      await addTo(door, account, account < tail ? number + 1 : number);
      return performance.now() - engine.forkedAt;
    }),
  );
  const ready = await engine.next('ready');
  const times = await replied;
  const cpuMs = cpuUs(engine.pid) / 1_000;
  await engine.stop();
  await door.close();
  return { ...ready, cpuMs, firstMs: Math.min(...times), lastMs: Math.max(...times) };
}

/** Everything that a recovery reads: the snapshots, and the journals behind them. */
async function yardstick(from: readonly number[]): Promise<{ readMs: number; bytes: number }> {
  const startedAt = performance.now();
  let bytes = 0;
  const read = async (name: string, first: number, { last }: Bounds) => {
    for await (const messages of readRange(nc, name, first, last))
      for (const message of messages) bytes += message.bytes.length;
  };
  await Promise.all(
    all.map(async (p) => {
      await read(stream.snapshots(p), 1, await snapshotBounds(nc, p));
      await read(stream.journal(p), from[p]! + 1, await journalBounds(nc, p));
    }),
  );
  return { readMs: performance.now() - startedAt, bytes };
}

try {
  say(`${hardware()}; ${entities} entities in ${partitions} partitions, ${tail} of them changed behind the snapshot`);
  const snapshotAt = await fill();
  const bare = await yardstick(snapshotAt);
  say(`yardstick: ${(bare.bytes / 1e6).toFixed(1)} MB read in ${ms(bare.readMs)}`);
  const runs = [];
  for (let i = 0; i < Number(values.runs); i++) {
    const figures = await run(nc);
    const { bootMs, startMs, firstMs, lastMs, cpuMs } = figures;
    if (figures.entities !== entities) throw new Error(`${figures.entities} entities were recovered`);
    runs.push(figures);
    say(
      `  process ${ms(bootMs)}, from start() to all recovered ${ms(startMs)}, to the last partition's first reply ${ms(lastMs - bootMs)}; ` +
        `since the process began: first reply ${ms(firstMs)}, all ${ms(lastMs)}; CPU ${ms(cpuMs)}`,
    );
  }
  const worst = Math.max(...runs.map(({ bootMs, lastMs }) => lastMs - bootMs));
  const whole = Math.max(...runs.map(({ lastMs }) => lastMs));
  say(`recovery, worst of ${runs.length}: ${ms(worst)}, ${(worst / bare.readMs).toFixed(1)} × the yardstick`);
  const verdict = (most: number, no: string) => `${ms(most)}: ${whole <= most ? 'met' : no}`;
  say(
    `  with the start of the process ${ms(whole)}; gate ${verdict(gateMs, 'MISSED')}; target ${verdict(targetMs, 'missed')}`,
  );
  if (whole > gateMs) process.exitCode = 1;
} finally {
  await nc.close();
  await nats.stop();
}
