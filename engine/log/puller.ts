/**
 * Reads a stream in order and without gaps, by credit: an ephemeral pull consumer without acks, re-created at the next
 * sequence whenever anything looks wrong (gap, reconnect, silence, consumer gone).
 *
 * P1 Messages reach the callback in sequence order, each once, none left out; one that is purged or damaged ends the reader instead.
 * P2 At most `window` messages are asked for or waiting, and as many in the callback; in bytes about 2 × `windowBytes` each,
 *    or one message where that is more.
 * P3 An idle reader costs one request per `expiresMs` and a heartbeat per third of it.
 *
 * One request at a time: nats-server 2.9.10 may end a request without a word (when a message comes in the moment it expires,
 * or its bytes are used up exactly), and of one request it is always known what is left and when it must be over.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { apiCode, apiSubject, hasCode, jsApi } from './api.ts';
import { watchConnection } from './connection.ts';
import { LogDamaged, LogWentBack, SequenceGone } from './errors.ts';
import { newInbox } from './subjects.ts';

/** A message as stored. `at`: when the stream stored it, unix ms. */
export interface StoredMessage {
  sequence: number;
  subject: string;
  at: number;
  bytes: Uint8Array;
  /** Messages of the stream behind this one when it was sent. */
  pending: number;
  /** Value of a header, '' when absent. */
  header(name: string): string;
}

export interface PullerOptions {
  /** First sequence wanted; 1 = from the start. */
  from: number;
  /** What was purged before it could be read: end with SequenceGone, or go on behind the gap. @default 'fail' */
  onGone?: 'fail' | 'skip';
  /** Only messages of this subject (wildcards allowed); sequences then have gaps, which are not checked. */
  filter?: string;
  /** Whether messages may have been stored anew by a restore: `at` is then when they were stored first. @default false */
  firstStored?: boolean;
  /** @default 512 */
  window?: number;
  /** @default 4 MiB */
  windowBytes?: number;
  /** Life of one pull request. @default 30,000 */
  expiresMs?: number;
}

export interface Reader {
  /** Resolves when the reader has ended: with an error (gone, damaged, went back, callback threw) or without (stopped). */
  readonly ended: Promise<Error | undefined>;
  /** Stops delivery; resolves when no callback is running any more, so a callback must not await it. */
  stop(): Promise<void>;
}

/** When a message was stored that a restore has stored again, unix ms. */
export const firstStoredHeader = 'Gridtick-Stored-At';
/** 0: it is as it was stored. Without headers, as all others come, this costs nothing. */
const firstStoredAt = ({ headers }: Msg) => Number(headers?.get(firstStoredHeader) ?? 0);

const createTimeoutMs = 2_000;
/** The server's word that a request has expired comes within this, or never. */
const expiryGraceMs = 250;
/** More than any message with its headers: a request for fewer bytes than the next message has would never be served. */
const messageBytesMax = 1.25 * 1024 * 1024;
const retryMs = () => 100 + Math.random() * 150;

/**
 * Starts reading `stream`; resolves when its consumer exists. `onBatch` gets whatever has arrived, in order; a promise it
 * returns is awaited before the next batch. Throws when the stream does not exist.
 */
export async function pull(
  nc: NatsConnection,
  stream: string,
  options: PullerOptions,
  onBatch: (messages: StoredMessage[]) => void | Promise<void>,
): Promise<Reader> {
  const puller = new Puller(nc, stream, options, onBatch);
  await puller.start();
  return puller;
}

/** Like {@link pull}, one message at a time; nothing more is delivered once `stop` was called. */
export async function pullEach(
  nc: NatsConnection,
  stream: string,
  options: PullerOptions,
  onMessage: (message: StoredMessage) => void | Promise<void>,
): Promise<Reader> {
  let stopped = false;
  const reader = await pull(nc, stream, options, async (messages) => {
    for (const message of messages) {
      if (stopped) return;
      const busy = onMessage(message);
      if (busy) await busy;
    }
  });
  return {
    ended: reader.ended,
    stop() {
      stopped = true;
      return reader.stop();
    },
  };
}

/** What the server was asked for and has not sent yet. */
interface Request {
  /** Where its messages go, and the word of its end. */
  readonly reply: string;
  messages: number;
  bytes: number;
  readonly overdue: NodeJS.Timeout;
}

