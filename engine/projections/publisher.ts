/**
 * The one publisher: brings every public event of the journal to its stream, once and in order per partition. One lane per
 * stream, each with its own readers and positions, so that a busy METER does not make a PRICE late.
 */
import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import type { PublicEvent } from '#actors/schema/events';
import { ringPublisher } from '../log/mod.ts';
import { Pace } from '../log/pace.ts';
import { stream } from '../log/subjects.ts';
import { JournalTails, nextSequence, partitionList, type JournalReader } from './journal.ts';
import { groupEveryMs, laneKinds, PublicLane, type LaneOptions } from './public_lane.ts';
import { PublicStream } from './public_stream.ts';

export interface PublisherOptions extends Pick<LaneOptions, 'window' | 'markEvery' | 'markEveryMs' | 'onTrouble'> {
  /** @default all public kinds */
  kinds?: readonly PublicEvent['kind'][];
  /** The publisher must not go on; called once. */
  onFatal: (error: Error) => void;
  /** Records below `first` were purged before a lane that holds nothing yet could read them. */
  onMissing?: (detail: { stream: string; partition: number; first: number }) => void;
  /** Appends without answer become uncertain after this. @default 5,000 */
  appendTimeoutMs?: number;
}

export interface Publisher {
  /** Per partition: up to where every lane's newest mark has come; absent where one has none. */
  positions(): [partition: number, sequence: number][];
  /** Messages stored by this publisher so far. */
  published(): number;
  close(): Promise<void>;
}

/** Takes over all public streams and follows the journal. Throws when another publisher is busy or a position does not fit. */
export async function startPublisher(
  nc: NatsConnection,
  journal: JournalReader,
  options: PublisherOptions,
): Promise<Publisher> {
  const ring = ringPublisher(nc, { timeoutMs: options.appendTimeoutMs ?? 5_000 });
  const publisher = randomUUID();
  const pace = new Pace(groupEveryMs);
  const lanes: PublicLane[] = [];
  const tails = new JournalTails();
  let failed = false;
  const close = async () => {
    await tails.stop();
    await Promise.all(lanes.map((lane) => lane.close()));
    ring.close();
  };
  const onFatal = (error: Error) => {
    if (failed) return;
    failed = true;
    options.onFatal(error);
  };

  const openLane = async (kind: PublicEvent['kind']) => {
    const { onMissing, onTrouble, window, markEvery, markEveryMs } = options;
    const publicStream = await PublicStream.open(nc, stream.public(kind));
    const lane = await PublicLane.open({
      kind,
      stream: publicStream,
      publisher,
      append: (subject, payload, o) => ring.publish(subject, payload, o),
      tell: (subject, payload, o) => ring.tell(subject, payload, o),
      pace,
      onFatal,
      ...(onTrouble && { onTrouble }),
      ...(window !== undefined && { window }),
      ...(markEvery !== undefined && { markEvery }),
      ...(markEveryMs !== undefined && { markEveryMs }),
    });
    lanes.push(lane);
    const from = new Map<number, number>();
    for (const p of partitionList(journal.partitions)) {
      const position = lane.marked(p);
      const start = nextSequence(`stream ${publicStream.name}`, p, position, await journal.bounds(p));
      if (start.missing) {
        if (position !== null) throw start.purged();
        onMissing?.({ stream: publicStream.name, partition: p, first: start.first });
      }
      from.set(p, start.missing ? start.first : start.next);
    }
    await tails.start(journal, from, (entry) => lane.offer(entry), onFatal);
  };

  try {
    await Promise.all((options.kinds ?? laneKinds).map(openLane));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    positions: () =>
      partitionList(journal.partitions).flatMap((p): [number, number][] => {
        const marked = lanes.map((lane) => lane.marked(p));
        return marked.some((m) => m === null) ? [] : [[p, Math.min(...(marked as number[]))]];
      }),
    published: () => lanes.reduce((sum, lane) => sum + lane.published, 0),
    close,
  };
}
