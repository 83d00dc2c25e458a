/** How a role of ours is run and understood: plain node on the built file, JSON lines of pino on stderr. */
import { join } from 'node:path';
import type { ChildSpec } from './child.ts';

const pinoWarn = 40;
/** Messages live for milliseconds; with node's default of 16 MiB many of them would be copied before they die. */
export const youngGeneration = '--max-semi-space-size=32';

/** A role prints one line `{"ready":true,…}` when it serves. */
export function roleSpec(
  role: string,
  distDir: string,
  file: string,
  env: ChildSpec['env'],
  args: readonly string[] = [],
): ChildSpec {
  return {
    role,
    command: process.execPath,
    args: [youngGeneration, join(distDir, file), ...args],
    env,
    isReady: (line) => parse(line)?.ready === true,
    warning: (line) => roleWarning(line),
  };
}

/** Of node, and of the ClickHouse engine: these stay in the log file. */
const stackLine = /^\s+at |^Node\.js v|^\s*\^|^\d+\. .*@ 0x|^$/;

/** Warnings and errors of the log; a line that is no JSON is a crash speaking. */
export function roleWarning(line: string): string | null {
  const entry = parse(line);
  if (!entry) return stackLine.test(line) ? null : line;
  if (typeof entry.level !== 'number' || entry.level < pinoWarn) return null;
  const error = entry.err as { message?: unknown } | undefined;
  return [entry.msg, error?.message].filter((part) => typeof part === 'string' && part !== '').join(': ') || line;
}

function parse(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
