/**
 * The engine role over the benched machine, which measures itself when its parent process asks: how long it took to begin,
 * what it holds in memory, and a snapshot of everything with the pauses it causes. To be run with `--expose-gc`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import pino from 'pino';
import { loadConfig } from '#engine/config/config';
import { startEngine } from '#engine/roles/engine_role';
import { accountDomain } from './account.ts';

export type Asked = 'memory' | 'snapshot' | 'stop';
export type Answer =
  /** ms from the process's start to `startEngine`, and from there until it owned all its partitions; entities it has then. */
  | { is: 'ready'; bootMs: number; startMs: number; entities: number }
  /** KiB of live objects on the heap, and resident, before and after everything dead was collected. */
  | { is: 'memory'; rssKib: number; rssAfterGcKib: number; heapKib: number }
  /** `pauseMs`: longest turn of the event loop meanwhile; `restPauseMs`: in a second before, with nothing to do. */
  | { is: 'snapshot'; ms: number; pauseMs: number; restPauseMs: number };

const answer = (message: Answer) => process.send!(message);
const bootMs = performance.now();
const engine = await startEngine({
  config: loadConfig(process.env),
  domain: accountDomain,
  sinks: [],
  log: pino({ level: process.env['GRIDTICK_LOG_LEVEL'] ?? 'warn' }, pino.destination(2)),
  onFatal(error) {
    throw error;
  },
});
const entities = () => engine.owners.reduce((sum, { state }) => sum + state.entityCount, 0);
answer({ is: 'ready', bootMs, startMs: performance.now() - bootMs, entities: entities() });

/** Longest pause of the event loop while `work` runs, ms. */
async function pauseDuring(work: () => Promise<unknown>): Promise<number> {
  const pauses = monitorEventLoopDelay({ resolution: 1 });
  pauses.enable();
  await work();
  pauses.disable();
  return pauses.max / 1e6;
}

const kib = (bytes: number) => Math.round(bytes / 1024);

async function memory() {
  const before = process.memoryUsage();
  globalThis.gc?.();
  // What a collection frees is given back to the system a little later.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  globalThis.gc?.();
  const after = process.memoryUsage();
  answer({ is: 'memory', rssKib: kib(before.rss), rssAfterGcKib: kib(after.rss), heapKib: kib(after.heapUsed) });
}

async function snapshot() {
  const restPauseMs = await pauseDuring(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
  const startedAt = performance.now();
  const pauseMs = await pauseDuring(async () => {
    for (const owner of engine.owners) await owner.snapshot();
  });
  answer({ is: 'snapshot', ms: performance.now() - startedAt, pauseMs, restPauseMs });
}

process.on('message', (asked: Asked) => {
  if (asked === 'memory') void memory();
  else if (asked === 'snapshot') void snapshot();
  else void engine.close().then(() => process.exit(0));
});
