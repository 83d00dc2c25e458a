/**
 * What goes over the chargers' sockets, both ways, for the message log: a trace, not a fact. Nothing is decided from it and
 * nothing waits for it.
 *
 * T1 A frame costs its socket a look at its head and a place in the batch; writing is done ten times a second.
 * T2 Memory is bounded: the batch under way and those that wait for the stream. When there is no room the newest frames are
 *    dropped and counted, and the next batch tells how many.
 * T3 A batch is known by this process and its number, so one that is sent again is stored as the same rows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { encodeMessageBatch, frameHead, type TracedFrame } from '#engine/history/messages';
import { internal, ringPublisher, StreamRefused } from '#engine/log/mod';
import { blanked } from './blanking.ts';
import type { Log } from './door.ts';

/** Sees every frame of one socket, as it is on the wire. */
export interface FrameTap {
  incoming(frame: Uint8Array): void;
  outgoing(frame: string): void;
}

export interface TraceStats {
  /** Frames that the stream has. */
  kept: number;
  /** Frames that were thrown away for want of room, or refused by the stream. */
  dropped: number;
  /** Characters that wait for the stream. */
  waiting: number;
}

export interface MessageTrace {
  /** A tap for one socket; `connectionSeq` is asked at every frame. */
  tap(charger: string, connectionSeq: () => number): FrameTap;
  stats(): TraceStats;
  /** Sends what it holds, for a second at most. */
  close(): Promise<void>;
}

export interface TraceOptions {
  gateway: string;
  /** The log's clock, unix ms. */
  clock: { now(): number };
  log: Log;
  /** Characters that may wait for the stream. @default 4 Mi */
  waitingMax?: number;
}

/** A batch goes out when it has so many characters, or is so old. */
const batchChars = 64 * 1024;
const batchMs = 100;
/** Of one frame; what is longer is cut off. */
const frameCharsMax = 32 * 1024;
/** Calls of one socket and direction whose answers are waited for. */
const openCallsMax = 64;
const sendersMax = 4;
const retryMs = 500;
const closeMs = 1_000;
const warnEveryMs = 10_000;

export function openTrace(nc: NatsConnection, options: TraceOptions): MessageTrace {
  const { gateway, clock, log, waitingMax = 4 * 1024 * 1024 } = options;
  const publisher = ringPublisher(nc, { inFlightMax: 8 });
  const subject = internal.messages(gateway);
  const waiting: { frames: TracedFrame[]; chars: number }[] = [];
  let gathering: TracedFrame[] = [];
  let gatheringChars = 0;
  let waitingChars = 0;
  let sequence = 0;
  let kept = 0;
  let dropped = 0;
  let warnedAt = -Infinity;
  let senders = 0;
  let closing = false;
  let timer: NodeJS.Timeout | undefined;

  const drop = (frames: number, why: string) => {
    dropped += frames;
    if (performance.now() - warnedAt < warnEveryMs) return;
    warnedAt = performance.now();
    log.warn({ dropped, why }, 'messages are missing from the message log');
  };

  const send = async (): Promise<void> => {
    for (let batch = waiting.shift(); batch; batch = waiting.shift()) {
      const { frames, chars } = batch;
      const bytes = encodeMessageBatch({ v: 1, gateway, sequence: ++sequence, dropped, frames });
      for (;;) {
        try {
          await publisher.publish(subject, bytes);
          kept += frames.length;
          break;
        } catch (error) {
          // Whether it was stored is unknown or it was not: it is sent again, as T3 allows, unless the stream says no.
          if (error instanceof StreamRefused || closing) {
            drop(frames.length, String(error));
            break;
          }
          await delay(retryMs);
        }
      }
      waitingChars -= chars;
    }
  };

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (gathering.length === 0) return;
    waiting.push({ frames: gathering, chars: gatheringChars });
    waitingChars += gatheringChars;
    gathering = [];
    gatheringChars = 0;
    if (senders >= sendersMax) return;
    senders++;
    void send().finally(() => senders--);
  };

  const record = (frame: TracedFrame) => {
    const chars = frame[6].length;
    if (waitingChars + gatheringChars + chars > waitingMax || closing) return drop(1, 'the stream does not keep up');
    gathering.push(frame);
    gatheringChars += chars;
    if (gatheringChars >= batchChars) flush();
    else timer ??= setTimeout(flush, batchMs);
  };

  return {
    tap: (charger, connectionSeq) => new Tap(charger, connectionSeq, clock, record),
    stats: () => ({ kept, dropped, waiting: waitingChars + gatheringChars }),
    async close() {
      flush();
      const until = performance.now() + closeMs;
      while (senders > 0 && performance.now() < until) await delay(10);
      closing = true;
      publisher.close();
    },
  };
}

interface OpenCall {
  action: string;
  askedAt: number;
}

class Tap implements FrameTap {
  readonly #charger: string;
  readonly #connectionSeq: () => number;
  readonly #clock: { now(): number };
  readonly #record: (frame: TracedFrame) => void;
  /** Calls by message id, per direction; the oldest is forgotten when there are too many. */
  readonly #open = { in: new Map<string, OpenCall>(), out: new Map<string, OpenCall>() };

  constructor(
    charger: string,
    connectionSeq: () => number,
    clock: { now(): number },
    record: (frame: TracedFrame) => void,
  ) {
    this.#charger = charger;
    this.#connectionSeq = connectionSeq;
    this.#clock = clock;
    this.#record = record;
  }

  incoming(frame: Uint8Array): void {
    this.#take('in', Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8'));
  }

  outgoing(frame: string): void {
    this.#take('out', frame);
  }

  #take(direction: 'in' | 'out', frame: string): void {
    const { type, messageId, action } = frameHead(frame);
    let answers = '';
    let latencyMs: number | null = null;
    if (type === 'call') this.#remember(direction, messageId, action);
    else if (type !== 'other') {
      const calls = this.#open[direction === 'in' ? 'out' : 'in'];
      const call = calls.get(messageId);
      if (call) {
        calls.delete(messageId);
        answers = call.action;
        latencyMs = Math.round(performance.now() - call.askedAt);
      }
    }
    const text = blanked(frame);
    this.#record([
      this.#clock.now(),
      direction,
      this.#charger,
      this.#connectionSeq(),
      answers,
      latencyMs,
      // Through bytes, so that a cut through a pair leaves text.
      text.length > frameCharsMax ? Buffer.from(`${text.slice(0, frameCharsMax)}…`).toString() : text,
    ]);
  }

  #remember(direction: 'in' | 'out', messageId: string, action: string): void {
    const calls = this.#open[direction];
    if (calls.size >= openCallsMax) {
      for (const oldest of calls.keys()) {
        calls.delete(oldest);
        break;
      }
    }
    calls.set(messageId, { action, askedAt: performance.now() });
  }
}
