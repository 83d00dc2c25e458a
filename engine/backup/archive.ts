/**
 * What the log drops one day, kept in files: closed segments of command logs and journals, and a snapshot a day.
 *
 * A1 A segment is a run of whole messages without a gap. It is on the disk, complete, before the index names it; so an archive
 *    that was interrupted anywhere goes on behind what its index says.
 * A2 What was purged before it was copied is named in the index as missing, and said aloud each time.
 * A3 The hash over each file is in the index; readers compare it.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import type { NatsConnection } from '@nats-io/transport-node';
import { bounds, SequenceGone, stream } from '../log/mod.ts';
import { jetstreamSource } from '../partition/replay_source.ts';
import { readChunks } from '../partition/snapshot.ts';
import { snapshotStore } from '../partition/snapshot_store.ts';
import { partitionList } from '../projections/journal.ts';
import { writeJson, writePrivate } from '../supervisor/files.ts';
import { oldestSnapshotAt } from './log_backup.ts';
import { packMessage, unpackMessages, type KeptMessage } from './messages.ts';
import { Part, PartWriter, readParts } from './parts.ts';
import { BackupRefused } from './refused.ts';

const Sequence = Type.Integer({ minimum: 0 });
const Segment = Type.Object({ first: Sequence, last: Sequence, fromTime: Sequence, toTime: Sequence, file: Part });
/** A run of messages in a file; times are those of their storing, unix ms. */
export type Segment = Static<typeof Segment>;
const Missing = Type.Object({ missing: Type.Tuple([Sequence, Sequence]) });
const Line = Type.Union([Segment, Missing]);
type Line = Static<typeof Line>;
/** A snapshot of a partition as it was at a journal sequence. */
const DaySnapshot = Type.Object({
  day: Type.String(),
  gen: Sequence,
  sequence: Sequence,
  chunks: Sequence,
  file: Part,
});
export type DaySnapshot = Static<typeof DaySnapshot>;

const segmentBytesMax = 16 * 1024 * 1024;
/** Several segments fit between two purges, however small the stream. */
const segmentsPerStream = 16;
const indexFile = 'index.jsonl';
const draft = 'open';

export interface ArchivedStream {
  name: string;
  segments: Segment[];
  /** Sequences that were purged before they were copied, first and last of each run. */
  missing: [number, number][];
}
export interface ArchiveRound {
  /** Segments closed in this round. */
  segments: number;
  messages: number;
  snapshots: number;
  /** Over all rounds, by stream. */
  missing: { stream: string; runs: [number, number][] }[];
}

/**
 * Copies what is closed by now: `segmentBytes` (@default 16 MiB) are there, or less of a small stream. Two at the same time on
 * one directory are not meant to be.
 * @throws {BackupRefused} when the directory is the archive of another log
 */
export async function archiveOnce(
  nc: NatsConnection,
  partitions: number,
  directory: string,
  { segmentBytes = segmentBytesMax }: { segmentBytes?: number } = {},
): Promise<ArchiveRound> {
  openArchive(directory, partitions);
  const round: ArchiveRound = { segments: 0, messages: 0, snapshots: 0, missing: [] };
  for (const p of partitionList(partitions)) {
    for (const [name, kind] of [
      [stream.journal(p), 'records'],
      [stream.commands(p), 'frames'],
    ] as const) {
      const { segments } = await archiveStream(nc, p, partitions, directory, name, kind, segmentBytes);
      round.segments += segments.length;
      for (const { first, last } of segments) round.messages += last - first + 1;
      const { missing: runs } = readIndex(directory, name);
      if (runs.length > 0) round.missing.push({ stream: name, runs });
    }
    if (await archiveSnapshot(nc, p, directory)) round.snapshots += 1;
  }
  return round;
}

async function archiveStream(
  nc: NatsConnection,
  p: number,
  partitions: number,
  directory: string,
  name: string,
  kind: 'records' | 'frames',
  bytesMaxOfSegment: number,
): Promise<{ segments: Segment[] }> {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const left of readdirSync(folder)) if (left.startsWith(`${draft}.`)) rmSync(join(folder, left));
  const index = readIndex(directory, name);
  const done = Math.max(0, ...index.segments.map(({ last }) => last), ...index.missing.map(([, last]) => last));
  const { first, last, messages, bytes, bytesMax } = await bounds(nc, name);
  if (last < done)
    throw new BackupRefused(
      'does_not_fit',
      `${name} ends at ${last}, and its archive at ${done}: it is of another log`,
    );
  const from = Math.max(done + 1, first);
  const segmentBytes = Math.min(bytesMaxOfSegment, Math.max(1, Math.floor(bytesMax / segmentsPerStream)));
  if (from > done + 1) await addLine(folder, { missing: [done + 1, from - 1] });
  const segments: Segment[] = [];
  // Not worth reading: no segment would close.
  if (messages === 0 || (bytes / messages) * (last - from + 1) < segmentBytes / 2) return { segments };
  const source = await jetstreamSource(nc, p, partitions);
  let writer: PartWriter | null = null;
  let open: { first: number; fromTime: number; bytes: number } | null = null;
  try {
    for await (const batch of source[kind](from)) {
      for (const message of batch) {
        writer ??= new PartWriter(folder, draft, Infinity);
        open ??= { first: message.sequence, fromTime: message.at, bytes: 0 };
        const packed = packMessage(message);
        await writer.write(packed);
        open.bytes += packed.length;
        if (open.bytes < segmentBytes) continue;
        const [part] = (await writer.end()) as [Part];
        const range = { first: open.first, last: message.sequence, fromTime: open.fromTime, toTime: message.at };
        const file = `${range.first}-${range.last}.segment`;
        renameSync(join(folder, part.path), join(folder, file));
        const segment: Segment = { ...range, file: { ...part, path: `${name}/${file}` } };
        await addLine(folder, segment);
        segments.push(segment);
        writer = null;
        open = null;
      }
    }
  } catch (error) {
    // The next round says what it came too late for.
    if (!(error instanceof SequenceGone)) throw error;
  } finally {
    await writer?.remove();
  }
  return { segments };
}

