/**
 * The audit dump (DUMPLOG) as XML, in the form of the reference schema: a `<log>`, an entry a line. Written as it is read,
 * a chunk at a time: how much there is does not matter.
 */
import { sekOfE5 } from '../sek.ts';
import type { CommandName } from './commands.ts';

interface EntryBase {
  /** Unix ms. */
  timestamp: number;
  /** Who wrote it. */
  server: string;
  /** From 1. */
  transactionNum: number;
}

interface CommandFields extends EntryBase {
  command: CommandName;
  username?: string;
  /** At most three characters; longer ones are no symbol and are left out. */
  stockSymbol?: string;
  filename?: string;
  /** 10⁻⁵ SEK. */
  fundsE5?: number;
}

/** One entry; fields as in the schema, money as integers. */
export type DumpEntry =
  | ({ type: 'userCommand' } & CommandFields)
  | ({
      type: 'quoteServer';
      /** 10⁻⁵ SEK per share. */
      priceE5: number;
      stockSymbol: string;
      username: string;
      /** The quote server's own clock, ms. */
      quoteServerTime: number;
      cryptokey: string;
    } & EntryBase)
  | ({ type: 'accountTransaction'; action: 'add' | 'remove'; username: string; fundsE5: number } & EntryBase)
  | ({ type: 'systemEvent' } & CommandFields)
  | ({ type: 'errorEvent'; errorMessage?: string } & CommandFields)
  | ({ type: 'debugEvent'; debugMessage?: string } & CommandFields);

export type DumpEntryType = DumpEntry['type'];

/** The most a stock symbol has, by the schema. */
export const symbolCharsMax = 3;
const chunkChars = 65_536;

/** Where times of a book without a clock begin: 2019-01-01, the first the reference schema allows. */
const virtualStart = 1_546_300_800_000;
/** The time of an entry in a book without a clock, ms. */
export const virtualTime = (transactionNum: number): number => virtualStart + transactionNum;

// What XML cannot hold at all, and other control characters: they are left out.

const unwritable =
  /[\u0000-\u001f\u007f-\u009f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const special = /[&<>"']/g;
const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
const plain = /^[\w ./:=,-]*$/;

const textOf = (value: string): string =>
  plain.test(value) ? value : value.replace(unwritable, '').replace(special, (character) => entities[character]!);

function integerOf(name: string, value: number, least: number): string {
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(`${name} of a dump cannot be ${value}`);
  return String(value);
}

const element = (name: string, text: string) => `<${name}>${text}</${name}>`;
const optional = (name: string, value: string | undefined) => (value === undefined ? '' : element(name, textOf(value)));

function fieldsOf(entry: DumpEntry): string {
  if (entry.type === 'quoteServer')
    return [
      element('price', sekOfE5(entry.priceE5)),
      element('stockSymbol', textOf(entry.stockSymbol)),
      element('username', textOf(entry.username)),
      element('quoteServerTime', integerOf('quoteServerTime', entry.quoteServerTime, 0)),
      element('cryptokey', textOf(entry.cryptokey)),
    ].join('');
  if (entry.type === 'accountTransaction')
    return [
      element('action', entry.action),
      element('username', textOf(entry.username)),
      element('funds', sekOfE5(entry.fundsE5)),
    ].join('');
  const { command, username, stockSymbol, filename, fundsE5 } = entry;
  const isSymbol = stockSymbol !== undefined && stockSymbol.length <= symbolCharsMax;
  return [
    element('command', command),
    optional('username', username),
    isSymbol ? element('stockSymbol', textOf(stockSymbol)) : '',
    optional('filename', filename),
    fundsE5 === undefined ? '' : element('funds', sekOfE5(fundsE5)),
    entry.type === 'errorEvent' ? optional('errorMessage', entry.errorMessage) : '',
    entry.type === 'debugEvent' ? optional('debugMessage', entry.debugMessage) : '',
  ].join('');
}

/** The line of an entry. @throws {RangeError} on a number that is none of the schema's */
function entryLine(entry: DumpEntry): string {
  const head =
    element('timestamp', integerOf('timestamp', entry.timestamp, 0)) +
    element('server', textOf(entry.server)) +
    element('transactionNum', integerOf('transactionNum', entry.transactionNum, 1));
  return ` <${entry.type}>${head}${fieldsOf(entry)}</${entry.type}>\n`;
}

/** Chunks of UTF-8, as the entries come; ends without its last line when `entries` throws. */
export async function* writeDump(entries: AsyncIterable<DumpEntry> | Iterable<DumpEntry>): AsyncGenerator<Buffer> {
  let text = '<?xml version="1.0" encoding="UTF-8"?>\n<log>\n';
  for await (const entry of entries) {
    text += entryLine(entry);
    if (text.length < chunkChars) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(`${text}</log>\n`);
}
