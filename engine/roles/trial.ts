/** Lets another process decide what comes next in a partition, within limits of time and memory, and sees whether it lives. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { getHeapStatistics } from 'node:v8';
import type { DeadlyUnit } from '../partition/owner.ts';

export interface TrialProcess {
  /** The file to run; like this process in all else. */
  file: string;
  partition: number;
  deadly: readonly string[];
  /** A unit that takes longer is one that never ends, ms. */
  unitMs: number;
}

/** Reading state and commands may take so long, ms. */
const readMs = 120_000;

/**
 * The unit that ended the process, by itself or because it took too long; null when it came to its end.
 * @throws when it failed for another reason, so that nothing is known
 */
export async function trial({ file, partition, deadly, unitMs }: TrialProcess): Promise<DeadlyUnit | null> {
  const heapMiB = Math.floor(getHeapStatistics().heap_size_limit / 1_048_576);
  const limits = [...process.execArgv.filter((arg) => !arg.startsWith('--inspect')), `--max-old-space-size=${heapMiB}`];
  const child = spawn(process.execPath, [...limits, file, String(partition), JSON.stringify(deadly)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let under: DeadlyUnit | null = null;
  let survived = false;
  let overdue: NodeJS.Timeout | undefined;
  const within = (ms: number) => {
    clearTimeout(overdue);
    overdue = setTimeout(() => child.kill('SIGKILL'), ms);
  };
  within(readMs);
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'survived') survived = true;
    const [, sequence, unit] = /^(\d+) (.*)$/.exec(line) ?? [];
    under = unit === undefined ? null : { unit, sequence: Number(sequence) };
    // Between units it reads; only within one is time the unit's own.
    within(under === null ? readMs : unitMs);
  });
  try {
    await once(child, 'close');
  } finally {
    clearTimeout(overdue);
  }
  if (survived) return null;
  if (under === null) throw new Error(`the trial of partition ${partition} ended, and not by anything it decided`);
  return under;
}
