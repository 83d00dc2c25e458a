/**
 * Recorded sessions from a CSV file, plain or gzip, read as a stream. Columns are found by name:
 * ConnectionStartDateTime, ConnectionEndDateTime (ISO with offset), Energy (kWh), ChargingStation, UserID.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { constantCurve } from './car.ts';
import { finiteTimeline, type PlannedSession, type Timeline } from './timeline.ts';
import { dayAfter, dayOf, zonedMs } from './zone.ts';

export interface RecordedSession {
  /** Line of the file it stands in, from 1. */
  line: number;
  charger: string;
  tag: string;
  startAt: number;
  endAt: number;
  energyWh: number;
}

/** A line that could not be used, and why. */
export interface BadLine {
  line: number;
  reason: string;
}

const columns = ['ConnectionStartDateTime', 'ConnectionEndDateTime', 'Energy', 'ChargingStation', 'UserID'] as const;
type Column = (typeof columns)[number];

/** Fields of one CSV line; quotes may hold commas, a doubled quote is one. */
export function fieldsOf(line: string): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let i = 0; i < line.length; i += 1) {
    const c = line.charAt(i);
    if (quoted) {
      if (c !== '"') field += c;
      else if (line.charAt(i + 1) === '"') field += line.charAt((i += 1));
      else quoted = false;
    } else if (c === '"' && field === '') quoted = true;
    else if (c === ',') {
      fields.push(field.trim());
      field = '';
    } else field += c;
  }
  if (quoted) throw new Error('a quote is not closed');
  fields.push(field.trim());
  return fields;
}

/** kWh as text to whole Wh, exact, half up; throws on anything that is not a plain decimal. */
export function whOf(kWh: string): number {
  const match = /^(\d{1,6})(?:\.(\d{1,9}))?$/.exec(kWh);
  if (match === null) throw new Error(`Energy is not a number of kWh: '${kWh}'`);
  const [, whole = '0', fraction = ''] = match;
  const digits = fraction.padEnd(4, '0');
  return Number(whole) * 1_000 + Number(digits.slice(0, 3)) + (digits.charAt(3) >= '5' ? 1 : 0);
}

function timeOf(column: Column, text: string): number {
  // Without an offset the time would depend on the machine that reads it.
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/.test(text) || Number.isNaN(Date.parse(text))) {
    throw new Error(`${column} is not an ISO time with offset: '${text}'`);
  }
  return Date.parse(text);
}