class Puller implements Reader {
  readonly ended: Promise<Error | undefined>;
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #onBatch: (messages: StoredMessage[]) => void | Promise<void>;
  readonly #options: PullerOptions;
  readonly #window: number;
  readonly #windowBytes: number;
  readonly #expiresMs: number;
  readonly #inbox = newInbox();
  #consumer = '';
  /** Incremented per consumer; messages of an older one are dropped. */
  #generation = 0;
  #subscription: { unsubscribe(): void } | undefined;
  #next: number;
  /** Whether the consumer has delivered nothing yet: a gap then is a purge, not a loss. */
  #fresh = true;
  /** Whether the consumer of this generation exists. */
  #ready = false;
  #request: Request | undefined;
  #requests = 0;
  #queue: StoredMessage[] = [];
  #queuedBytes = 0;
  #pumping: Promise<void> | undefined;
  #recreating: Promise<void> | undefined;
  #recreateAgain = false;
  #createdAt = 0;
  #heardAt = Date.now();
  #stopped = false;
  #end: (error: Error | undefined) => void = () => undefined;
  readonly #closers: (() => void)[] = [];

  constructor(
    nc: NatsConnection,
    stream: string,
    options: PullerOptions,
    onBatch: (messages: StoredMessage[]) => void | Promise<void>,
  ) {
    this.#nc = nc;
    this.#stream = stream;
    this.#options = options;
    this.#onBatch = onBatch;
    this.#next = Math.max(1, options.from);
    this.#window = options.window ?? 512;
    this.#windowBytes = options.windowBytes ?? 4 * 1024 * 1024;
    this.#expiresMs = options.expiresMs ?? 30_000;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    void nc.closed().then(() => this.#finish(new Error(`the connection was closed while reading ${stream}`)));
  }

