/** One public stream as its publisher sees it: what is stored, in order, and who wrote the last vector of positions. */
import type { NatsConnection } from '@nats-io/transport-node';
import { JetStreamApiError, jetstreamManager, type JetStreamManager, type StoredMsg } from '@nats-io/jetstream';
import { internal } from '../log/subjects.ts';
import { ProjectionStopped } from './journal.ts';

export const atHeader = 'Gridtick-At';
export const schemaHeader = 'Gridtick-Schema';

/** Reads in flight while a tail is read message by message (nats-server 2.9 has no batched get). */
const readsInFlightMax = 64;

/**
 * Content of a `pos.<STREAM>` message: all events of the stream's kind up to `positions` are stored before it, and so
 * are those in `ahead` (`p:seq:i`). `of` set: the rest stands in the message with that stream sequence.
 */
export interface PositionMark {
  publisher: string;
  positions: [partition: number, sequence: number][];
  ahead: string[];
  of?: number;
}

/** A stored message: an event by its journal position, or a mark. */
export type StoredItem = { sequence: number; at: string } | { sequence: number; mark: PositionMark };

export class PublicStream {
  readonly name: string;
  readonly #api: JetStreamManager;

  private constructor(name: string, api: JetStreamManager) {
    this.name = name;
    this.#api = api;
  }

  static async open(nc: NatsConnection, name: string): Promise<PublicStream> {
    return new PublicStream(name, await jetstreamManager(nc, { checkAPI: false }));
  }

  async lastSequence(): Promise<number> {
    return (await this.#api.streams.info(this.name)).state.last_seq;
  }

  /** The newest mark's sequence, and the mark that it points to (itself without `of`); null in a stream that has none. */
  async newestMark(): Promise<{ sequence: number; base: number; mark: PositionMark } | null> {
    const newest = await this.#get({ last_by_subj: internal.publicPosition(this.name) });
    if (!newest) return null;
    const mark = newest.json<PositionMark>();
    if (mark.of === undefined) return { sequence: newest.seq, base: newest.seq, mark };
    const base = await this.#get({ seq: mark.of });
    if (!base)
      throw new ProjectionStopped(
        'stream_went_back',
        `${this.name}: the mark ${newest.seq} points to ${mark.of}, which is gone`,
      );
    return { sequence: newest.seq, base: base.seq, mark: base.json<PositionMark>() };
  }

  /** Who wrote the newest mark; null in a stream that has none. */
  async newestPublisher(): Promise<string | null> {
    const newest = await this.#get({ last_by_subj: internal.publicPosition(this.name) });
    return newest ? newest.json<PositionMark>().publisher : null;
  }

  /** All stored items from `from` to `to`, in stream order; messages the stream has dropped are left out. */
  async read(from: number, to: number): Promise<StoredItem[]> {
    const items: StoredItem[] = [];
    for (let start = from; start <= to; start += readsInFlightMax) {
      const sequences = Array.from({ length: Math.min(readsInFlightMax, to - start + 1) }, (_, i) => start + i);
      for (const message of await Promise.all(sequences.map((seq) => this.#get({ seq })))) {
        if (message) items.push(this.#item(message));
      }
    }
    return items;
  }

  #item(message: StoredMsg): StoredItem {
    if (message.subject === internal.publicPosition(this.name))
      return { sequence: message.seq, mark: message.json<PositionMark>() };
    const at = message.header?.get(atHeader) ?? '';
    if (at === '') {
      throw new ProjectionStopped(
        'other_writer',
        `${this.name} message ${message.seq} on ${message.subject} has no ${atHeader}: not from the publisher`,
      );
    }
    return { sequence: message.seq, at };
  }

  async #get(query: { seq: number } | { last_by_subj: string }): Promise<StoredMsg | null> {
    try {
      return await this.#api.streams.getMessage(this.name, query);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === 10037) return null;
      throw error;
    }
  }
}
