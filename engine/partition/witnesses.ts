/**
 * What others have seen of the journals. A journal that has lost its end is sound in itself: whoever went on behind it would
 * give the same sequences to other records, beside what has left the partition long ago. The public streams lie in other
 * files; each mark of their publisher, at least every 10 s, says up to where they were written from each journal.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { internal, LogApiError, publicKinds, readMessage, stream } from '../log/mod.ts';

/** Per partition: the newest sequence that somebody has seen, and who. */
export type Witnesses = ReadonlyMap<number, { sequence: number; by: string }>;

/** What is needed of a mark; see `../projections/public_stream.ts`. */
interface Mark {
  positions?: [partition: number, sequence: number][];
  /** The mark that says it, when this one only repeats it. */
  of?: number;
}

/** A stream that is not there, or whose newest mark is not, says nothing. @throws when the server is away */
export async function readWitnesses(nc: NatsConnection): Promise<Witnesses> {
  const witnesses = new Map<number, { sequence: number; by: string }>();
  await Promise.all(
    publicKinds.map(async (kind) => {
      const by = stream.public(kind);
      for (const [partition, sequence] of (await newestMark(nc, by)).positions ?? [])
        if (sequence > (witnesses.get(partition)?.sequence ?? 0)) witnesses.set(partition, { sequence, by });
    }),
  );
  return witnesses;
}

async function newestMark(nc: NatsConnection, name: string): Promise<Mark> {
  const newest = await readMark(nc, name, { last_by_subj: internal.publicPosition(name) });
  return newest.of === undefined ? newest : readMark(nc, name, { seq: newest.of });
}

async function readMark(nc: NatsConnection, name: string, which: object): Promise<Mark> {
  try {
    const message = await readMessage(nc, name, which);
    return message ? (JSON.parse(new TextDecoder().decode(message.bytes)) as Mark) : {};
  } catch (error) {
    if (error instanceof LogApiError || error instanceof SyntaxError) return {};
    throw error;
  }
}
