/** Script files of day-trading commands: `[<n>] CMD,argument,…` a line, read as a stream, plain or gzip. */
import { createReadStream } from 'node:fs';
import { amountE5SekMax } from '#actors/schema/customer_commands';
import { e5OfSek, sekOfE5 } from '../sek.ts';
import { linesOf } from './lines.ts';
import { commandArguments, isCommandName, type Argument, type CommandName } from './commands.ts';

/** A line as it was understood; what the command does not take is null. */
export interface ScriptCommand {
  /** Line of the file, from 1. */
  line: number;
  transactionNum: number;
  command: CommandName;
  /** null: a DUMPLOG of all. */
  user: string | null;
  symbol: string | null;
  /** An amount or the price of a trigger, 10⁻⁵ SEK, above 0; see {@link ScriptOptions} for the exception. */
  amountE5Sek: number | null;
  filename: string | null;
}

export type ScriptProblemCode =
  'unreadable_line' | 'unknown_command' | 'wrong_arguments' | 'bad_user' | 'bad_symbol' | 'bad_amount' | 'bad_filename';

/** A line that is no command: it is counted as an error and sent to nobody. */
export interface ScriptProblem {
  line: number;
  code: ScriptProblemCode;
  /** As far as it could be read. */
  command: CommandName | null;
  /** The line, clipped. */
  text: string;
}

export interface ScriptOptions {
  /**
   * Takes an ADD of a negative amount for money that goes out, as the outcomes do that were recorded with the course's
   * workloads: their sign is the kronor's alone, so that -5.25 is -4.75. @default false, it is `bad_amount`
   */
  recordedSigns?: boolean;
}

const lineCharsMax = 4_096;
const numbered = /^\s*\[\s*(\d{1,15})\s*\]\s*(.*)$/;

/** An argument's place in the command and what it must look like; its code is the problem of what does not. */
const readers: Record<Argument, (text: string) => Partial<ScriptCommand> | ScriptProblemCode> = {
  user: (user) => (/^[A-Za-z0-9_-]{1,64}$/.test(user) ? { user } : 'bad_user'),
  // Letters, or the three characters that a station has in dumps.
  symbol: (symbol) => (/^([A-Za-z]{1,3}|[A-Za-z0-9]{3})$/.test(symbol) ? { symbol } : 'bad_symbol'),
  amount: (text) => {
    const amountE5Sek = e5OfSek(text, 2);
    return amountE5Sek !== null && amountE5Sek > 0 && amountE5Sek <= amountE5SekMax ? { amountE5Sek } : 'bad_amount';
  },
  filename: (filename) => (/^[^\p{Cc}]{1,255}$/u.test(filename) ? { filename } : 'bad_filename'),
};

/** -5.25 as -5 SEK and +25 öre. */
function recordedAmount(text: string): { amountE5Sek: number } | null {
  const [, kronor = '', decimals = ''] = /^-(\d+)(\.\d{1,2})?$/.exec(text) ?? [];
  const [out, back] = [e5OfSek(kronor, 2), e5OfSek(`0${decimals}`, 2)];
  if (out === null || back === null || out === 0 || out > amountE5SekMax) return null;
  return { amountE5Sek: back - out };
}

/** What a line says. A line without number takes its place in the file for one. Null: it is blank. */
export function parseScriptLine(
  raw: string,
  line: number,
  { recordedSigns = false }: ScriptOptions = {},
): ScriptCommand | ScriptProblem | null {
  const text = raw.trim();
  if (text === '') return null;
  const problem = (code: ScriptProblemCode, command: CommandName | null = null): ScriptProblem => ({
    ...{ line, code, command },
    text: text.slice(0, 100),
  });
  const [, digits, rest] = numbered.exec(text) ?? [undefined, String(line), text];
  const transactionNum = Number(digits);
  if (rest === undefined || transactionNum < 1 || text.length > lineCharsMax) return problem('unreadable_line');
  const [command = '', ...given] = rest.split(',').map((field) => field.trim());
  if (!isCommandName(command)) return problem(/^[A-Z_]+$/.test(command) ? 'unknown_command' : 'unreadable_line');
  const takes: readonly Argument[] =
    command === 'DUMPLOG' && given.length === 1 ? ['filename'] : commandArguments[command];
  if (given.length !== takes.length) return problem('wrong_arguments', command);
  const parsed: ScriptCommand = {
    ...{ line, transactionNum, command },
    ...{ user: null, symbol: null, amountE5Sek: null, filename: null },
  };
  for (const [i, argument] of takes.entries()) {
    const recorded = recordedSigns && command === 'ADD' && argument === 'amount' ? recordedAmount(given[i]!) : null;
    const read = recorded ?? readers[argument](given[i]!);
    if (typeof read === 'string') return problem(read, command);
    Object.assign(parsed, read);
  }
  return parsed;
}

/** The line that reads as this command. */
export function scriptLine({ transactionNum, command, user, symbol, amountE5Sek, filename }: ScriptCommand): string {
  const amount = amountE5Sek === null ? null : sekOfE5(amountE5Sek);
  const fields = [command, user, symbol, amount, filename].filter((field) => field !== null);
  return `[${transactionNum}] ${fields.join(',')}`;
}

/** Commands of the bytes of a script in order. Lines that are none go to `onProblem`. */
async function* readScript(
  bytes: AsyncIterable<Uint8Array>,
  onProblem: (problem: ScriptProblem) => void,
  options?: ScriptOptions,
): AsyncGenerator<ScriptCommand> {
  let line = 0;
  for await (const lines of linesOf(bytes, lineCharsMax)) {
    for (const text of lines) {
      line += 1;
      const read = parseScriptLine(text, line, options);
      if (read === null) continue;
      if ('code' in read) onProblem(read);
      else yield read;
    }
  }
}

/** @throws an error that names the file when it cannot be read, or is a damaged gzip */
export async function* readScriptFile(
  path: string,
  onProblem: (problem: ScriptProblem) => void,
  options?: ScriptOptions,
): AsyncGenerator<ScriptCommand> {
  try {
    yield* readScript(createReadStream(path), onProblem, options);
  } catch (error) {
    throw new Error(`cannot read the script ${path}: ${(error as Error).message}`, { cause: error });
  }
}
