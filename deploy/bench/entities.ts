/**
 * `npm run bench -- entities [--entities 500000]`: so many accounts in one engine process: what they take in memory, and a
 * snapshot of all of them, partition by partition, with the longest pause of the loop meanwhile.
 * Yardstick, in the same run: the same process before it holds any, and its pauses at rest.
 */
import { parseArgs } from 'node:util';
import { connectLog, provision, snapshotBounds } from '#engine/log/mod';
import { startTestNats } from '#engine/log/testing';
import { addToAll, MeasuredEngine } from './lib/measured_engine.ts';
import { cpuUs, hardware, rssKib } from './lib/process_cpu.ts';

const { values } = parseArgs({ options: { entities: { type: 'string', default: '500000' } } });
const entities = Number(values.entities);
const partitions = 16;
const gateMib = 1_536;
const say = (line: string) => void process.stdout.write(`${line}\n`);
const mib = (kib: number) => `${Math.round(kib / 1_024).toLocaleString('en')} MiB`;

// Ends the server too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'bench');
await provision(nc, { partitions });

try {
  say(`${hardware()}; ${entities} entities in ${partitions} partitions of one process`);
  const engine = new MeasuredEngine({
    ...process.env,
    GRIDTICK_NATS_URL: nats.url,
    GRIDTICK_PARTITIONS: String(partitions),
  });
  await engine.next('ready');
  const empty = await engine.ask('memory');
  const startedAt = performance.now();
  await addToAll(nc, partitions, entities, 0);
  const seconds = (performance.now() - startedAt) / 1_000;
  const loadedKib = rssKib(engine.pid);
  const held = await engine.ask('memory');
  const cpuBefore = cpuUs(engine.pid);
  const snapshot = await engine.ask('snapshot');
  const cpuMs = (cpuUs(engine.pid) - cpuBefore) / 1_000;
  const after = await engine.ask('memory');
  const stored = await Promise.all(Array.from({ length: partitions }, (_, p) => snapshotBounds(nc, p)));
  await engine.stop();
  const perEntity = (kib: number) => Math.round(((kib - empty.heapKib) * 1_024) / entities);
  say(`made in ${seconds.toFixed(1)} s`);
  say(`  RSS ${mib(loadedKib)}, after collecting ${mib(held.rssAfterGcKib)} (empty: ${mib(empty.rssAfterGcKib)})`);
  say(`  heap in use ${mib(held.heapKib)} (empty: ${mib(empty.heapKib)}), ${perEntity(held.heapKib)} bytes an entity`);
  const storedMb = stored.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
  say(`snapshot: ${storedMb.toFixed(1)} MB in ${Math.round(snapshot.ms)} ms, ${Math.round(cpuMs)} ms of CPU`);
  say(
    `  longest pause ${snapshot.pauseMs.toFixed(1)} ms (at rest: ${snapshot.restPauseMs.toFixed(1)}); RSS after it ${mib(after.rssKib)}`,
  );
  const most = Math.max(loadedKib, held.rssKib, after.rssKib) / 1_024;
  say(`gate ${gateMib} MiB: ${most <= gateMib ? 'met' : 'MISSED'}`);
  if (most > gateMib) process.exitCode = 1;
} finally {
  await nc.close();
  await nats.stop();
}
