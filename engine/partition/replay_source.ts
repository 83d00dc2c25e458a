/** A partition's streams as they lie in the store, for a reader that owns nothing; bounded by the ends they had when it began. */
import type { NatsConnection } from '@nats-io/transport-node';
import { commandBounds, journalBounds } from '../log/journal.ts';
import type { StoredMessage as Pulled } from '../log/puller.ts';
import { readRange } from '../log/range.ts';
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
  /**
   * All messages from a sequence to the end of the range, in order, in pieces.
   * @throws {SequenceGone} {LogDamaged} at a gap
   */
  records(from: number): AsyncIterable<readonly StoredMessage[]>;
  frames(from: number): AsyncIterable<readonly StoredMessage[]>;
  readonly snapshots: SnapshotStore;
}

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
    records: (from) => readRange(nc, stream.journal(partition), from, journal.last, { firstStored: true }),
    frames: (from) => readRange(nc, stream.commands(partition), from, commands.last, { firstStored: true }),
    snapshots: snapshotStore(nc, null, partition),
  };
}