function sessionOf(line: number, field: Record<Column, string>): RecordedSession {
  const startAt = timeOf('ConnectionStartDateTime', field.ConnectionStartDateTime);
  const endAt = timeOf('ConnectionEndDateTime', field.ConnectionEndDateTime);
  if (endAt <= startAt) throw new Error('the session ends before it starts');
  const charger = field.ChargingStation;
  // The text becomes an OCPP identity: what no charger may be called is not accepted here either.
  if (!/^[^\p{Cc}/:]{1,48}$/u.test(charger)) throw new Error(`ChargingStation cannot name a charger: '${charger}'`);
  if (!/^[\x21-\x7e]{1,20}$/.test(field.UserID)) throw new Error(`UserID cannot be a tag: '${field.UserID}'`);
  return { line, charger, tag: field.UserID, startAt, endAt, energyWh: whOf(field.Energy) };
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

/**
 * Yields every usable session. Bad lines are told to `onBadLine` and passed over; a missing file, a missing column or
 * a damaged gzip throws with the file's name.
 */
export async function* readSessions(path: string, onBadLine: (bad: BadLine) => void): AsyncGenerator<RecordedSession> {
  const gzip = await isGzip(path).catch((error: Error) => {
    throw new Error(`cannot read the sessions file ${path}: ${error.message}`);
  });
  const source = createReadStream(path);
  const text = gzip ? source.pipe(createGunzip()) : source;
  // An error of the file must end the reader of the unpacked text too.
  source.on('error', (error: Error) => text.destroy(error));
  let failure: Error | undefined;
  text.on('error', (error: Error) => (failure = error));
  const lines = createInterface({ input: text, crlfDelay: Infinity });
  let at = 0;
  let header: string[] | undefined;
  try {
    for await (const raw of lines) {
      at += 1;
      const line = at === 1 ? raw.replace(/^\uFEFF/, '') : raw;
      if (line.trim() === '') continue;
      if (header === undefined) {
        header = fieldsOf(line);
        const missing = columns.filter((column) => !header?.includes(column));
        if (missing.length > 0) throw new Error(`${path}, line ${at}: no column ${missing.join(', ')}`);
        continue;
      }
      try {
        const fields = fieldsOf(line);
        if (fields.length !== header.length) throw new Error(`${fields.length} fields instead of ${header.length}`);
        const names = header;
        const named = Object.fromEntries(columns.map((c) => [c, fields[names.indexOf(c)] ?? '']));
        yield sessionOf(at, named as Record<Column, string>);
      } catch (error) {
        onBadLine({ line: at, reason: (error as Error).message });
      }
    }
    if (failure !== undefined) throw failure;
    if (header === undefined) throw new Error(`${path} is empty: its first line must name the columns`);
  } catch (error) {
    throw error === failure ? new Error(`${path} is damaged after line ${at}: ${failure?.message}`) : error;
  } finally {
    lines.close();
    source.destroy();
  }
}

export interface DayOptions {
  file: string;
  /** Local day YYYY-MM-DD and time HH:MM that is "now" when the simulation begins, in `zone`. */
  day: string;
  from: string;
  zone: string;
  /** Power at which a car charges until it has its energy, W. */
  powerW: number;
}

export interface RecordedDay {
  timeline: Timeline;
  sessions: readonly PlannedSession[];
  /** Unix ms in the recording that is time 0 of the timeline. */
  fromAt: number;
  bad: readonly BadLine[];
  /** What had to be changed to make one plug serve one car at a time, in words. */
  notes: readonly string[];
}

/** At most so many bad lines are kept; all are counted by their reader. */
const badLinesKept = 100;

export interface RangeOptions {
  file: string;
  /** Local days YYYY-MM-DD in `zone`: from 00:00 of the first to 00:00 of the second; '' = all the file has. */
  from: string;
  to: string;
  zone: string;
  powerW: number;
}

export interface RecordedRange extends RecordedDay {
  /** Unix ms at which the last day ends. */
  toAt: number;
}

/** The sessions whose local start lies in the days; time 0 is 00:00 of the first. */
export async function readRange(options: RangeOptions): Promise<RecordedRange> {
  const { file, from, to, zone, powerW } = options;
  const least = from === '' ? -Infinity : zonedMs(from, '00:00', zone);
  const most = to === '' ? Infinity : zonedMs(to, '00:00', zone);
  const { recorded, bad, has } = await sessionsWithin(file, least, most);
  const first = recorded[0];
  if (first === undefined) {
    const days = [from && ` from ${from}`, to && ` before ${to}`].join('');
    throw new Error(`${file} has no session${days} in ${zone} (it has ${has})`);
  }
  const starts = recorded.map(({ startAt }) => startAt);
  const [earliest, latest] = [starts.reduce((a, b) => Math.min(a, b)), starts.reduce((a, b) => Math.max(a, b))];
  const fromAt = from === '' ? zonedMs(dayOf(earliest, zone), '00:00', zone) : least;
  const toAt = to === '' ? zonedMs(dayAfter(dayOf(latest, zone)), '00:00', zone) : most;
  return { ...planDay(recorded, { fromAt, powerW }), fromAt, toAt, bad };
}

/** Usable sessions that start in [from, to), the first bad lines, and in words what the file has. */
async function sessionsWithin(file: string, from: number, to: number) {
  const bad: BadLine[] = [];
  const recorded: RecordedSession[] = [];
  let first = Infinity;
  let last = -Infinity;
  for await (const s of readSessions(file, (b) => bad.length < badLinesKept && bad.push(b))) {
    first = Math.min(first, s.startAt);
    last = Math.max(last, s.startAt);
    if (s.startAt >= from && s.startAt < to) recorded.push(s);
  }
  const iso = (at: number) => new Date(at).toISOString().slice(0, 10);
  const hint = bad[0] === undefined ? '' : `; line ${bad[0].line}: ${bad[0].reason}`;
  const has = first === Infinity ? 'no usable session at all' : `sessions from ${iso(first)} to ${iso(last)}`;
  return { recorded, bad, has: `${has}${hint}` };
}

/** The sessions that started on the local day; those that ended before `from` are among them and never played. */
export async function readDay(options: DayOptions): Promise<RecordedDay> {
  const { file, day, from, zone, powerW } = options;
  const dayFrom = zonedMs(day, '00:00', zone);
  const dayTo = zonedMs(dayAfter(day), '00:00', zone);
  const fromAt = zonedMs(day, from, zone);
  const { recorded, bad, has } = await sessionsWithin(file, dayFrom, dayTo);
  if (recorded.length === 0) throw new Error(`${file} has no session on ${day} in ${zone} (it has ${has})`);
  return { ...planDay(recorded, { fromAt, powerW }), fromAt, bad };
}

/** One car at a time on each plug, times relative to `fromAt`. */
export function planDay(
  recorded: readonly RecordedSession[],
  { fromAt, powerW }: { fromAt: number; powerW: number },
): Pick<RecordedDay, 'timeline' | 'sessions' | 'notes'> {
  const notes: string[] = [];
  const sessions: PlannedSession[] = [];
  const byCharger = new Map<string, PlannedSession[]>();
  const ordered = [...recorded].sort((a, b) => a.startAt - b.startAt || a.line - b.line);
  for (const s of ordered) {
    const list = byCharger.get(s.charger) ?? [];
    byCharger.set(s.charger, list);
    const previous = list.at(-1);
    const startMs = s.startAt - fromAt;
    if (previous !== undefined && previous.startMs === startMs) {
      notes.push(`line ${s.line}: a second session at the same time on ${s.charger} is left out`);
      continue;
    }
    if (previous !== undefined && previous.endMs > startMs) {
      notes.push(`line ${s.line}: the session before it on ${s.charger} ends when this one starts`);
      previous.endMs = startMs;
    }
    const curve = constantCurve(powerW, s.energyWh);
    const session = { charger: s.charger, index: list.length, tag: s.tag, startMs, endMs: s.endAt - fromAt, curve };
    list.push(session);
    sessions.push(session);
  }
  const text = JSON.stringify(sessions.map((s) => [s.charger, s.tag, s.startMs, s.endMs, s.curve.totalWMs]));
  const timeline = finiteTimeline(sessions, {
    chargers: [...byCharger.keys()].sort(),
    tags: [...new Set(sessions.map((s) => s.tag))].sort(),
    ratedW: powerW,
    fingerprint: `recorded, ${createHash('sha256').update(text).digest('hex').slice(0, 32)}`,
  });
  return { timeline, sessions, notes };
}
