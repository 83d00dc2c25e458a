/** What a request's text is, read from the text alone: where an INSERT's data begins, formats, and what can be streamed. */
import { exception } from './exception.ts';

export interface InsertHead {
  /** Up to and including `FORMAT X`, or up to `VALUES`, which is rewritten as `FORMAT Values`. */
  head: string;
  format: string;
  /** Where the data begins, in characters of the text. */
  dataAt: number;
}

const space = /\s/;
const word = /[A-Za-z0-9_]/;

/** The words at depth 0 outside of strings and comments, with the place where each ends. */
function* topWords(text: string): Generator<{ word: string; start: number; end: number }> {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    const two = c + (text[i + 1] ?? '');
    if (two === '--' || c === '#') i = lineEnd(text, i);
    else if (two === '/*') i = after(text, '*/', i + 2) - 1;
    else if (c === "'" || c === '"' || c === '`') i = quoteEnd(text, i);
    else if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (word.test(c)) {
      const start = i;
      while (i + 1 < text.length && word.test(text[i + 1] as string)) i++;
      if (depth === 0) yield { word: text.slice(start, i + 1).toUpperCase(), start, end: i + 1 };
    }
  }
}

const after = (text: string, mark: string, from: number) => {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at + mark.length;
};
const lineEnd = (text: string, from: number) => after(text, '\n', from) - 1;

function quoteEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === text[start]) return i;
  }
  return text.length;
}

/**
 * Splits an INSERT whose data follows in the same request; undefined for every other statement, `INSERT … SELECT` too.
 * As in ClickHouse, data begins after the format's name, blanks and at most one line feed.
 * @throws NOT_IMPLEMENTED for FROM INFILE, which belongs to command-line clients
 */
export function insertHead(text: string): InsertHead | undefined {
  let first = true;
  const words = topWords(text);
  for (const { word: w, start, end } of words) {
    if (first && w !== 'INSERT') return undefined;
    first = false;
    if (w === 'SELECT' || w === 'WITH' || w === 'WATCH') return undefined;
    if (w === 'INFILE') throw exception('NOT_IMPLEMENTED', 'FROM INFILE is not available over HTTP; send the data');
    if (w === 'VALUES') return { head: `${text.slice(0, start)}FORMAT Values`, format: 'Values', dataAt: end };
    if (w !== 'FORMAT') continue;
    const name = words.next();
    if (name.done) return undefined;
    if (name.value.word === 'VALUES')
      return { head: text.slice(0, name.value.end), format: 'Values', dataAt: name.value.end };
    let dataAt = name.value.end;
    while (dataAt < text.length && text[dataAt] !== '\n' && space.test(text[dataAt] as string)) dataAt++;
    if (text[dataAt] === '\n') dataAt++;
    return { head: text.slice(0, name.value.end), format: text.slice(name.value.start, name.value.end), dataAt };
  }
  return undefined;
}

/** A canonical statement without the contents of its strings and quoted names, so that words can be looked for. */
export const bare = (canonical: string) =>
  canonical.replace(/'(?:[^'\\]|\\.)*'/g, "''").replace(/`(?:[^`\\]|\\.)*`/g, '``');

/** The format that a canonical statement names itself. */
export const namedFormat = (canonical: string) => / FORMAT (\w+)(?: SETTINGS .*)?$/.exec(bare(canonical))?.[1];

/**
 * Formats of which several results laid end to end are one result, with the header lines that each repeats.
 * All others are made whole in memory.
 */
const headerLines = new Map<string, number>(
  [
    ...['JSONEachRow', 'JSONLines', 'NDJSON', 'JSONStringsEachRow', 'JSONCompactEachRow', 'JSONCompactStringsEachRow'],
    ...['TabSeparated', 'TSV', 'TabSeparatedRaw', 'TSVRaw', 'CSV', 'RowBinary', 'Native'],
  ].map((name) => [name, 0]),
);
for (const base of [
  'TabSeparated',
  'TSV',
  'TabSeparatedRaw',
  'TSVRaw',
  'CSV',
  'JSONCompactEachRow',
  'JSONCompactStringsEachRow',
]) {
  headerLines.set(`${base}WithNames`, 1).set(`${base}WithNamesAndTypes`, 2);
}

/** Header lines of a streamable format, undefined when the format cannot be streamed. */
export const streamable = (format: string): number | undefined => headerLines.get(format);

/**
 * Whether a canonical statement may start on the event loop's thread: the engine computes scalar subqueries before a
 * stream's first block, so a SELECT that has one outside of FROM, JOIN and WITH is made whole on another thread.
 */
export function startsAtOnce(canonical: string): boolean {
  const text = bare(canonical);
  if (!/^\(?(SELECT|WITH) /.test(text) || / WITH TOTALS\b/.test(text)) return false;
  return !/\((SELECT|WITH) /.test(
    text.replace(/(FROM|JOIN|AS|ALL|DISTINCT) \((SELECT|WITH) /g, '$1 $2 ').replace(/^\(/, ''),
  );
}

/** Length of `lines` header lines; quoted names of CSV may hold line feeds. */
export function headerLength(bytes: Uint8Array, lines: number, csv: boolean): number {
  let at = 0;
  let inQuotes = false;
  for (let left = lines; left > 0 && at < bytes.length; at++) {
    if (csv && bytes[at] === 0x22) inQuotes = !inQuotes;
    if (bytes[at] === 0x0a && !inQuotes) left--;
  }
  return at;
}

const contentTypes: [RegExp, string][] = [
  [/^(TSV|TabSeparated)/, 'text/tab-separated-values; charset=UTF-8'],
  [/^CSV/, 'text/csv; charset=UTF-8; header=absent'],
  [/^(NDJSON|JSONLines|JSON\w*EachRow)/, 'application/x-ndjson; charset=UTF-8'],
  [/^JSON/, 'application/json; charset=UTF-8'],
  [/^XML/, 'application/xml; charset=UTF-8'],
  [/^(Pretty|Vertical|Values|Markdown|SQLInsert)/, 'text/plain; charset=UTF-8'],
];

export function contentType(format: string): string {
  const type = contentTypes.find(([pattern]) => pattern.test(format))?.[1] ?? 'application/octet-stream';
  return /^CSVWithNames/.test(format) ? type.replace('absent', 'present') : type;
}
