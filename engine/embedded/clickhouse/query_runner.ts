/** One request from its text to its result: what kind of statement it is, in which session it runs, how it is sent. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { RawInsertFormat } from 'chdb';
import { analystLimits, analystSettings, checkAnalystQuery } from './analyst_guard.ts';
import { quoted, type Engine, type EngineSession } from './engine.ts';
import { exception } from './exception.ts';
import type { Gate } from './gate.ts';
import type { HeldSessions } from './held_sessions.ts';
import type { Asked } from './http_request.ts';
import type { Quota } from './quota.ts';
import { Body, bytesToFile, spool, statementMax, type Spooled } from './request_body.ts';
import type { Response } from './response.ts';
import { bare, headerLength, insertHead, namedFormat, startsAtOnce, streamable, type InsertHead } from './statement.ts';

export interface QueryContext {
  engine: Engine;
  asked: Asked;
  body: AsyncIterable<Buffer, unknown>;
  answer: Response;
  signal: AbortSignal;
  gate: Gate;
  /** Of users that have one. */
  quota?: Quota;
  held: HeldSessions;
  spoolDirectory: string;
}

/** Results that cannot be streamed are made in memory up to this size, bytes of the engine's blocks. */
const resultMax = 128 * 1024 * 1024;
/** The head of an INSERT must end within this many bytes. */
const headMax = 256 * 1024;
/** A cancelled query is told so again until it has ended: it may not have begun when the first call came. */
const killEveryMs = 100;

export async function runQuery(context: QueryContext): Promise<void> {
  const { asked, signal } = context;
  const prefix = Buffer.from(asked.query === '' ? '' : `${asked.query}\n`);
  const body = new Body(prefix, context.body);
  const start = await body.peek(headMax);
  // The analyst's text is judged as a whole; only trusted users have data behind a head.
  const insert = asked.user === 'analyst' ? undefined : insertHead(start.toString('latin1'));
  if (insert) {
    const data = await spool(body.from(insert.dataAt), context.spoolDirectory);
    try {
      await inSession(context, (session) => runInsert(context, session, insert, data));
    } finally {
      if (data.path !== undefined) await rm(data.path, { force: true });
    }
    return;
  }
  const whole = await body.peek(statementMax + 1);
  if (whole.length > statementMax) throw exception('QUERY_IS_TOO_LARGE', `The statement exceeds ${statementMax} bytes`);
  const text = whole.toString('utf8');
  if (text.trim() === '') throw exception('SYNTAX_ERROR', 'Syntax error: failed at position 1: Empty query');
  if (signal.aborted) return;
  await inSession(context, (session, mark) =>
    asked.user === 'analyst' ? runForAnalyst(context, session, mark, text) : runStatement(context, session, mark, text),
  );
}

/** Runs `work` in a session of its own, or in the one that the client keeps, with the request's settings. */
async function inSession(
  { engine, asked, gate, quota, held, signal }: QueryContext,
  work: (session: EngineSession, mark: string) => Promise<void>,
): Promise<void> {
  quota?.enter();
  const leave = await gate.enter(signal);
  const started = performance.now();
  // The analyst has nothing that a kept session could keep.
  const kept = asked.sessionId !== undefined && asked.user !== 'analyst' ? asked.sessionId : undefined;
  const mark = randomUUID();
  let session: EngineSession | undefined;
  try {
    const taken = kept === undefined ? { session: engine.session(), fresh: true } : held.take(kept);
    session = taken.session;
    await session.query(preamble(asked, mark, taken.fresh), 'Null');
    await work(session, mark);
    const settings = asked.settings.filter(([name]) => name !== 'readonly');
    if (kept === undefined || settings.length === 0) return;
    // Settings of the URL are the request's, not the session's.
    await session.query(`SET ${settings.map(([name]) => `${name} = DEFAULT`).join(', ')}`, 'Null');
  } catch (error) {
    if (kept !== undefined) await session?.flush();
    throw error;
  } finally {
    if (kept === undefined) session?.close();
    else if (session) held.giveBack(kept, asked.sessionTimeoutMs);
    quota?.spend(performance.now() - started);
    leave();
  }
}

