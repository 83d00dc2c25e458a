/**
 * Trace of messages → ClickHouse. Batches come as gateways wrote them; rows are known by gateway process, batch and place, so
 * whatever is read twice (a kill between rows and position, a batch sent again) is stored as the same rows. What the stream
 * threw away before it was read is missing: this is a trace, not a fact.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { setTimeout as delay } from 'node:timers/promises';
import { failpoint } from '../failpoint.ts';
import { decodeMessageBatch, messageRows, type MessageRow } from '../history/messages.ts';
import { bounds, pull, stream, type Reader, type StoredMessage } from '../log/mod.ts';

export interface MessageStore {
  insert(table: 'ocpp_messages', rows: MessageRow[]): Promise<unknown>;
  readReaderPositions(reader: string): Promise<ReadonlyMap<number, number>>;
  writeReaderPositions(reader: string, positions: Iterable<readonly [number, number]>): Promise<unknown>;
}

export interface MessageSinkOptions {
  onTrouble?(detail: { error: string; waitMs: number }): void;
  /** Batches that cannot be read, and frames that a gateway could not keep. */
  onLoss?(detail: { gateway: string; dropped: number } | { sequence: number; error: string }): void;
  /** Least time from one insert to the next, unless much waits. @default 1,000 */
  everyMs?: number;
  /** Positions are written no more often than this. @default 5,000 */
  positionsMs?: number;
}

export interface MessageSink {
  /** Sequence of the stream up to which rows are stored. */
  position(): number;
  /** Stops after the insert under way and writes the position. */
  close(): Promise<void>;
}

const reader = 'ocpp';
const retryMsMin = 100;
const retryMsMax = 5_000;
/** Batches per insert: 64 KiB each at most. */
const window = 128;
const gatewaysMax = 1_000;

/** Starts at the stored position, or at the first message where the stream is younger than that. */
export async function startMessageSink(
  nc: NatsConnection,
  store: MessageStore,
  { onTrouble, onLoss, everyMs = 1_000, positionsMs = 5_000 }: MessageSinkOptions = {},
): Promise<MessageSink> {
  const stopping = new AbortController();
  const dropped = new Map<string, number>();
  const known = (await store.readReaderPositions(reader)).get(0) ?? 0;
  const { last } = await bounds(nc, stream.messages);
  let position = known > last ? 0 : known;
  let written = known;
  let writtenAt = -Infinity;

  const rowsOf = (message: StoredMessage): MessageRow[] => {
    try {
      const batch = decodeMessageBatch(message.bytes);
      const before = dropped.get(batch.gateway) ?? 0;
      if (batch.dropped > before) {
        if (dropped.size >= gatewaysMax) dropped.clear();
        dropped.set(batch.gateway, batch.dropped);
        onLoss?.({ gateway: batch.gateway, dropped: batch.dropped - before });
      }
      return messageRows(batch);
    } catch (error) {
      onLoss?.({ sequence: message.sequence, error: String(error) });
      return [];
    }
  };

  /** Tries until it works or the sink stops; false: stopped. */
  const insisting = async (work: () => Promise<unknown>): Promise<boolean> => {
    for (let waitMs = retryMsMin; !stopping.signal.aborted; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        await work();
        return true;
      } catch (error) {
        onTrouble?.({ error: String(error), waitMs });
        await pause(waitMs);
      }
    }
    return false;
  };
  const pause = (ms: number) => delay(ms, undefined, { signal: stopping.signal }).catch(() => undefined);
  const writePosition = async () => {
    await store.writeReaderPositions(reader, [[0, position]]);
    written = position;
    writtenAt = performance.now();
  };

  const onBatch = async (messages: StoredMessage[]) => {
    const started = performance.now();
    const rows = messages.flatMap(rowsOf);
    if (rows.length > 0 && !(await insisting(() => store.insert('ocpp_messages', rows)))) return;
    if (rows.length > 0) failpoint('history.inserted');
    // Rows first: a position without its rows would lose them.
    position = (messages.at(-1) as StoredMessage).sequence;
    if (performance.now() - writtenAt >= positionsMs) await insisting(writePosition);
    // One insert costs as much as thousands of rows; what comes meanwhile goes with the next.
    if (messages.length < window / 2) await pause(everyMs - (performance.now() - started));
  };

  let tail: Reader | undefined;
  const follow = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        tail = await pull(nc, stream.messages, { from: position + 1, onGone: 'skip', window }, onBatch);
        if (stopping.signal.aborted) return void (await tail.stop());
        const error = await tail.ended;
        if (stopping.signal.aborted) return;
        // The stream was made anew: its numbers begin again.
        if ((await bounds(nc, stream.messages)).last < position) position = 0;
        onTrouble?.({ error: String(error), waitMs: retryMsMax });
      } catch (error) {
        onTrouble?.({ error: String(error), waitMs: retryMsMax });
      }
      await pause(retryMsMax);
    }
  };
  const following = follow();

  return {
    position: () => position,
    async close() {
      stopping.abort();
      await tail?.stop();
      await following;
      if (position !== written) await writePosition().catch(() => undefined);
    },
  };
}
