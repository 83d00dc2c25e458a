/**
 * Moves a driven clock: one process, the simulator, writes clock frames with the time into every partition's command log.
 *
 * V1 The clock goes on only when all that came before is decided, all that this sent to other partitions, and (for 3 s of the
 *    machine at most) when chargers have answered what it asks of them: what is decided at which time then follows from the
 *    log alone, whatever process was killed meanwhile.
 * V2 The same time may be written again: a lost acknowledgement or another start of the driver changes nothing.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { encodeFrame, packr } from '../wire.ts';
import { commandBounds } from './journal.ts';
import { lastLogTime } from './log_clock.ts';
import { ringPublisher } from './ring_publisher.ts';
import { Settling } from './settling.ts';
import { internal } from './subjects.ts';

/** A longer way is taken in steps: a record of one partition must not hold a day of slots. */
export const stepMsMax = 3_600_000;
const retryMs = 50;

export interface Driver {
  /** Log time that all partitions have committed, unix ms; 0 = never driven. */
  readonly now: number;
  /**
   * Brings the log's clock to `at` (unix ms, not before `now`) in every partition. Resolves when all have committed it and
   * nothing is under way between partitions; waits as long as that takes, through restarts of engine and server.
   * @throws RangeError for a time before `now`
   */
  step(at: number): Promise<void>;
  /** Resolves when all that the command log holds is decided and nothing is under way between partitions. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export async function openDriver(nc: NatsConnection, { partitions }: { partitions: number }): Promise<Driver> {
  const publisher = ringPublisher(nc);
  const settling = new Settling(nc, partitions);
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  let now = await lastLogTime(nc, partitions);
  let closed = false;

  /** Until it succeeds: whoever drives has nothing else to do. */
  async function insist<T>(task: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await task();
      } catch (error) {
        if (closed) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  const settledTo = (sequences: readonly number[]) => insist(() => settling.to(sequences));

  async function tick(at: number) {
    const frame = Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'driver', first: 0, commands: [], at }));
    const stored = await Promise.all(
      all.map((p) => insist(async () => (await publisher.publish(internal.commands(p), frame)).sequence)),
    );
    nc.publish(internal.clock, packr.pack(at));
    await settledTo(stored);
    now = at;
  }

  return {
    get now() {
      return now;
    },
    async step(at) {
      if (at < now) throw new RangeError(`the log's clock shows ${now}, it does not go back to ${at}`);
      // The first step sets the clock: there are no slots yet that could be missed.
      while (now > 0 && at - now > stepMsMax) await tick(now + stepMsMax);
      await tick(at);
    },
    async settle() {
      await settledTo(await insist(() => Promise.all(all.map(async (p) => (await commandBounds(nc, p)).last))));
    },
    async close() {
      closed = true;
      settling.close();
      publisher.close();
      await nc.flush().catch(() => undefined);
    },
  };
}
