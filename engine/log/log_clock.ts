/** The time that doors go by: the machine's, or that of a driven log. Sockets and retries stay on the machine's either way. */
import type { NatsConnection } from '@nats-io/transport-node';
import { packr, type ClockKind } from '../wire.ts';
import { readJournalLast } from './journal.ts';
import { internal } from './subjects.ts';

export interface LogClock {
  /** Unix ms. */
  now(): number;
  close(): void;
}

export const wallClock: LogClock = { now: () => Date.now(), close: () => {} };

export interface LogClockOptions {
  clock: ClockKind;
  partitions: number;
}

/** A driven clock begins with what the journals show and follows the driver from there. */
export async function openLogClock(nc: NatsConnection, { clock, partitions }: LogClockOptions): Promise<LogClock> {
  if (clock === 'wall') return wallClock;
  let now = 0;
  const subscription = nc.subscribe(internal.clock, {
    callback: (error, message) => {
      if (!error) now = Math.max(now, packr.unpack(message.data) as number);
    },
  });
  await nc.flush();
  now = Math.max(now, await lastLogTime(nc, partitions));
  return { now: () => now, close: () => subscription.unsubscribe() };
}

/** The newest time that any partition has committed, unix ms; 0 before the first. */
export async function lastLogTime(nc: NatsConnection, partitions: number): Promise<number> {
  const last = await Promise.all(Array.from({ length: partitions }, (_, p) => readJournalLast(nc, p)));
  return Math.max(0, ...last.map((stored) => stored?.record.now ?? 0));
}
