/** A partition's world in JetStream; see `../partition/ports.ts` for what each port promises. */
import type { NatsConnection } from '@nats-io/transport-node';
import {
  checkWhole,
  commandBounds,
  internal,
  journalBounds,
  LogDamaged,
  readJournal,
  readRange,
  stream,
  tailCommands,
  type Pace,
  type RingPublisher,
} from '../log/mod.ts';
import { systemClock, type PartitionPorts } from '../partition/ports.ts';
import { decodeRecord } from '../partition/record.ts';
import { snapshotStore } from '../partition/snapshot_store.ts';
import type { Witnesses } from '../partition/witnesses.ts';
import { encodeFrame, encodeReplies, packr, type JournalEntry, type ReplyOut } from '../wire.ts';

/** Up to so many records are read one by one, more by a consumer. */
const singleReadsMax = 16;

export function jetstreamPorts(
  nc: NatsConnection,
  publisher: RingPublisher,
  partition: number,
  pace: Pace,
  onRelayStored: (target: number, sequence: number) => void,
  witnesses: () => Promise<Witnesses> = () => Promise.resolve(new Map()),
): PartitionPorts {
  const journal = internal.journal(partition);
  const clockFrame = Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'clock', first: 0, commands: [] }));
  return {
    appendRecord: (bytes, expectedLastSequence) => publisher.publish(journal, bytes, { expectedLastSequence }),
    journalBounds: async () => {
      const bounds = await journalBounds(nc, partition);
      checkWhole(stream.journal(partition), bounds);
      return bounds;
    },
    witness: async () => (await witnesses()).get(partition) ?? null,
    commandsEnd: async () => (await commandBounds(nc, partition)).last,
    readJournal: (from, to, onEntry) => readRecords(nc, partition, from, to, onEntry),
    followCommands: (from, onMessage) => tailCommands(nc, partition, from, onMessage),
    turn: () => pace.turn(),
    appendClock: () => {
      // Lost: the owner asks again.
      publisher.publish(internal.commands(partition), clockFrame).catch(() => undefined);
    },
    release: (at, replies, effects) => {
      if (replies.length > 0) {
        const byInbox = new Map<string, ReplyOut[]>();
        for (const reply of replies) {
          if (reply.inbox === '') continue;
          const batch = byInbox.get(reply.inbox);
          if (batch) batch.push(reply);
          else byInbox.set(reply.inbox, [reply]);
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

async function readRecords(
  nc: NatsConnection,
  partition: number,
  from: number,
  to: number,
  onEntry: (entry: JournalEntry, bytes: number) => void,
) {
  const name = stream.journal(partition);
  if (to - from >= singleReadsMax) {
    for await (const stored of readRange(nc, name, from, to))
      for (const { sequence, bytes } of stored)
        onEntry({ partition, sequence, record: decodeRecord(bytes) }, bytes.length);
    return;
  }
  for (let sequence = from; sequence <= to; sequence++) {
    // Bytes that do not fit their checksum are a message that is not there, to the server.
    const stored = await readJournal(nc, partition, sequence);
    if (stored) onEntry({ partition, sequence, record: stored.record }, stored.bytes.length);
    else if ((await journalBounds(nc, partition)).first <= sequence)
      throw new LogDamaged(name, sequence, 'is stored, and the server cannot read it');
  }
}
