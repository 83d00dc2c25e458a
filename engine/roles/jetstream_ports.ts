/** A partition's world in JetStream; see `../partition/ports.ts` for what each port promises. */
import type { NatsConnection } from '@nats-io/transport-node';
import {
  internal,
  journalBounds,
  readJournal,
  tailCommands,
  tailJournalBatches,
  type Pace,
  type RingPublisher,
} from '../log/mod.ts';
import { systemClock, type PartitionPorts } from '../partition/ports.ts';
import { snapshotStore } from '../partition/snapshot_store.ts';
import { encodeFrame, encodeReplies, packr, type JournalEntry, type ReplyResult } from '../wire.ts';

/** Up to so many records are read one by one, more by a consumer. */
const singleReadsMax = 16;

export function jetstreamPorts(
  nc: NatsConnection,
  publisher: RingPublisher,
  partition: number,
  pace: Pace,
  onRelayStored: (target: number, sequence: number) => void,
): PartitionPorts {
  const journal = internal.journal(partition);
  const clockFrame = Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'clock', first: 0, commands: [] }));
  return {
    appendRecord: (bytes, expectedLastSequence) => publisher.publish(journal, bytes, { expectedLastSequence }),
    journalBounds: () => journalBounds(nc, partition),
    readJournal: (from, to, onEntry) => readRange(nc, partition, from, to, onEntry),
    followCommands: (from, onMessage) => tailCommands(nc, partition, from, onMessage),
    turn: () => pace.turn(),
    appendClock: () => {
      // Lost: the owner asks again.
      publisher.publish(internal.commands(partition), clockFrame).catch(() => undefined);
    },
    release: (at, replies, effects) => {
      if (replies.length > 0) {
        const byInbox = new Map<string, [token: number, result: ReplyResult][]>();
        for (const { inbox, token, result } of replies) {
          if (inbox === '') continue;
          let batch = byInbox.get(inbox);
          if (!batch) byInbox.set(inbox, (batch = []));
          batch.push([token, result]);
        }
        for (const [inbox, batch] of byInbox) nc.publish(inbox, encodeReplies(at, batch));
      }
      for (const effect of effects) nc.publish(internal.effects(effect.target), packr.pack(effect));
    },
    appendRelay: async (target, bytes) => {
      onRelayStored(target, (await publisher.publish(internal.commands(target), bytes)).sequence);
    },
    snapshots: snapshotStore(nc, publisher, partition),
    clock: systemClock,
  };
}

async function readRange(
  nc: NatsConnection,
  partition: number,
  from: number,
  to: number,
  onEntry: (entry: JournalEntry, bytes: number) => void,
) {
  if (to - from < singleReadsMax) {
    for (let sequence = from; sequence <= to; sequence++) {
      const stored = await readJournal(nc, partition, sequence);
      if (stored) onEntry({ partition, sequence, record: stored.record }, stored.bytes.length);
    }
    return;
  }
  let finished!: () => void;
  const complete = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const reader = await tailJournalBatches(nc, partition, from, (records) => {
    for (const { sequence, record, bytes } of records) {
      if (sequence <= to) onEntry({ partition, sequence, record }, bytes.length);
      if (sequence >= to) finished();
    }
  });
  const error = await Promise.race([complete, reader.ended]);
  if (error) throw error;
  await reader.stop();
}
