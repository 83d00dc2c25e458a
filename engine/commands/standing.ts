/** Where the partitions and the readers of the journal of a running installation stand, as they say and as it is stored. */
import type { NatsConnection } from '@nats-io/transport-node';
import {
  anyCommits,
  anyPositions,
  commandBounds,
  internal,
  journalBounds,
  readJournal,
  readJournalLast,
  readMessage,
  stream,
  type CommitPositions,
  type PartitionRoom,
} from '../log/mod.ts';
import { historySinks } from '../projections/sinks.ts';
import { packr } from '../wire.ts';

export interface PartitionStanding {
  partition: number;
  /** Engine that speaks for it; null: none is heard. */
  engine: string | null;
  /** Of the newest record: who wrote it, in which epoch, with which build; null: the journal is empty. */
  owner: string | null;
  epoch: number;
  build: string | null;
  /** Newest record of the journal, and the log time it brought, unix ms. */
  record: number;
  now: number;
  /** Last message of the command log that is committed, and the last one stored. */
  offset: number;
  stored: number;
  /** Messages stored and not committed; each holds up to 64 commands. */
  behind: number;
  /** How long the oldest of them has waited, ms. */
  behindMs: number;
  /** Command log and journal in percent of their bounds, and who needs what cannot be purged; null: its engine has not said. */
  room: { commandsPercent: number; journalPercent: number; heldBy: string | null } | null;
}

export interface ReaderStanding {
  reader: string;
  /** Nobody announces its positions. */
  silent: boolean;
  partitions: { partition: number; position: number; behind: number; behindMs: number }[];
}

const hearMs = 1_500;
/** Readers announce themselves every 5 s, and at once when they are asked. */
const hearReadersMs = 6_000;

type Heard = { engine: string; offset: number; room: PartitionRoom | null };

/** What engines say of their partitions within a moment; the furthest word counts, a superseded engine may still talk. */
async function hearEngines(nc: NatsConnection, partitions: number): Promise<Map<number, Heard>> {
  const heard = new Map<number, Heard>();
  await listen(nc, anyCommits, hearMs, (data) => {
    const { engine, partitions: all } = packr.unpack(data) as CommitPositions;
    for (const [p, offset, , , , room = null] of all) {
      if (p < partitions && offset >= (heard.get(p)?.offset ?? 0)) heard.set(p, { engine, offset, room });
    }
    return heard.size === partitions;
  });
  return heard;
}

async function hearReaders(nc: NatsConnection): Promise<Map<string, Map<number, number>>> {
  const heard = new Map<string, Map<number, number>>();
  const done = listen(nc, anyPositions, hearReadersMs, (data) => {
    const { sink, positions } = packr.unpack(data) as { sink: string; positions: [number, number][] };
    heard.set(sink, new Map(positions));
    return historySinks.every((id) => heard.has(id));
  });
  nc.publish(internal.positionsAsked);
  await done;
  return heard;
}

/** Takes messages until `take` has enough, or the time is over. */
async function listen(
  nc: NatsConnection,
  subject: string,
  forMs: number,
  take: (data: Uint8Array) => boolean,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(late);
      subscription.unsubscribe();
      resolve();
    };
    const late = setTimeout(end, forMs);
    const subscription = nc.subscribe(subject, {
      callback: (error, { data }) => {
        if (!error && take(data)) end();
      },
    });
  });
}

/** @param now by which waiting is measured, unix ms */
export async function standingsOf(
  nc: NatsConnection,
  partitions: number,
  now = Date.now(),
): Promise<PartitionStanding[]> {
  const heard = await hearEngines(nc, partitions);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition): Promise<PartitionStanding> => {
      const said = heard.get(partition);
      // The journal first: what it has decided on is then within the bounds of the command log.
      const last = await readJournalLast(nc, partition);
      const stored = (await commandBounds(nc, partition)).last;
      const offset = Math.max(last?.record.offset ?? 0, said?.offset ?? 0);
      const behind = Math.max(0, stored - offset);
      return {
        partition,
        engine: said?.engine ?? null,
        owner: last?.record.owner ?? null,
        epoch: last?.record.epoch ?? 0,
        build: last?.record.build ?? null,
        record: last?.sequence ?? 0,
        now: last?.record.now ?? 0,
        offset,
        stored,
        behind,
        behindMs: behind === 0 ? 0 : await waitedMs(nc, stream.commands(partition), offset + 1, now),
        room: said?.room ? roomOf(said.room) : null,
      };
    }),
  );
}

const roomOf = ([commandsBp, journalBp, heldBy]: PartitionRoom): PartitionStanding['room'] => ({
  commandsPercent: commandsBp / 100,
  journalPercent: journalBp / 100,
  heldBy: heldBy === '' ? null : heldBy,
});

/** How far every reader of the journal has durably come. */
export async function readersOf(nc: NatsConnection, partitions: number, now = Date.now()): Promise<ReaderStanding[]> {
  const heard = await hearReaders(nc);
  const bounds = await Promise.all(Array.from({ length: partitions }, (_, p) => journalBounds(nc, p)));
  const names = [...new Set([...historySinks, ...heard.keys()])];
  return Promise.all(
    names.map(async (reader): Promise<ReaderStanding> => {
      const positions = heard.get(reader);
      if (!positions) return { reader, silent: true, partitions: [] };
      const all = bounds.map(async ({ last }, partition) => {
        const position = positions.get(partition) ?? 0;
        const behind = Math.max(0, last - position);
        const next = behind === 0 ? undefined : await readJournal(nc, partition, position + 1);
        return { partition, position, behind, behindMs: next ? Math.max(0, now - next.at) : 0 };
      });
      return { reader, silent: false, partitions: await Promise.all(all) };
    }),
  );
}

async function waitedMs(nc: NatsConnection, name: string, sequence: number, now: number): Promise<number> {
  const message = await readMessage(nc, name, { seq: sequence });
  return message ? Math.max(0, now - message.at) : 0;
}
