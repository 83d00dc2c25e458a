/**
 * The log of a running installation into files, and back.
 *
 * Nothing is stopped, so the order of the copies makes them one moment (see `cut.ts`):
 * B1 public streams and the trace of messages before the journals: their positions are never ahead of J;
 * B2 snapshots before their journal: what their pointers in J say is in S. A purge in between must not have left J without
 *    the oldest of them;
 * B3 the images of all journals and command logs, then the cut, which is above each of them, then what lies between: of J up
 *    to the cut, of C every command behind the offset of the cut and every relay that J says is stored there;
 * B4 no relay that its sender has decided behind the cut: the sender decides anew, and would give its number to another. It
 *    can only be in what was read behind the images, and leaves an empty frame there.
 * An image keeps store times; what follows it is stored anew, with the first time in a header (`firstStoredHeader`).
 * Whoever is restored from it decides the commands behind the cut as after a crash.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import {
  bounds,
  commandBounds,
  firstStoredHeader,
  journalBounds,
  publicKinds,
  ringPublisher,
  SequenceGone,
  stream,
} from '../log/mod.ts';
import { loadStream, saveStream, type StreamConfig } from '../log/stream_image.ts';
import { jetstreamSource } from '../partition/replay_source.ts';
import { snapshotStore } from '../partition/snapshot_store.ts';
import { relayWriter } from '../partition/state.ts';
import { partitionList } from '../projections/journal.ts';
import { decodeFrame, encodeFrame, packr, type Frame } from '../wire.ts';
import { closedCut, cutAt, type CutAt } from './cut.ts';
import type { KeptStream } from './manifest.ts';
import { packMessage, unpackMessages, type KeptMessage } from './messages.ts';
import { PartWriter, readParts } from './parts.ts';
import { BackupRefused } from './refused.ts';

export interface SavedLog {
  cut: CutAt[];
  streams: KeptStream[];
}

/** Told what is copied, and how many of how many streams are done. */
export type OnStream = (done: number, of: number, name: string) => void;

const attemptsMax = 5;

/** The log was purged while it was copied, so that its parts do not fit together. */
class PurgedMeanwhile extends Error {}

/**
 * Writes into an existing directory.
 * @throws {BackupRefused} `purged_meanwhile` when the log does not hold still for long enough
 */
export async function saveLog(
  nc: NatsConnection,
  partitions: number,
  directory: string,
  onStream: OnStream = () => {},
): Promise<SavedLog> {
  for (let attempt = 1; ; attempt++) {
    const writers: PartWriter[] = [];
    try {
      return await saveOnce(nc, partitions, onStream, (name) => {
        const writer = new PartWriter(directory, name);
        writers.push(writer);
        return writer;
      });
    } catch (error) {
      for (const writer of writers) await writer.remove();
      const again = error instanceof PurgedMeanwhile || error instanceof SequenceGone;
      if (!again) throw error;
      if (attempt === attemptsMax)
        throw new BackupRefused(
          'purged_meanwhile',
          `the log was purged while it was being copied, ${attempt} times: try again under less load, or with a larger GRIDTICK_LOG_SCALE`,
        );
    }
  }
}

async function saveOnce(
  nc: NatsConnection,
  partitions: number,
  onStream: OnStream,
  into: (name: string) => PartWriter,
): Promise<SavedLog> {
  const streams: KeptStream[] = [];
  const publics = [...publicKinds.map(stream.public), stream.messages];
  const all = publics.length + 3 * partitions;
  const save = async (name: string, withConsumers = false): Promise<KeptStream> => {
    onStream(streams.length, all, name);
    const writer = into(`${name}.image`);
    const head = await saveStream(nc, name, withConsumers, (bytes) => writer.write(bytes));
    const { messages, bytes, first_seq, last_seq } = head.state;
    const kept: KeptStream = {
      config: head.config,
      state: { messages, bytes, first_seq, last_seq },
      image: await writer.end(),
      tail: [],
    };
    streams.push(kept);
    return kept;
  };

  for (const name of publics) await save(name, true); // B1
  const journals: KeptStream[] = [];
  for (const p of partitionList(partitions)) {
    const oldest = await oldestSnapshotAt(nc, p);
    await save(stream.snapshots(p));
    journals.push(await save(stream.journal(p)));
    const { first } = await journalBounds(nc, p);
    if (first > 1 && oldest + 1 < first) throw new PurgedMeanwhile(`J_${p} begins at ${first}`); // B2
  }
  const commandLogs: KeptStream[] = [];
  for (const p of partitionList(partitions)) commandLogs.push(await save(stream.commands(p)));

  const closed = await closedCut(nc, partitions); // B3
  const cut: CutAt[] = [];
  for (const p of partitionList(partitions)) {
    const at = await cutAt(nc, p, closed.ends[p]!);
    if (at) cut.push(at);
    const source = await jetstreamSource(nc, p, partitions);
    const tail = async (kept: KeptStream, messages: AsyncIterable<KeptMessage>) => {
      const writer = into(`${kept.config.name}.tail`);
      for await (const message of messages) await writer.write(packMessage(message));
      kept.tail = await writer.end();
    };
    const [journal, commandLog] = [journals[p]!, commandLogs[p]!];
    await tail(journal, between(source.records, journal.state.last_seq, closed.ends[p]!));
    const behind = closed.behind.map((first) => first[p]);
    await tail(commandLog, decided(between(source.frames, commandLog.state.last_seq, closed.commands[p]!), behind));
    const { first } = await commandBounds(nc, p);
    if (first > (at?.offset ?? 0) + 1) throw new PurgedMeanwhile(`C_${p} begins at ${first}`);
  }
  return { cut, streams };
}

