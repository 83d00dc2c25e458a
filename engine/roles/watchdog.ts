/**
 * Ends a process whose event loop stands still: a rule that never returns would hold its partitions for ever. A thread of its own
 * counts how often the loop came round; it is paused together with the process, so a pause is no standstill.
 */
import { Worker } from 'node:worker_threads';

const beatMs = 250;

const watcher = `
const { parentPort, workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const { beats, beatMs, stuckMs } = workerData;
let seen = 0;
let stillMs = 0;
setInterval(() => {
  const now = Atomics.load(beats, 0);
  stillMs = now === seen ? stillMs + beatMs : 0;
  seen = now;
  if (stillMs < stuckMs) return;
  writeSync(2, JSON.stringify({ level: 60, time: Date.now(), msg: 'the event loop stands still: ended', stillMs }) + '\\n');
  process.kill(process.pid, 'SIGKILL');
}, beatMs);
`;

/** @param stuckMs after so long without a turn of the loop the process is killed */
export function watchEventLoop(stuckMs: number): { close(): Promise<void> } {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(watcher, { eval: true, workerData: { beats, beatMs, stuckMs }, execArgv: [] });
  worker.unref();
  const beat = setInterval(() => Atomics.add(beats, 0, 1), beatMs);
  beat.unref();
  return {
    async close() {
      clearInterval(beat);
      await worker.terminate();
    },
  };
}