/** `async_insert` is on in this engine by default; a sink must know that its rows are stored when it is answered. */
function preamble(asked: Asked, mark: string, fresh: boolean): string {
  const analyst = asked.user === 'analyst';
  const defaults: [string, string | number][] = [
    ['async_insert', 0],
    ['max_result_bytes', resultMax],
    ['result_overflow_mode', 'throw'],
  ];
  const settings: [string, string | number][] = [
    ['log_comment', mark],
    ...(fresh ? defaults : []),
    ...(analyst ? Object.entries(analystLimits) : []),
    ...(analyst ? analystSettings(asked.settings) : asked.settings),
    ...asked.params,
  ];
  const statements = [`SET ${settings.map(([name, value]) => `${name} = ${quoted(String(value))}`).join(', ')}`];
  const database = analyst ? 'gridtick' : asked.database;
  if (analyst && asked.database && !['default', 'gridtick'].includes(asked.database)) {
    throw exception('ACCESS_DENIED', `analyst: Not enough privileges for database ${asked.database}`);
  }
  if (database) statements.push(`USE ${identifier(database)}`);
  if (analyst) statements.push('SET readonly = 1');
  else if (asked.readOnly && !asked.settings.some(([name]) => name === 'readonly')) statements.push('SET readonly = 2');
  return statements.join('; ');
}

const identifier = (name: string) => `\`${name.replace(/[\\`]/g, (c) => `\\${c}`)}\``;

async function runForAnalyst(context: QueryContext, session: EngineSession, mark: string, text: string): Promise<void> {
  const { sql, format } = await checkAnalystQuery(session, text, context.asked.format);
  await sendResult(context, session, mark, { sql, canonical: sql, format });
}

async function runStatement(context: QueryContext, session: EngineSession, mark: string, text: string): Promise<void> {
  const canonical = await session.canonical(text);
  const words = bare(canonical);
  if (/ INTO OUTFILE /.test(words)) {
    throw exception('NOT_IMPLEMENTED', 'INTO OUTFILE is not available over HTTP; take the result');
  }
  const reads = /^\(*(SELECT|WITH|EXPLAIN|SHOW|DESCRIBE|DESC|EXISTS|CHECK) /.test(words);
  const format = namedFormat(canonical) ?? context.asked.format;
  if (reads) return sendResult(context, session, mark, { sql: text, canonical, format });
  // What changes something runs to its end, also when the client has gone.
  const started = performance.now();
  const { bytes, rowsRead, bytesRead } = await session.query(text, format);
  context.answer.begin(format, { readRows: rowsRead, readBytes: bytesRead, elapsedMs: performance.now() - started });
  if (bytes.length > 0) await context.answer.write(bytes, context.signal);
  context.answer.end();
}

interface Reading {
  sql: string;
  canonical: string;
  format: string;
}

async function sendResult(
  context: QueryContext,
  session: EngineSession,
  mark: string,
  reading: Reading,
): Promise<void> {
  const { engine, asked, signal } = context;
  const kill = () => engine.kill(mark);
  let again: NodeJS.Timeout | undefined;
  const cancel = () => {
    kill();
    again = setInterval(kill, killEveryMs);
  };
  if (signal.aborted) throw signal.reason;
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const lines = asked.waitEndOfQuery ? undefined : streamable(reading.format);
    if (lines !== undefined && startsAtOnce(reading.canonical)) await sendStream(context, session, reading, lines);
    else await sendWhole(context, session, reading);
  } finally {
    signal.removeEventListener('abort', cancel);
    clearInterval(again);
  }
}

