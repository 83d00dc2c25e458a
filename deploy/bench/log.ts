/**
 * What the log itself can do on this machine, server and client together: the yardstick for everything above it.
 * `npm run bench -- log [messages]`; a fresh nats-server in a temporary directory, one connection, 16 partitions.
 */
import {
  connectLog,
  internal,
  openDoor,
  provision,
  pull,
  ringPublisher,
  stream,
  tailCommandBatches,
  tailCommands,
  type Reader,
} from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';

const messages = Number(process.argv[2] ?? 200_000);
const partitions = 16;
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'bench log');
await provision(nc, { partitions });

const report = (what: string, figure: string) => process.stdout.write(`${what.padEnd(48)} ${figure}\n`);
const perSecond = (count: number, ms: number) => Math.round((count / ms) * 1_000).toLocaleString('en');

/** Runs `work` for 0 … count − 1 with so many under way; returns ms. */
async function pipelined(count: number, underWay: number, work: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: underWay }, async () => {
      while (next < count) await work(next++);
    }),
  );
  return performance.now() - started;
}

/** Time until `count` messages have been read by what `start` opens, ms. */
async function reading(count: number, start: (read: (n: number) => void) => Promise<Reader>): Promise<number> {
  const started = performance.now();
  let left = count;
  let done = () => undefined as void;
  const all = new Promise<void>((resolve) => (done = resolve));
  const reader = await start((n) => {
    left -= n;
    if (left <= 0) done();
  });
  await all;
  const ms = performance.now() - started;
  await reader.stop();
  return ms;
}

const publisher = ringPublisher(nc);
const small = new Uint8Array(100);
const appendMs = await pipelined(messages, 2_000, () => publisher.publish(internal.commands(0), small));
report('append 100 B, 2,000 in flight', `${perSecond(messages, appendMs)} acks/s`);

const batchMs = await reading(messages, (read) => tailCommandBatches(nc, 0, 1, (frames) => read(frames.length)));
report('read 100 B in batches', `${perSecond(messages, batchMs)} messages/s`);
const singleMs = await reading(messages, (read) => tailCommands(nc, 0, 1, () => read(1)));
report('read 100 B one by one', `${perSecond(messages, singleMs)} messages/s`);

const record = new Uint8Array(32 * 1024);
const records = Math.ceil(messages / 20);
let last = 0;
const recordMs = await pipelined(records, 4, () =>
  publisher.publish(internal.journal(0), record, { expectedLastSequence: last++ }),
);
report('append 32 KiB with expected sequence, 4 in flight', `${perSecond(records, recordMs)} records/s`);

const door = await openDoor(nc, { name: 'bench', partitions });
const command = (i: number) => ({
  id: `bench:${i}`,
  to: { kind: 'account', key: `k${i % 10_000}`, id: `k${i % 10_000}` },
  type: 'add',
  body: { amount: i },
  fact: true,
});
const doorMs = await pipelined(messages, 4_000, (i) => door.append(command(i)));
report(`door, ${partitions} partitions, 4,000 in flight`, `${perSecond(messages, doorMs)} commands/s`);
const alone: number[] = [];
for (let i = 0; i < 2_000; i++) {
  const started = performance.now();
  await door.append(command(messages + i));
  alone.push(performance.now() - started);
}
alone.sort((a, b) => a - b);
report('door, one command at a time', `p50 ${alone[1_000]?.toFixed(2)} ms, p99 ${alone[1_980]?.toFixed(2)} ms`);
await door.close();

const idle: Reader[] = [];
for (let p = 0; p < partitions; p++) {
  for (let i = 0; i < 4; i++) idle.push(await pull(nc, stream.snapshots(p), { from: 1 }, () => undefined));
}
const before = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, 10_000));
const cpu = process.cpuUsage(before);
report(
  `${idle.length} idle readers`,
  `${((cpu.user + cpu.system) / 10_000).toFixed(2)} ms CPU per second in this process`,
);

await Promise.all(idle.map((reader) => reader.stop()));
publisher.close();
await nc.close();
await nats.stop();
