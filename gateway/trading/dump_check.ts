/**
 * Checks a dump as it streams by: well-formed, and each entry with the elements and values that the reference schema and our
 * own rules allow. Problems carry their line; memory does not grow with the dump.
 */
import { e5OfSek } from '../sek.ts';
import { isCommandName } from './commands.ts';
import { symbolCharsMax, type DumpEntryType } from './dump.ts';
import { readXml, XmlError, type XmlPiece } from './xml_pieces.ts';

export type DumpProblemCode =
  | 'not_xml'
  | 'wrong_root'
  | 'unknown_entry'
  | 'unknown_element'
  | 'missing_element'
  | 'repeated_element'
  | 'attribute'
  | 'stray_text'
  | 'bad_value'
  | 'outside_bounds';

export interface DumpProblem {
  code: DumpProblemCode;
  /** From 1. */
  line: number;
  detail: string;
}

export interface DumpBounds {
  /** First and last timestamp that is allowed, unix ms. */
  from: number;
  to: number;
}

/** What the reference schema allows: 2019-01-01 to 2019-05-01. */
export const referenceBounds: DumpBounds = { from: 1_546_300_800_000, to: 1_556_668_800_000 };

export interface DumpVerdict {
  isValid: boolean;
  entries: Record<DumpEntryType, number>;
  /** The first hundred. */
  problems: DumpProblem[];
  problemCount: number;
  /** Of each user, what was added minus what was removed, 10⁻⁵ SEK: the money that is available at the end. */
  availableE5: Map<string, bigint>;
}

const problemsKept = 100;

type Check = (value: string, bounds: DumpBounds) => DumpProblemCode | null;
const wrong = (isRight: boolean): DumpProblemCode | null => (isRight ? null : 'bad_value');
const integer = /^\d{1,16}$/;
const funds: Check = (value) => wrong(/^\d{1,14}\.(\d{2}|\d{5})$/.test(value));
const text: Check = () => null;

/** Every element that an entry may have, and what it may hold. */
const checks = {
  timestamp: (value, { from, to }) => {
    if (!integer.test(value)) return 'bad_value';
    return Number(value) >= from && Number(value) <= to ? null : 'outside_bounds';
  },
  server: text,
  transactionNum: (value) => wrong(integer.test(value) && Number(value) > 0),
  command: (value) => wrong(isCommandName(value)),
  username: text,
  stockSymbol: (value) => wrong([...value].length <= symbolCharsMax),
  filename: text,
  funds,
  price: (value, bounds) => (Number(value) > 0 ? funds(value, bounds) : 'bad_value'),
  quoteServerTime: (value) => wrong(integer.test(value)),
  cryptokey: text,
  action: (value) => wrong(value === 'add' || value === 'remove'),
  errorMessage: text,
  debugMessage: text,
} as const satisfies Record<string, Check>;
type Field = keyof typeof checks;

const head: readonly Field[] = ['timestamp', 'server', 'transactionNum'];
const aboutCommand: readonly Field[] = ['username', 'stockSymbol', 'filename', 'funds'];
const shapes: Record<DumpEntryType, { required: readonly Field[]; optional: readonly Field[] }> = {
  userCommand: { required: [...head, 'command'], optional: aboutCommand },
  quoteServer: {
    required: [...head, 'price', 'stockSymbol', 'username', 'quoteServerTime', 'cryptokey'],
    optional: [],
  },
  accountTransaction: { required: [...head, 'action', 'username', 'funds'], optional: [] },
  systemEvent: { required: [...head, 'command'], optional: aboutCommand },
  errorEvent: { required: [...head, 'command'], optional: [...aboutCommand, 'errorMessage'] },
  debugEvent: { required: [...head, 'command'], optional: [...aboutCommand, 'debugMessage'] },
};
const isEntryType = (name: string): name is DumpEntryType => Object.hasOwn(shapes, name);

/** Where in the dump the reader is: how deep, and what of the entry has come. */
class Reader {
  readonly verdict: DumpVerdict = {
    isValid: true,
    entries: { userCommand: 0, quoteServer: 0, accountTransaction: 0, systemEvent: 0, errorEvent: 0, debugEvent: 0 },
    problems: [],
    problemCount: 0,
    availableE5: new Map(),
  };
  readonly #bounds: DumpBounds;
  readonly #path: string[] = [];
  #fields = new Map<string, string>();
  #text = '';
  #hasRoot = false;