/** Messages of a stream behind one sequence and up to another. */
async function* between(
  read: (from: number) => AsyncIterable<readonly KeptMessage[]>,
  after: number,
  last: number,
): AsyncGenerator<KeptMessage> {
  if (last <= after) return;
  for await (const batch of read(after + 1)) {
    for (const message of batch) {
      if (message.sequence <= last) yield message;
      if (message.sequence >= last) return;
    }
  }
}

/** B4; `behind`: per sender its first relay that does not belong here. */
async function* decided(
  messages: AsyncIterable<KeptMessage>,
  behind: readonly (number | undefined)[],
): AsyncGenerator<KeptMessage> {
  const firsts = new Map(behind.flatMap((first, p) => (first === undefined ? [] : [[relayWriter(p), first] as const])));
  for await (const message of messages) {
    const frame = readFrame(message.bytes);
    const first = firsts.get(frame?.writer ?? '');
    if (!frame || first === undefined || frame.first + frame.commands.length <= first) yield message;
    else if (frame.first >= first) yield { ...message, bytes: Uint8Array.from(encodeFrame(emptyFrame)) };
    else {
      const commands = frame.commands.slice(0, first - frame.first);
      yield { ...message, bytes: Uint8Array.from(encodeFrame({ ...frame, commands })) };
    }
  }
}

const emptyFrame: Frame = { kind: 'clock', writer: 'clock', first: 0, commands: [] };

/** null: none that anybody could read, which its owner finds out. */
function readFrame(bytes: Uint8Array): Frame | null {
  try {
    return decodeFrame(bytes);
  } catch {
    return null;
  }
}

/** The journal sequence that the oldest kept snapshot stands at; 0 when there is none. */
export async function oldestSnapshotAt(nc: NatsConnection, partition: number): Promise<number> {
  const store = snapshotStore(nc, null, partition);
  const oldest = (await store.generations()).at(-1);
  const chunk = oldest === undefined ? null : await store.get(oldest, 0);
  if (chunk === null) return 0;
  let at = 0;
  try {
    packr.unpackMultiple(chunk, (head: unknown) => {
      at = (head as { j0: number }).j0;
      return false;
    });
  } catch (error) {
    // The chunk ends inside of what follows the head.
    if (at === 0) throw error;
  }
  return at;
}

/**
 * Creates all streams of a backup. The files have been checked.
 * @throws {BackupRefused} `not_the_same` when a stream does not come out as it was
 */
export async function loadLog(
  nc: NatsConnection,
  directory: string,
  { cut, streams }: SavedLog,
  onStream: OnStream = () => {},
): Promise<void> {
  const publisher = ringPublisher(nc);
  try {
    for (const [i, kept] of streams.entries()) {
      const { name } = kept.config;
      onStream(i, streams.length, name);
      await loadStream(nc, kept, readParts(directory, kept.image));
      let { last } = await bounds(nc, name);
      // An image that lacks its end makes a shorter stream, without a word.
      if (last < kept.state.last_seq)
        throw new BackupRefused('not_the_same', `${name} ends at ${last} instead of ${kept.state.last_seq}`);
      if (kept.tail.length === 0) continue;
      const [subject] = (kept.config as StreamConfig).subjects as string[];
      for await (const { sequence, at, bytes } of unpackMessages(readParts(directory, kept.tail))) {
        if (sequence <= last) continue;
        const headers = { [firstStoredHeader]: String(at) };
        ({ sequence: last } = await publisher.publish(subject!, bytes, { expectedLastSequence: last, headers }));
      }
    }
    for (const at of cut) await compare(nc, at);
  } finally {
    publisher.close();
  }
}

async function compare(nc: NatsConnection, wanted: CutAt): Promise<void> {
  const { partition, sequence } = wanted;
  const { last } = await journalBounds(nc, partition);
  if (last !== sequence)
    throw new BackupRefused('not_the_same', `journal J_${partition} ends at ${last} instead of ${sequence}`);
  const found = await cutAt(nc, partition, sequence);
  if (found?.hash !== wanted.hash)
    throw new BackupRefused('not_the_same', `journal J_${partition} ends in ${found?.hash}, not in ${wanted.hash}`);
}
