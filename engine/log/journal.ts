/** Typed access to `C_<p>`, `J_<p>` and `S_<p>`: tails, single records, bounds, purges, snapshot chunks. */
import type { NatsConnection } from '@nats-io/transport-node';
import { decodeRecord } from '../partition/record.ts';
import type { CommitRecord, JournalEntry } from '../wire.ts';
import { apiCode, hasCode, jsApi } from './api.ts';
import { LogDamaged } from './errors.ts';
import { pull, pullEach, type PullerOptions, type Reader, type StoredMessage } from './puller.ts';
import type { RingPublisher } from './ring_publisher.ts';
import { internal, stream } from './subjects.ts';

export type TailOptions = Omit<PullerOptions, 'from' | 'filter' | 'firstStored'>;
/** A stored message of the command log; `at` = store timestamp, unix ms. */
export type StoredFrame = Pick<StoredMessage, 'sequence' | 'at' | 'bytes' | 'pending'>;
/** A journal record with its store timestamp (unix ms) and its bytes, which the hash chain covers. */
export interface StoredRecord {
  sequence: number;
  at: number;
  bytes: Uint8Array;
  record: CommitRecord;
}

/** First and last sequence and size; an emptied stream has first = last + 1. */
export interface Bounds {
  first: number;
  last: number;
  messages: number;
  bytes: number;
  bytesMax: number;
}

/** Follows the journal of a partition from `fromSequence` on: in order, each record once, one at a time. */
export const tailJournal = (
  nc: NatsConnection,
  partition: number,
  fromSequence: number,
  onEntry: (entry: JournalEntry) => void | Promise<void>,
  options: TailOptions = {},
): Promise<Reader> =>
  pullEach(nc, stream.journal(partition), { ...options, from: fromSequence }, ({ sequence, bytes }) =>
    onEntry({ partition, sequence, record: decodeRecord(bytes) }),
  );

/** Like {@link tailJournal}, with bytes and store timestamps and all that has arrived at once. */
export const tailJournalBatches = (
  nc: NatsConnection,
  partition: number,
  fromSequence: number,
  onBatch: (records: StoredRecord[]) => void | Promise<void>,
  options: TailOptions = {},
): Promise<Reader> =>
  pull(nc, stream.journal(partition), { ...options, from: fromSequence }, (messages) =>
    onBatch(messages.map(({ sequence, at, bytes }) => ({ sequence, at, bytes, record: decodeRecord(bytes) }))),
  );

/** Follows the command log of a partition, frame by frame. */
export const tailCommands = (
  nc: NatsConnection,
  partition: number,
  fromSequence: number,
  onFrame: (frame: StoredFrame) => void | Promise<void>,
  options: TailOptions = {},
): Promise<Reader> =>
  pullEach(nc, stream.commands(partition), { ...options, from: fromSequence, firstStored: true }, onFrame);

/** Like {@link tailCommands}: all frames that have arrived at once; no new credit until the returned promise settles. */
export const tailCommandBatches = (
  nc: NatsConnection,
  partition: number,
  fromSequence: number,
  onBatch: (frames: StoredFrame[]) => void | Promise<void>,
  options: TailOptions = {},
): Promise<Reader> =>
  pull(nc, stream.commands(partition), { ...options, from: fromSequence, firstStored: true }, onBatch);

export const journalBounds = (nc: NatsConnection, partition: number) => bounds(nc, stream.journal(partition));
export const commandBounds = (nc: NatsConnection, partition: number) => bounds(nc, stream.commands(partition));
export const snapshotBounds = (nc: NatsConnection, partition: number) => bounds(nc, stream.snapshots(partition));

/**
 * For streams from which nothing is removed but from the beginning: a server that met damaged files goes on with what it
 * could read of them, and only its count tells (probed on 2.9.10).
 * @throws {LogDamaged} when messages between the first and the last are missing
 */
export function checkWhole(name: string, { first, last, messages }: Bounds): void {
  const lost = last - first + 1 - messages;
  if (lost > 0) throw new LogDamaged(name, null, `lacks ${lost} of its messages ${first} to ${last}`);
}

/** Bounds of any stream. */
export async function bounds(nc: NatsConnection, name: string): Promise<Bounds> {
  const { state, config } = await jsApi<{
    state: { first_seq: number; last_seq: number; messages: number; bytes: number };
    config: { max_bytes: number };
  }>(nc, `STREAM.INFO.${name}`);
  return {
    first: state.messages === 0 ? state.last_seq + 1 : state.first_seq,
    last: state.last_seq,
    messages: state.messages,
    bytes: state.bytes,
    bytesMax: config.max_bytes,
  };
}

