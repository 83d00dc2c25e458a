/**
 * Pipelined appends with one ack inbox: the reply subject carries a dense number, a ring holds what waits for it.
 * nats.js's own JetStream publish sets up a request per message and manages about a fifth of this.
 *
 * Every answer but a PubAck leaves a question open; the error class says which one. Messages leave in call order.
 */
import { MsgHdrsImpl, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { apiCode } from './api.ts';
import { watchConnection } from './connection.ts';
import { AppendUncertain, StreamRefused, WrongLastSequence } from './errors.ts';
import { newInbox } from './subjects.ts';

export interface AppendOptions {
  /** Append only if this is the last sequence of the stream (compare and set). */
  expectedLastSequence?: number;
  /** Further headers, ASCII without line ends; on C and J only a restore sets one, behind the expectation. */
  headers?: Record<string, string>;
}

export interface RingPublisherOptions {
  /** After so many ms without answer an append is uncertain. @default 5,000 */
  timeoutMs?: number;
  /** Appends without answer at most; as many more may wait, then they are refused. A power of two. @default 4,096 */
  inFlightMax?: number;
}

export interface RingPublisher {
  /** Resolves with the stream sequence; rejects WrongLastSequence, AppendUncertain or StreamRefused. */
  publish(subject: string, bytes: Uint8Array, options?: AppendOptions): Promise<{ sequence: number }>;
  /**
   * Appends without asking for an answer, in call order with `publish`, at about half its cost for both sides. Whether it
   * was stored shows in the answer to a later append, if both expect a last sequence.
   */
  tell(subject: string, bytes: Uint8Array, options?: AppendOptions): void;
  readonly inFlight: number;
  /** Whether the connection stands; while it does not, appends are uncertain at once. */
  readonly connected: boolean;
  close(): void;
}

interface Waiting {
  number: number;
  subject: string;
  expected: number | undefined;
  sentAt: number;
  resolve(ack: { sequence: number }): void;
  reject(error: Error): void;
}

/** The library's headers are a map that is filled, checked and joined for every message; these are written once. */
class AppendHeaders extends MsgHdrsImpl {
  readonly #text: string;

  constructor(expected: number | undefined, headers: Record<string, string> | undefined) {
    super();
    // First of all: 2.9 finds a header by its first textual match.
    let text = expected === undefined ? 'NATS/1.0\r\n' : `NATS/1.0\r\nNats-Expected-Last-Sequence: ${expected}\r\n`;
    for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
    this.#text = text;
  }

  override encode(): Uint8Array {
    return Buffer.from(`${this.#text}\r\n`, 'latin1');
  }
}

export function ringPublisher(nc: NatsConnection, options: RingPublisherOptions = {}): RingPublisher {
  const timeoutMs = options.timeoutMs ?? 5_000;
  const size = options.inFlightMax ?? 4_096;
  if ((size & (size - 1)) !== 0) throw new RangeError(`inFlightMax must be a power of two: ${size}`);
  const ring = new Array<Waiting | undefined>(size).fill(undefined);
  const queue: {
    subject: string;
    bytes: Uint8Array;
    options: AppendOptions;
    /** null: it asks for no answer. */
    waits: Pick<Waiting, 'resolve' | 'reject'> | null;
  }[] = [];
  const inbox = `${newInbox()}.`;
  let next = 0;
  let inFlight = 0;
  let connected = true;
  let closed = false;

  const write = (
    subject: string,
    bytes: Uint8Array,
    { expectedLastSequence: expected, headers }: AppendOptions,
    reply: string,
  ) => {
    if (expected === undefined && headers === undefined) nc.publish(subject, bytes, { reply });
    else nc.publish(subject, bytes, { reply, headers: new AppendHeaders(expected, headers) });
  };

  const send = (
    subject: string,
    bytes: Uint8Array,
    appendOptions: AppendOptions,
    { resolve, reject }: Pick<Waiting, 'resolve' | 'reject'>,
  ) => {
    const number = next++;
    const expected = appendOptions.expectedLastSequence;
    ring[number & (size - 1)] = { number, subject, expected, sentAt: Date.now(), resolve, reject };
    inFlight++;
    try {
      write(subject, bytes, appendOptions, inbox + number);
    } catch (error) {
      take(number)?.reject(error as Error);
    }
  };

  const sendMute = (subject: string, bytes: Uint8Array, appendOptions: AppendOptions) => {
    try {
      write(subject, bytes, appendOptions, '');
    } catch {
      // Closed: the append that asks for an answer says so.
    }
  };

  const take = (number: number): Waiting | undefined => {
    const slot = number & (size - 1);
    const waiting = ring[slot];
    if (waiting?.number !== number) return undefined;
    ring[slot] = undefined;
    inFlight--;
    return waiting;
  };

  const refill = () => {
    // A slot may still be held by an append that is older than everything around it.
    while (queue.length > 0 && inFlight < size && ring[next & (size - 1)] === undefined) {
      const q = queue.shift();
      if (!q) return;
      if (q.waits) send(q.subject, q.bytes, q.options, q.waits);
      else sendMute(q.subject, q.bytes, q.options);
    }
  };

  const onAck = (message: Msg) => {
    const waiting = take(Number(message.subject.slice(inbox.length)));
    if (!waiting) return;
    const sequence = ackedSequence(message.data);
    if (sequence > 0) waiting.resolve({ sequence });
    else waiting.reject(refusal(waiting, message));
    if (queue.length > 0) refill();
  };

  const failAll = (reason: 'disconnected' | 'closed') => {
    for (let i = 0; i < size; i++) {
      const waiting = ring[i];
      if (!waiting) continue;
      ring[i] = undefined;
      inFlight--;
      waiting.reject(new AppendUncertain(waiting.subject, reason));
    }
    for (const q of queue.splice(0)) q.waits?.reject(new AppendUncertain(q.subject, reason));
  };

  const subscription = nc.subscribe(`${inbox}*`, { callback: (error, message) => void (error ?? onAck(message)) });
  const unwatch = watchConnection(nc, {
    lost() {
      connected = false;
      failAll('disconnected');
    },
    back() {
      connected = true;
    },
  });
  const sweep = setInterval(
    () => {
      if (inFlight === 0) return;
      const before = Date.now() - timeoutMs;
      for (let i = 0; i < size; i++) {
        const waiting = ring[i];
        if (waiting && waiting.sentAt <= before)
          take(waiting.number)?.reject(new AppendUncertain(waiting.subject, 'timeout'));
      }
      refill();
    },
    Math.max(20, timeoutMs / 10),
  );
  sweep.unref();

  return {
    get inFlight() {
      return inFlight + queue.length;
    },
    get connected() {
      return connected && !closed;
    },
    publish: (subject, bytes, appendOptions = {}) =>
      new Promise((resolve, reject) => {
        if (!connected || closed) reject(new AppendUncertain(subject, closed ? 'closed' : 'disconnected'));
        else if (queue.length > 0 || ring[next & (size - 1)] !== undefined) {
          if (queue.length >= size)
            reject(new StreamRefused(subject, 0, 'too many appends are waiting in this process'));
          else queue.push({ subject, bytes, options: appendOptions, waits: { resolve, reject } });
        } else send(subject, bytes, appendOptions, { resolve, reject });
      }),
    tell(subject, bytes, appendOptions = {}) {
      if (!connected || closed) return;
      if (queue.length === 0) sendMute(subject, bytes, appendOptions);
      // One that finds no room is left out, like one that is lost on the way.
      else if (queue.length < size) queue.push({ subject, bytes, options: appendOptions, waits: null });
    },
    close() {
      if (closed) return;
      closed = true;
      clearInterval(sweep);
      unwatch();
      subscription.unsubscribe();
      failAll('closed');
    },
  };
}

const zero = 48;
const closingBrace = 125;

/** Sequence of a plain PubAck `{"stream":"…", "seq":123}`; 0 for everything that needs a closer look and is none. */
function ackedSequence(data: Uint8Array): number {
  let i = data.length - 1;
  if (i < 0 || data[i] !== closingBrace) return 0;
  let value = 0;
  let scale = 1;
  for (i--; i >= 0; i--) {
    const digit = (data[i] as number) - zero;
    if (digit < 0 || digit > 9) break;
    value += digit * scale;
    scale *= 10;
  }
  // `{"e…` is an error with `"seq":0`; `{"s…` an ack, whose last field is `seq` unless it has a domain or a duplicate flag.
  if (data[2] === 115 && value > 0) return value;
  try {
    const ack = JSON.parse(new TextDecoder().decode(data)) as { error?: unknown; seq?: number };
    return ack.error === undefined ? (ack.seq ?? 0) : 0;
  } catch {
    return 0;
  }
}

function refusal(waiting: Waiting, message: Msg): Error {
  if (message.headers?.code === 503) return new AppendUncertain(waiting.subject, 'no responders');
  let error: { code?: number; err_code?: number; description?: string } | undefined;
  try {
    error = message.json<{ error?: typeof error }>().error;
  } catch {
    // Falls through: whatever answered, it did not say that the append was refused.
  }
  if (!error) return new AppendUncertain(waiting.subject, 'unreadable answer');
  const code = error.err_code ?? error.code ?? 0;
  const description = error.description ?? 'no description';
  if (code === apiCode.wrongLastSequence)
    return new WrongLastSequence(waiting.subject, waiting.expected ?? -1, description);
  return new StreamRefused(waiting.subject, code, description);
}
