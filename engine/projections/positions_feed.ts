/** Tells the partitions' owners how far a sink has durably come, so that they purge the journal no further. */
import type { NatsConnection } from '@nats-io/transport-node';
import { internal } from '../log/subjects.ts';
import { packr } from '../wire.ts';

const everyMs = 5_000;

export interface SinkPositions {
  sink: string;
  positions: [partition: number, sequence: number][];
}

/** Publishes `positions()` at once, every 5 s and when it is asked; a lost message is made good by the next. */
export function announcePositions(
  nc: NatsConnection,
  sink: string,
  positions: () => Iterable<[number, number]>,
  periodMs = everyMs,
) {
  const announce = () => {
    if (nc.isClosed()) return;
    const message: SinkPositions = { sink, positions: [...positions()] };
    nc.publish(internal.positions(sink), packr.pack(message));
  };
  announce();
  const timer = setInterval(announce, periodMs);
  const asked = nc.subscribe(internal.positionsAsked, { callback: announce });
  return {
    announce,
    stop: () => {
      clearInterval(timer);
      asked.unsubscribe();
    },
  };
}
