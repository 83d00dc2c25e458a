/** A partition's streams as they lie in the store, for a reader that owns nothing; bounded by the ends they had when it began. */
import type { NatsConnection } from '@nats-io/transport-node';
import { SequenceGone } from '../log/errors.ts';
import { bounds, commandBounds, journalBounds, readMessage } from '../log/journal.ts';
import { pull, type StoredMessage as Pulled } from '../log/puller.ts';
import { stream } from '../log/subjects.ts';
import type { SnapshotStore } from './ports.ts';
import { snapshotStore } from './snapshot_store.ts';

/** `at` = store timestamp, unix ms. */
export type StoredMessage = Pick<Pulled, 'sequence' | 'at' | 'bytes'>;
/** Sequences; empty when first > last. */
export interface Range {
  first: number;
  last: number;
}

export interface ReplaySource {
  readonly partition: number;
  readonly partitions: number;
  readonly journal: Readonly<Range>;
  readonly commands: Readonly<Range>;
  /** All messages from a sequence to the end of the range, in order, in pieces. @throws {@link Unreadable} at a gap */
  records(from: number): AsyncIterable<readonly StoredMessage[]>;
  frames(from: number): AsyncIterable<readonly StoredMessage[]>;
  readonly snapshots: SnapshotStore;
}

/** A message that should be there and does not come. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
  readonly stream: string;
  readonly sequence: number;
  /** The stream begins behind it by now: its owner needed it no longer. 0: it does not. */
  readonly purgedBelow: number;
  constructor(name: string, sequence: number, purgedBelow: number) {
    super(
      purgedBelow > 0
        ? `${name} was purged below ${purgedBelow} while it was being read`
        : `${name}:${sequence} is stored, and the server cannot read it`,
    );
    this.stream = name;
    this.sequence = sequence;
    this.purgedBelow = purgedBelow;
  }
}

/** After so long without a message it is looked for by its number. */
const lookAfterMs = 5_000;
const silentMsMax = 30_000;

export async function jetstreamSource(
  nc: NatsConnection,
  partition: number,
  partitions: number,
): Promise<ReplaySource> {
  // The journal first: all that it has decided on is then within the bounds of the command log.
  const journal = await journalBounds(nc, partition);
  const commands = await commandBounds(nc, partition);
  return {
    partition,
    partitions,
    journal,
    commands,
    records: (from) => stored(nc, stream.journal(partition), from, journal.last),
    frames: (from) => stored(nc, stream.commands(partition), from, commands.last),
    snapshots: snapshotStore(nc, null, partition),
  };
}

async function* stored(
  nc: NatsConnection,
  name: string,
  from: number,
  last: number,
): AsyncGenerator<readonly StoredMessage[]> {
  if (from > last) return;
  const arrived: { messages: Pulled[]; taken: () => void }[] = [];
  let wake = () => {};
  let isClosed = false;
  const reader = await pull(
    nc,
    name,
    { from, firstStored: true },
    (messages) =>
      new Promise<void>((taken) => {
        if (isClosed) return taken();
        arrived.push({ messages, taken });
        wake();
      }),
  );
  let next = from;
  let ended: { error: Error | undefined } | null = null;
  void reader.ended.then((error) => {
    ended = { error };
    wake();
  });
  const isEnded = () => ended;
  try {
    let silentMs = 0;
    while (next <= last) {
      const [batch] = arrived;
      if (batch) {
        silentMs = 0;
        yield batch.messages.filter(({ sequence }) => sequence <= last);
        next = batch.messages.at(-1)!.sequence + 1;
        arrived.shift();
        batch.taken();
        continue;
      }
      const end = isEnded();
      if (end) {
        if (end.error instanceof SequenceGone) throw await gap(nc, name, end.error.wanted);
        throw end.error ?? new Error(`${name} was closed at ${next}`);
      }
      const cameInTime = await new Promise<boolean>((resolve) => {
        const late = setTimeout(() => resolve(false), lookAfterMs);
        wake = () => {
          clearTimeout(late);
          resolve(true);
        };
      });
      if (cameInTime) continue;
      silentMs += lookAfterMs;
      if (!(await readMessage(nc, name, { seq: next }))) throw await gap(nc, name, next);
      if (silentMs >= silentMsMax)
        throw new Error(`${name}: nothing came behind ${next - 1} for ${silentMs / 1_000} s`);
    }
  } finally {
    // A reader stops when its last callback has settled; whoever left in the middle has taken nothing.
    isClosed = true;
    for (const { taken } of arrived) taken();
    await reader.stop();
  }
}

async function gap(nc: NatsConnection, name: string, sequence: number): Promise<Unreadable> {
  const { first } = await bounds(nc, name);
  return new Unreadable(name, sequence, first > sequence ? first : 0);
}