/** One a day (UTC), of a generation that is committed for certain. */
async function archiveSnapshot(nc: NatsConnection, p: number, directory: string): Promise<boolean> {
  const name = stream.snapshots(p);
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const day = new Date().toISOString().slice(0, 10);
  if (readSnapshots(directory, p).some((snapshot) => snapshot.day === day)) return false;
  for (const left of readdirSync(folder)) if (left.startsWith(`${day}.`)) rmSync(join(folder, left));
  const store = snapshotStore(nc, null, p);
  const gen = (await store.generations()).at(-1);
  if (gen === undefined) return false;
  const sequence = await oldestSnapshotAt(nc, p);
  const { chunks } = await readChunks(store, gen);
  // Removed meanwhile, and perhaps read in part: the next round finds a newer one.
  if ((await store.generations()).at(-1) !== gen) return false;
  const writer = new PartWriter(folder, day, Infinity);
  for (const [i, bytes] of chunks.entries()) await writer.write(packMessage({ sequence: i, at: 0, bytes }));
  const [part] = (await writer.end()) as [Part];
  const file = { ...part, path: `${name}/${part.path}` };
  await addLine(folder, { day, gen, sequence, chunks: chunks.length, file });
  return true;
}

/** What is archived of one partition. The hashes are compared when it is read. */
export function listArchive(directory: string, partition: number): ArchivedStream[] {
  return [stream.journal(partition), stream.commands(partition)].map((name) => ({
    name,
    ...readIndex(directory, name),
  }));
}

/** Number of partitions of the archive. @throws {BackupRefused} when there is none */
export function archivePartitions(directory: string): number {
  const path = join(directory, 'archive.json');
  if (!existsSync(path)) throw new BackupRefused('no_backup', `${directory} holds no archive`);
  const { partitions } = JSON.parse(readFileSync(path, 'utf8')) as { partitions: number };
  return partitions;
}

/**
 * The messages of `C_<p>` or `J_<p>` from a sequence on, in order, with the memory of one message.
 * @throws {BackupRefused} at a file that is missing or damaged, and where something was never archived
 */
export async function* readArchive(directory: string, name: string, from = 1): AsyncGenerator<KeptMessage> {
  let next = from;
  for (const { first, last, file } of readIndex(directory, name).segments) {
    if (last < next) continue;
    if (first > next)
      throw new BackupRefused('file_missing', `${name}: ${next} to ${first - 1} are not in the archive`);
    for await (const message of unpackMessages(readParts(directory, [file]))) {
      if (message.sequence < next) continue;
      yield message;
      next = message.sequence + 1;
    }
  }
}

/** The snapshots that are archived of a partition, one a day. */
export const readSnapshots = (directory: string, partition: number): DaySnapshot[] =>
  linesOf(join(directory, stream.snapshots(partition), indexFile), DaySnapshot);

function openArchive(directory: string, partitions: number): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'archive.json');
  if (!existsSync(path)) {
    if (readdirSync(directory).length > 0)
      throw new BackupRefused('not_empty', `${directory} is neither empty nor an archive`);
    writeJson(path, { format: 'gridtick-archive', version: 1, partitions });
  } else if (archivePartitions(directory) !== partitions)
    throw new BackupRefused(
      'does_not_fit',
      `${directory} is the archive of ${archivePartitions(directory)} partitions`,
    );
}

function readIndex(directory: string, name: string): Omit<ArchivedStream, 'name'> {
  const lines: Line[] = linesOf(join(directory, name, indexFile), Line);
  return {
    segments: lines.filter((line): line is Segment => 'file' in line),
    missing: lines.flatMap((line) => ('missing' in line ? [line.missing] : [])),
  };
}

function linesOf<Schema extends typeof Line | typeof DaySnapshot>(path: string, schema: Schema): Static<Schema>[] {
  if (!existsSync(path)) return [];
  // What stands behind the last line end was never finished (A1).
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return whole.map((text, i) => {
    let line: unknown;
    try {
      line = JSON.parse(text);
    } catch {
      line = null;
    }
    if (!Value.Check(schema, line)) throw new BackupRefused('bad_manifest', `${path}: line ${i + 1} is damaged`);
    return line;
  });
}

async function addLine(folder: string, line: Line | DaySnapshot): Promise<void> {
  const path = join(folder, indexFile);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  // An unfinished line of an earlier run is not continued.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length === text.length) appendFileSync(path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
  else writePrivate(path, `${whole}${JSON.stringify(line)}\n`);
  for (const place of [path, folder]) {
    const handle = await open(place);
    await handle.sync();
    await handle.close();
  }
}
