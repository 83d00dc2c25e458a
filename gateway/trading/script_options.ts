/** The words after `gridtick trade-script`. */
import { basename } from 'node:path';
import type { BookRules } from '#actors/schema/trading';
import { argumentsOf } from '#engine/commands/command';
import { ConfigError } from '#engine/config/config';
import { parseFeed } from '../quotes/mod.ts';
import type { GenerateOptions } from './generate.ts';

export const scriptUsage = `gridtick trade-script FILE[.gz]... | --generate coherent|raw --users N --commands N --seed S   [options]
  plays day-trading commands into a book of their own, through the door of a running installation
  --denomination units|value  shares at their price (default), or units of 0.01 SEK: with --feed const:0.01
  --pending stack|slot        pending orders pile up (default), or a new one takes the place of the one before
  --feed const:P|walk:SEED|tcp:HOST:PORT  prices of symbols; default: the installation's own feed
  --clock wall|virtual        holds expire after 60 s (default), or never
  --triggers on|off           whether prices fire triggers (default: on)
  --rate max|N                commands per second, latency counted from when each was due; default: max
  --concurrency N             batches on their way at once, 1 to 256 (default 32)
  --expect FILE.json          compares with expected outcomes of that file name and pending rule; exit code 1 on a difference
  --resume BOOK               goes on with a book: what was applied before is not applied again
  --json                      the result as one line of JSON`;

export interface ScriptRun {
  files: string[];
  generate: GenerateOptions | null;
  rules: BookRules;
  rate: number | null;
  concurrency: number;
  expect: string | null;
  /** Null: a new one. */
  book: string | null;
  json: boolean;
}

const wrong = (text: string) => new ConfigError(`${text}\n\n${scriptUsage}`);

function oneOf<const Word extends string>(name: string, words: readonly Word[], given: string): Word {
  const found = words.find((word) => word === given);
  if (found === undefined) throw wrong(`--${name} is ${words.join(' or ')}, not '${given}'`);
  return found;
}

function integer(name: string, given: string | undefined, most: number): number {
  const value = /^\d{1,10}$/.test(given ?? '') ? Number(given) : 0;
  if (value < 1 || value > most) throw wrong(`--${name} is an integer from 1 to ${most}, not '${given ?? ''}'`);
  return value;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const options = {
  ...{ denomination: text, pending: text, feed: text, clock: text, triggers: text, rate: text, concurrency: text },
  ...{ expect: text, resume: text, generate: text, users: text, commands: text, seed: text, json: flag },
} as const;

/** @throws {ConfigError} that names the option and what it may be */
export function scriptRun(args: readonly string[]): ScriptRun {
  const { values, words: files } = argumentsOf(args, options, scriptUsage);
  const { generate, users, commands, seed } = values;
  if ((files.length === 0) === (generate === undefined)) throw wrong('name script files, or --generate');
  if (generate === undefined && [users, commands, seed].some((given) => given !== undefined))
    throw wrong('--users, --commands and --seed are of --generate');
  if (values.expect !== undefined && files.length !== 1) throw wrong('--expect is of one file');
  if (values.resume !== undefined && !/^[A-Za-z0-9_-]{1,32}$/.test(values.resume))
    throw wrong(`a book is 1 to 32 of A-Za-z0-9_-, not '${values.resume}'`);
  const denomination = oneOf('denomination', ['units', 'value'], values.denomination ?? 'units');
  const feed = values.feed ?? '';
  const parsed = feed === '' ? null : parseFeed(feed);
  if (denomination === 'value' && !(parsed?.kind === 'const' && parsed.priceE5Sek === 1_000))
    throw wrong('--denomination value knows one price: --feed const:0.01');
  const isVirtual = oneOf('clock', ['wall', 'virtual'], values.clock ?? 'wall') === 'virtual';
  const rate = values.rate ?? 'max';
  return {
    files,
    generate:
      generate === undefined
        ? null
        : {
            shape: oneOf('generate', ['coherent', 'raw'], generate),
            users: integer('users', users, 1_000_000),
            commands: integer('commands', commands, 1e9),
            seed: integer('seed', seed, 1e9),
          },
    rules: {
      denomination,
      pendingRule: oneOf('pending', ['stack', 'slot'], values.pending ?? 'stack'),
      holdTimeoutMs: isVirtual ? null : 60_000,
      triggers: oneOf('triggers', ['on', 'off'], values.triggers ?? 'on') === 'on',
      feed,
    },
    rate: rate === 'max' ? null : integer('rate', rate, 1_000_000),
    concurrency: integer('concurrency', values.concurrency ?? '32', 256),
    expect: values.expect ?? null,
    book: values.resume ?? null,
    json: values.json === true,
  };
}

/** The same for the same script, wherever its files lie: what a run is resumed by. */
export const sourceOf = ({ files, generate }: Pick<ScriptRun, 'files' | 'generate'>): string =>
  JSON.stringify(generate ?? files.map((file) => basename(file)));
