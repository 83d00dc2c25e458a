/** What every word of `gridtick` has in common. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ConfigError, type Config } from '../config/config.ts';
import type { Tell } from './progress.ts';

export interface Screen {
  /** A line of the result. */
  say(line: string): void;
  /** A piece of a result that may be long; resolves when there is room for the next. */
  write(text: string | Uint8Array): Promise<void>;
  /** How far long work is; not part of the result. */
  tell: Tell;
}

/** Runs one command line; the exit code, absent: 0. @throws {ConfigError} on wrong arguments */
export type Run = (config: Config, args: readonly string[], screen: Screen) => Promise<number | void>;

type Options = NonNullable<ParseArgsConfig['options']>;

/** The options and words of a command line. @throws {ConfigError} with the usage */
export function argumentsOf<const O extends Options>(args: readonly string[], options: O, usage: string) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    return { values, words: positionals };
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${usage}`);
  }
}

/** JSON for programs: bigints as text, times as they are. */
export const jsonLine = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));

/** Rows under their headings, columns as wide as they must be; numbers to the right. */
export function* tableOf(head: readonly string[], rows: readonly (readonly (string | number)[])[]): Generator<string> {
  const text = rows.map((row) => row.map(String));
  const widths = head.map((name, i) => Math.max(name.length, ...text.map((row) => row[i]?.length ?? 0)));
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  yield line(head);
  for (const row of text) yield line(row);
}

/** The number of a partition. @throws {ConfigError} when there is none of that name */
export function partitionNamed(word: string, partitions: number): number {
  const p = Number(word);
  if (!/^\d{1,5}$/.test(word) || p >= partitions)
    throw new ConfigError(`'${word}' is no partition: 0 to ${partitions - 1}, or none for all`);
  return p;
}

export const isoTime = (ms: number): string => (ms === 0 ? '–' : new Date(ms).toISOString());