/** The newest record as the stream leader has it; undefined when the journal is empty. */
export const readJournalLast = (nc: NatsConnection, partition: number) =>
  readRecord(nc, partition, { last_by_subj: internal.journal(partition) });

/** One record; undefined when it was purged or does not exist yet. */
export const readJournal = (nc: NatsConnection, partition: number, sequence: number) =>
  readRecord(nc, partition, { seq: sequence });

async function readRecord(nc: NatsConnection, partition: number, which: object): Promise<StoredRecord | undefined> {
  const message = await readMessage(nc, stream.journal(partition), which);
  return (
    message && { sequence: message.sequence, at: message.at, bytes: message.bytes, record: decodeRecord(message.bytes) }
  );
}

/** One message of any stream, by `{ seq }` or `{ last_by_subj }`; undefined when there is none. */
export async function readMessage(
  nc: NatsConnection,
  name: string,
  which: object,
): Promise<Pick<StoredMessage, 'sequence' | 'subject' | 'at' | 'bytes'> | undefined> {
  try {
    const { message } = await jsApi<{ message: { seq: number; subject: string; time: string; data?: string } }>(
      nc,
      `STREAM.MSG.GET.${name}`,
      which,
    );
    return {
      sequence: message.seq,
      subject: message.subject,
      at: Date.parse(message.time),
      bytes: Buffer.from(message.data ?? '', 'base64'),
    };
  } catch (error) {
    if (hasCode(error, apiCode.messageNotFound)) return undefined;
    throw error;
  }
}

/** Removes everything below `belowSequence`; it must have been applied, snapshotted and passed on by then. */
export const purgeCommands = (nc: NatsConnection, partition: number, belowSequence: number) =>
  purge(nc, stream.commands(partition), { seq: belowSequence });
export const purgeJournal = (nc: NatsConnection, partition: number, belowSequence: number) =>
  purge(nc, stream.journal(partition), { seq: belowSequence });
/** Removes one generation of snapshot chunks. */
export const purgeSnapshot = (nc: NatsConnection, partition: number, gen: number) =>
  purge(nc, stream.snapshots(partition), { filter: internal.snapshot(partition, gen, '*') });

async function purge(nc: NatsConnection, name: string, what: { seq: number } | { filter: string }): Promise<number> {
  // Sequence 0 or 1 would mean "purge all" to the server.
  if ('seq' in what && what.seq <= 1) return 0;
  const { purged } = await jsApi<{ purged: number }>(nc, `STREAM.PURGE.${name}`, what, 30_000);
  return purged;
}

/** Bytes of one snapshot chunk at most. */
export const snapshotChunkBytesMax = 512 * 1024;

/** Stores one chunk; resolves when the stream has it. */
export async function putSnapshotChunk(
  publisher: RingPublisher,
  partition: number,
  gen: number,
  chunk: number,
  bytes: Uint8Array,
): Promise<void> {
  if (bytes.length > snapshotChunkBytesMax) throw new RangeError(`snapshot chunk of ${bytes.length} bytes`);
  await publisher.publish(internal.snapshot(partition, gen, chunk), bytes);
}

/** Chunks 0 … chunks − 1 of a generation in order, a few read ahead. Throws when one is missing. */
export async function* readSnapshot(
  nc: NatsConnection,
  partition: number,
  gen: number,
  chunks: number,
): AsyncGenerator<Uint8Array> {
  const ahead = 4;
  const read = (chunk: number) => {
    const pending = readMessage(nc, stream.snapshots(partition), {
      last_by_subj: internal.snapshot(partition, gen, chunk),
    });
    pending.catch(() => undefined); // awaited below, but perhaps not before it fails
    return pending;
  };
  const reading = Array.from({ length: Math.min(ahead, chunks) }, (_, i) => read(i));
  for (let chunk = 0; chunk < chunks; chunk++) {
    const message = await reading.shift();
    if (!message) throw new Error(`snapshot ${gen} of partition ${partition} lacks chunk ${chunk} of ${chunks}`);
    if (chunk + ahead < chunks) reading.push(read(chunk + ahead));
    yield message.bytes;
  }
}
