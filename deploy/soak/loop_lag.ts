/**
 * Loaded into every process of a soak (`node --import`): writes what the process holds and how late its event loop was, every
 * few seconds, to `<GRIDTICK_SOAK_DIR>/<pid>.json`.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopFigures {
  /** Of the last {@link everyMs}. */
  p99Ms: number;
  maxMs: number;
  heapUsedMib: number;
}
const everyMs = 5_000;

const folder = process.env.GRIDTICK_SOAK_DIR;
if (folder) {
  const resolution = 10;
  const delays = monitorEventLoopDelay({ resolution });
  delays.enable();
  const file = join(folder, `${process.pid}.json`);
  setInterval(() => {
    const ms = (ns: number) => Math.max(0, Math.round(ns / 1e6 - resolution));
    const heapUsedMib = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
    const figures: LoopFigures = { p99Ms: ms(delays.percentile(99)), maxMs: ms(delays.max), heapUsedMib };
    delays.reset();
    // A reader never sees half of it.
    writeFileSync(`${file}.new`, JSON.stringify(figures));
    renameSync(`${file}.new`, file);
  }, everyMs).unref();
}
