/** Running other programs with words, limits and without leftovers; plain Node, so that it works before anything is installed. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const say = (line) => process.stdout.write(`${line}\n`);

/** A refusal with words for people: shown without a stack. */
export class Refusal extends Error {}

/** Debian puts servers into sbin, which is not on the path of an ordinary user. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const file = join(folder || '.', name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not here: the next folder
    }
  }
  return null;
}

const running = new Set();
let interrupted = false;

/** Ctrl-C reaches what runs; without anything running a signal does what it always does. */
function interrupt() {
  interrupted = true;
  process.exitCode = 130;
  for (const child of running) killGroup(child, 'SIGTERM');
}

function track(child) {
  if (running.size === 0) for (const signal of signals) process.on(signal, interrupt);
  running.add(child);
}

function untrack(child) {
  running.delete(child);
  if (running.size === 0) for (const signal of signals) process.off(signal, interrupt);
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // already gone
  }
}

/**
 * Runs a program to its end. Throws a Refusal with the exit code, or when `limitMs` is over (its whole group is ended then).
 * `cleanup` runs also after Ctrl-C.
 * `quiet` keeps the output back and shows the end of it only when it fails; `shown` shows it and keeps it as well; `progress` is
 * said every 15 s meanwhile.
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, options = {}) {
  const {
    cwd = root,
    env = {},
    quiet = false,
    shown = false,
    allowFailure = false,
    limitMs = 0,
    progress = null,
    cleanup = false,
  } = options;
  if (interrupted && !cleanup) return Promise.reject(new Refusal('interrupted'));
  const startedAt = Date.now();
  return new Promise((resolve, reject) => {
    const kept = quiet || shown;
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', kept ? 'pipe' : 'inherit', kept ? 'pipe' : 'inherit'],
    });
    track(child);
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-200_000));
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    if (shown) {
      child.stdout.pipe(process.stdout, { end: false });
      child.stderr.pipe(process.stderr, { end: false });
    }
    let overdue = false;
    const limit = limitMs
      ? setTimeout(() => {
          overdue = true;
          killGroup(child, 'SIGTERM');
          setTimeout(() => killGroup(child, 'SIGKILL'), 5_000).unref();
        }, limitMs)
      : null;
    const ticker = progress
      ? setInterval(() => say(`  … ${progress} (${Math.round((Date.now() - startedAt) / 1000)} s)`), 15_000)
      : null;
    const finish = (code) => {
      untrack(child);
      if (limit) clearTimeout(limit);
      if (ticker) clearInterval(ticker);
      const name = [command, ...args].join(' ').slice(0, 120);
      if (interrupted && !cleanup) return reject(new Refusal('interrupted'));
      if (!overdue && (code === 0 || allowFailure)) return resolve({ code, output });
      if (overdue && allowFailure) return resolve({ code: 124, output });
      const lines = output.trim().split('\n');
      // The cause often stands at the beginning, the place at the end.
      const shown = lines.length > 40 ? [...lines.slice(0, 20), '…', ...lines.slice(-20)] : lines;
      const tail = quiet ? `\n${shown.join('\n')}` : '';
      reject(new Refusal(`${overdue ? `ended after ${limitMs / 1000} s` : `failed (${code})`}: ${name}${tail}`));
    };
    child.once('error', (error) => {
      output += String(error);
      finish(127);
    });
    child.once('close', (code, signal) => {
      // Nobody of its group outlives it.
      killGroup(child, 'SIGKILL');
      finish(code ?? (signal ? 128 : 1));
    });
  });
}

/** Runs `main` and shows a Refusal as one message, a bug with its stack. */
export async function entry(main) {
  try {
    await main();
  } catch (error) {
    process.exitCode ||= 1;
    if (error instanceof Refusal) process.stderr.write(`\n${error.message}\n`);
    else process.stderr.write(`${error?.stack ?? error}\n`);
  }
}