  constructor(bounds: DumpBounds) {
    this.#bounds = bounds;
  }

  problem(code: DumpProblemCode, line: number, detail: string): void {
    this.verdict.isValid = false;
    this.verdict.problemCount += 1;
    if (this.verdict.problems.length < problemsKept) this.verdict.problems.push({ code, line, detail });
  }

  take(piece: XmlPiece): void {
    switch (piece.is) {
      case 'open':
        return this.#open(piece);
      case 'text':
        if (this.#path.length === 3) this.#text += piece.text;
        else this.#strayText(piece);
        return;
      case 'close':
        return this.#close(piece);
    }
  }

  #strayText({ text, line }: Extract<XmlPiece, { is: 'text' }>): void {
    const stray = text.trimStart();
    if (stray === '') return;
    const blankLines = text.slice(0, text.length - stray.length).split('\n').length - 1;
    this.problem('stray_text', line + blankLines, stray.trimEnd().slice(0, 60));
  }

  end(line: number): void {
    if (!this.#hasRoot) this.problem('wrong_root', line, 'there is no <log>');
  }

  #open({ name, line, hasAttributes }: Extract<XmlPiece, { is: 'open' }>): void {
    const depth = this.#path.push(name);
    if (hasAttributes) this.problem('attribute', line, `<${name}> has attributes`);
    if (depth === 1) {
      if (name !== 'log' || this.#hasRoot) this.problem('wrong_root', line, `<${name}> beside or instead of <log>`);
      this.#hasRoot = true;
    } else if (depth === 2) {
      this.#fields = new Map();
      if (isEntryType(name)) this.verdict.entries[name] += 1;
      else this.problem('unknown_entry', line, `<${name}>`);
    } else if (depth === 3) this.#text = '';
    else if (depth === 4) this.problem('unknown_element', line, `<${name}> within <${this.#path[2]}>`);
  }

  #close({ line }: Extract<XmlPiece, { is: 'close' }>): void {
    const depth = this.#path.length;
    const name = this.#path.pop()!;
    const entry = this.#path[1] ?? '';
    if (depth === 3 && isEntryType(entry)) this.#field(entry, name, line);
    if (depth === 2 && isEntryType(name)) this.#entry(name, line);
  }

  #field(entry: DumpEntryType, name: string, line: number): void {
    const { required, optional } = shapes[entry];
    const field = [...required, ...optional].find((known) => known === name);
    if (field === undefined) return this.problem('unknown_element', line, `<${name}> in <${entry}>`);
    if (this.#fields.has(field)) return this.problem('repeated_element', line, `<${field}> in <${entry}>`);
    this.#fields.set(field, this.#text);
    const code = checks[field](this.#text, this.#bounds);
    if (code !== null) this.problem(code, line, `${field} '${this.#text.slice(0, 60)}'`);
  }

  #entry(entry: DumpEntryType, line: number): void {
    for (const field of shapes[entry].required)
      if (!this.#fields.has(field)) this.problem('missing_element', line, `<${field}> in <${entry}>`);
    if (entry !== 'accountTransaction') return;
    const amount = e5OfSek(this.#fields.get('funds') ?? '', 5);
    const user = this.#fields.get('username');
    if (amount === null || user === undefined) return;
    const { availableE5 } = this.verdict;
    const sign = this.#fields.get('action') === 'add' ? 1n : -1n;
    availableE5.set(user, (availableE5.get(user) ?? 0n) + sign * BigInt(amount));
  }
}

/** Reads to the end, unless it is no XML: that is the last problem then. */
export async function checkDump(chunks: AsyncIterable<Uint8Array>, bounds: DumpBounds): Promise<DumpVerdict> {
  const reader = new Reader(bounds);
  let line = 1;
  try {
    await readXml(chunks, (piece) => {
      line = piece.line;
      reader.take(piece);
    });
    reader.end(line);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    reader.problem('not_xml', error.line, error.message);
  }
  return reader.verdict;
}