async function sendWhole(
  { answer, signal }: QueryContext,
  session: EngineSession,
  { sql, format }: Reading,
): Promise<void> {
  const started = performance.now();
  const { bytes, rowsRead, bytesRead } = await session.query(sql, format);
  answer.begin(format, { readRows: rowsRead, readBytes: bytesRead, elapsedMs: performance.now() - started });
  await answer.write(bytes, signal);
  answer.end();
}

/** Every chunk repeats the header lines; only the first chunk's are sent. */
async function sendStream(
  { answer, signal, asked }: QueryContext,
  session: EngineSession,
  { sql, format }: Reading,
  lines: number,
): Promise<void> {
  const started = performance.now();
  // A stream is bounded by what the client takes; only the analyst's results have a limit of their own. A chunk is one
  // block, so blocks are kept small. In a kept session the client's own settings stay.
  if (asked.user !== 'analyst' && asked.sessionId === undefined) {
    const given = new Set(asked.settings.map(([name]) => name));
    const settings = [
      ['max_result_bytes', 0],
      ['max_block_size', 16_384],
    ].filter(([name]) => !given.has(String(name)));
    const list = settings.map(([name, value]) => `${name} = ${value}`);
    if (list.length > 0) await session.query(`SET ${list.join(', ')}`, 'Null');
  }
  let header: Uint8Array | undefined;
  for await (const chunk of session.stream(sql, format)) {
    if (!header) {
      header = chunk.subarray(0, headerLength(chunk, lines, format.startsWith('CSV')));
      answer.begin(format, { elapsedMs: performance.now() - started });
      await answer.write(chunk, signal);
    } else await answer.write(chunk.subarray(header.length), signal);
  }
  if (!header) answer.begin(format, { elapsedMs: performance.now() - started });
  answer.end();
}

const rawFormats: ReadonlySet<string> = new Set<RawInsertFormat>([
  'JSONEachRow',
  'JSONCompactEachRow',
  'CSV',
  'CSVWithNames',
  'TSV',
  'TabSeparated',
  'TSVWithNames',
  'TabSeparatedWithNames',
]);

const plainHead = /^INSERT INTO \w+(\.\w+)? (\(\w+(, \w+)*\) )?FORMAT \w+$/;

async function runInsert(
  context: QueryContext,
  session: EngineSession,
  insert: InsertHead,
  data: Spooled,
): Promise<void> {
  const started = performance.now();
  const head = Buffer.from(insert.head, 'latin1').toString('utf8');
  // Heads as client libraries write them need no parser; all others are brought into the form that is taken apart here.
  const canonical = plainHead.test(head) ? head : await session.canonical(head);
  const parts = /^INSERT INTO (.+?)( SETTINGS .+)? FORMAT (\w+)$/.exec(canonical);
  if (!parts) throw exception('SYNTAX_ERROR', `Syntax error in the head of INSERT: ${head.slice(0, 200)}`);
  const [, target = '', settings = '', format = ''] = parts;
  const [, table, columns] = /^(\w+(?:\.\w+)?)(?: \((\w+(?:, \w+)*)\))?$/.exec(target) ?? [];
  let writtenRows = 0;
  const size = data.bytes?.length;
  if (data.bytes && table !== undefined && settings === '' && rawFormats.has(format)) {
    writtenRows = await session.insert(table, columns?.split(', '), format as RawInsertFormat, data.bytes);
  } else {
    const path = data.path ?? (await bytesToFile(data.bytes, context.spoolDirectory));
    try {
      await session.query(`INSERT INTO ${target} FROM INFILE ${quoted(path)}${settings} FORMAT ${format}`, 'Null');
    } finally {
      if (data.path === undefined) await rm(path, { force: true });
    }
  }
  const elapsedMs = performance.now() - started;
  context.answer.begin('TabSeparated', {
    writtenRows,
    ...(size === undefined ? {} : { writtenBytes: size }),
    elapsedMs,
  });
  context.answer.end();
}