  async start(): Promise<void> {
    this.#closers.push(watchConnection(this.#nc, { lost: () => undefined, back: () => this.#recreate() }));
    // Heartbeats come every third of a pull's life; two missing ones mean that the consumer is gone.
    const watchdog = setInterval(() => {
      if (this.#request && Date.now() - this.#heardAt > (this.#expiresMs * 2) / 3 + 1_000) this.#recreate();
    }, this.#expiresMs / 3);
    watchdog.unref();
    this.#closers.push(() => clearInterval(watchdog));
    try {
      await this.#createConsumer();
    } catch (error) {
      if (hasCode(error, apiCode.streamNotFound)) {
        this.#finish(error);
        throw error;
      }
      this.#recreate();
      await this.#recreating;
    }
  }

  async stop(): Promise<void> {
    const consumer = this.#consumer;
    this.#finish(undefined);
    await this.#recreating;
    // A courtesy: an unused consumer vanishes by itself.
    if (consumer && !this.#nc.isClosed() && !this.#nc.isDraining()) {
      this.#nc.publish(apiSubject(`CONSUMER.DELETE.${this.#stream}.${consumer}`), '', { reply: newInbox() });
    }
    await this.#pumping;
  }

  #finish(error: Error | undefined): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#queue = [];
    this.#close();
    this.#subscription?.unsubscribe();
    for (const close of this.#closers) close();
    this.#end(error);
  }

  /** A new consumer at the next sequence, on its own inbox, so that nothing of the old one can be mistaken for it. */
  async #createConsumer(): Promise<void> {
    const generation = ++this.#generation;
    this.#ready = false;
    this.#subscription?.unsubscribe();
    const inbox = `${this.#inbox}.${generation}`;
    this.#subscription = this.#nc.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (!error && generation === this.#generation && !this.#stopped) this.#onMessage(message);
      },
    });
    this.#close();
    this.#fresh = true;
    const created = await jsApi<{ name: string }>(
      this.#nc,
      `CONSUMER.CREATE.${this.#stream}`,
      {
        stream_name: this.#stream,
        config: {
          deliver_policy: 'by_start_sequence',
          opt_start_seq: this.#next,
          ack_policy: 'none',
          replay_policy: 'instant',
          ...(this.#options.filter === undefined ? {} : { filter_subject: this.#options.filter }),
          inactive_threshold: (this.#expiresMs + 30_000) * 1e6,
          max_waiting: 8,
          mem_storage: true,
          num_replicas: 1,
        },
      },
      createTimeoutMs,
    );
    if (generation !== this.#generation || this.#stopped) return;
    this.#consumer = created.name;
    this.#ready = true;
    this.#heardAt = Date.now();
    this.#ask();
  }

  #recreate(): void {
    if (this.#stopped || this.#nc.isClosed()) return;
    if (this.#recreating) {
      this.#recreateAgain = true;
      return;
    }
    this.#recreating = (async () => {
      do {
        this.#recreateAgain = false;
        // A consumer that never works must not become a storm of requests.
        if (Date.now() - this.#createdAt < 100) await delay(retryMs());
        this.#createdAt = Date.now();
        try {
          await this.#createConsumer();
        } catch {
          // Whatever it is (server away, stream being restored), the reader outlasts it.
          this.#recreateAgain = true;
          await delay(retryMs());
        }
      } while (this.#recreateAgain && !this.#stopped && !this.#nc.isClosed());
      this.#recreating = undefined;
    })();
  }

  /** Asks for what the window has room for, once that is half of it: not while the callback is behind. */
  #ask(): void {
    const open = this.#window - this.#queue.length;
    if (this.#stopped || !this.#ready || this.#request) return;
    if (open < this.#window / 2 || this.#queuedBytes >= this.#windowBytes) return;
    const reply = `${this.#inbox}.${this.#generation}.${++this.#requests}`;
    const bytes = Math.max(this.#windowBytes, messageBytesMax);
    const overdue = setTimeout(() => this.#askAgain(), this.#expiresMs + expiryGraceMs);
    overdue.unref();
    this.#request = { reply, messages: open, bytes, overdue };
    this.#nc.publish(
      apiSubject(`CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`),
      JSON.stringify({
        batch: open,
        max_bytes: bytes,
        expires: this.#expiresMs * 1e6,
        idle_heartbeat: Math.round(this.#expiresMs / 3) * 1e6,
      }),
      { reply },
    );
  }

  /** The request under way is over. */
  #close(): void {
    clearTimeout(this.#request?.overdue);
    this.#request = undefined;
  }

  #askAgain(): void {
    this.#close();
    this.#ask();
  }

  #onMessage(message: Msg): void {
    this.#heardAt = Date.now();
    const address = message.reply;
    if (!address?.startsWith('$JS.ACK.')) {
      this.#onStatus(message);
      return;
    }
    const request = this.#request;
    if (request) {
      request.messages--;
      // As the server counts; headers, which only restored messages have, would end it a little later.
      request.bytes -= message.subject.length + address.length + message.data.length;
      if (request.messages <= 0 || request.bytes <= 0) this.#close();
    }
    const { sequence, at, pending } = parseAckSubject(address);
    if (sequence !== this.#next && this.#options.filter === undefined && !this.#bridge(sequence)) return;
    this.#fresh = false;
    this.#next = sequence + 1;
    const bytes = message.data;
    this.#queue.push({
      sequence,
      subject: message.subject,
      at: (this.#options.firstStored === true && firstStoredAt(message)) || at,
      bytes,
      pending,
      header: (name) => message.headers?.get(name) ?? '',
    });
    this.#queuedBytes += bytes.length;
    if (!this.#request) this.#ask();
    if (!this.#pumping) {
      // One socket chunk is parsed in one go; the microtask then sees all its messages at once.
      this.#pumping = Promise.resolve().then(() => this.#pump());
    }
  }

  /** Whether reading may go on at `sequence` although another one was next. */
  #bridge(sequence: number): boolean {
    if (sequence < this.#next) {
      this.#finish(new LogWentBack(this.#stream, this.#next, sequence));
      return false;
    }
    if (!this.#fresh) {
      this.#recreate();
      return false;
    }
    if (this.#options.onGone === 'skip') return true;
    void this.#endAtGap(sequence);
    return false;
  }

  /** What is not there was purged, or the server cannot read it: where the stream begins tells which. */
  async #endAtGap(found: number): Promise<void> {
    const wanted = this.#next;
    this.#generation++;
    this.#ready = false;
    try {
      const { state } = await jsApi<{ state: { first_seq: number } }>(this.#nc, `STREAM.INFO.${this.#stream}`);
      this.#finish(
        state.first_seq > wanted
          ? new SequenceGone(this.#stream, wanted, found)
          : new LogDamaged(this.#stream, wanted, 'is stored, and the server cannot read it'),
      );
    } catch {
      // The next consumer meets the same gap.
      this.#recreate();
    }
  }

  #onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) return;
    // Its end without a number of messages is the consumer's end, or a server that does not say.
    const over = code === 408 || code === 409;
    if (over && message.headers?.get('Nats-Pending-Messages')) {
      if (message.subject === this.#request?.reply) this.#askAgain();
    } else this.#recreate();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#queue.length > 0 && !this.#stopped) {
        const batch = this.#queue;
        this.#queue = [];
        this.#queuedBytes = 0;
        const busy = this.#onBatch(batch);
        if (busy) await busy;
        this.#ask();
      }
    } catch (error) {
      this.#finish(error as Error);
    } finally {
      this.#pumping = undefined;
    }
  }
}

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<ns>.<pending>[.<token>]` */
export function parseAckSubject(subject: string): { sequence: number; at: number; pending: number } {
  const t = subject.split('.');
  const base = t.length > 9 ? 4 : 2;
  const nanoseconds = t[base + 5] ?? '0';
  return { sequence: Number(t[base + 3]), at: Number(nanoseconds.slice(0, -6)), pending: Number(t[base + 6]) };
}
