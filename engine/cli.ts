#!/usr/bin/env node
/** `gridtick`: one program, one word per task; `commands/table.ts` lists them. */
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { Screen } from './commands/command.ts';
import { commands, roles, usage } from './commands/table.ts';
import { ConfigError, loadConfig } from './config/config.ts';
import { joiningEnvironment } from './supervisor/joining.ts';

/** Errors that speak for themselves; of any other the stack is wanted. */
const refusals = ['LockHeld', 'StartInterrupted', 'Refusal'];

/** Runs one command line; the exit code is left in `process.exitCode`. */
export async function main(argv: readonly string[]): Promise<void> {
  const [word = 'help', ...args] = argv;
  const command = Object.hasOwn(commands, word) ? commands[word] : undefined;
  const role = Object.hasOwn(roles, word) ? roles[word] : undefined;
  try {
    if (role !== undefined) {
      if (word === 'engine') Object.assign(process.env, joiningEnvironment(process.env));
      await import(new URL(role, new URL('commands/', import.meta.url)).href);
    } else if (command) {
      // `up` reads its settings together with its options.
      const run = await command.load();
      const exitCode = await run(loadConfig(word === 'up' ? {} : process.env), args, screen);
      if (exitCode !== undefined) process.exitCode = exitCode;
    } else if (['help', '--help', '-h'].includes(word)) screen.say(usage());
    else throw new ConfigError(`no command '${word}'\n\n${usage()}`);
  } catch (error) {
    process.exitCode = command?.failed ?? 1;
    const expected = error instanceof ConfigError || (error instanceof Error && refusals.includes(error.name));
    process.stderr.write(
      `\n${expected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
}

const screen: Screen = {
  say: (line) => void process.stdout.write(`${line}\n`),
  write: (text) =>
    new Promise((resolve, reject) => process.stdout.write(text, (error) => (error ? reject(error) : resolve()))),
  tell: (line) => void process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}\r` : `${line}\n`),
};

// A linked `gridtick` is called by its link.
const isProgram =
  process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href;
if (isProgram) await main(process.argv.slice(2));
