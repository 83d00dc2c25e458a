/**
 * The one live socket of this page.
 *
 * Invariants:
 * 1. A delta or event is applied only if its `prev` is the cursor held; one that was applied before is ignored; any other
 *    means something is missing, and the topic is subscribed again from the cursor held.
 * 2. While that answer is on its way, frames of the subscription before it are ignored.
 * 3. After a loss every topic resumes from its cursor, so what comes back is what was missed, or a snapshot.
 */
import type { ClientFrame, LiveCloseReason, LiveEvent, ServerFrame } from '#gateway/schema/live';
import type { RefusalCode } from '#gateway/schema/refusal';

/** Where the frames of one topic go. */
export interface TopicSink {
  /** The whole state; what came as events between the cursor held and this may be missing. */
  snapshot(data: Record<string, unknown>): void;
  delta(set: Record<string, unknown>, del: readonly string[]): void;
  event?(event: LiveEvent): void;
  refused(code: RefusalCode, detail: Record<string, unknown> | undefined): void;
}

export type LiveStatus =
  | { state: 'idle' | 'connecting' }
  | { state: 'catching_up' | 'live'; delayMs: number | null }
  | { state: 'offline'; since: number; retryAt: number | null; reason: LiveCloseReason | null }
  /** No use in trying again without the user. */
  | { state: 'ended'; reason: LiveCloseReason };

/** The part of a WebSocket that is used, so that tests can stand in for the server. */
export type SocketLike = Pick<WebSocket, 'send' | 'close' | 'readyState'> & {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
};

export interface LiveOptions {
  open: () => SocketLike;
  onStatus?: (status: LiveStatus) => void;
  /** The server's clock as each frame says it. */
  onNow?: (now: number) => void;
  /** 0 ≤ x < 1. @default Math.random */
  random?: () => number;
}

/** The same numbers as the server's; names instead of numbers everywhere else. */
const closeReasons: Record<number, LiveCloseReason> = {
  4401: 'signed_out',
  4403: 'right_withdrawn',
  4408: 'too_slow',
  4409: 'new_version',
  4429: 'too_many_topics',
};
/** These end the socket for good; after the others it comes back by itself. */
const final: readonly LiveCloseReason[] = ['signed_out', 'right_withdrawn', 'too_many_topics'];

const retryMs = { least: 500, most: 15_000 };
const pingEveryMs = 5_000;
/** No frame for so long after a ping: the line is dead even if the browser has not noticed. */
const deadAfterMs = 10_000;
/** Cursors that were applied, to tell a frame that came twice from one that is missing its neighbour. */
const seenMax = 64;
const openState = 1;

interface Topic {
  readonly id: number;
  readonly name: string;
  readonly sink: TopicSink;
  cursor: string | undefined;
  seen: string[];
  /** A `sub` is on its way. */
  waiting: boolean;
}

export class LiveClient {
  readonly #options: LiveOptions;
  readonly #topics = new Map<number, Topic>();
  #nextId = 1;
  #socket: SocketLike | null = null;
  #status: LiveStatus = { state: 'idle' };
  #attempts = 0;
  #delayMs: number | null = null;
  #lostAt: number | null = null;
  #heardAt = 0;
  #hidden = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get status(): LiveStatus {
    return this.#status;
  }

  /** Follows a topic, from `cursor` if history was read up to there. Returns how to stop. */
  follow(name: string, sink: TopicSink, cursor?: string): () => void {
    const topic: Topic = { id: this.#nextId++, name, sink, cursor, seen: [], waiting: false };
    this.#topics.set(topic.id, topic);
    if (this.#socket?.readyState === openState) this.#subscribe(topic);
    this.#settle();
    return () => {
      if (!this.#topics.delete(topic.id)) return;
      this.#send({ op: 'unsub', id: topic.id });
      this.#settle();
    };
  }

  connect(): void {
    if (this.#socket !== null) return;
    clearTimeout(this.#retry);
    if (this.#status.state !== 'offline') this.#say({ state: 'connecting' });
    else this.#say({ ...this.#status, retryAt: null });
    const socket = (this.#socket = this.#options.open());
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket && typeof data === 'string') this.#heard(JSON.parse(data) as ServerFrame);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(closeReasons[code] ?? null);
    };
  }

  /** Closes for good, as at sign-out; topics are forgotten. */
  disconnect(): void {
    this.#topics.clear();
    this.#drop();
    clearTimeout(this.#retry);
    this.#lostAt = null;
    this.#say({ state: 'idle' });
  }

  /** The network came back, or somebody looks again: no reason to wait for the timer. */
  retryNow(): void {
    if (this.#status.state !== 'offline' || this.#socket !== null) return;
    this.#attempts = 0;
    this.connect();
  }

  /** The network says it is gone. */
  networkLost(): void {
    if (this.#socket !== null) this.#lost(null);
  }

  /** A hidden page is told once a second. */
  hide(hidden: boolean): void {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    this.#send({ op: 'hidden', hidden });
    if (!hidden) {
      this.retryNow();
      this.#beat();
    }
  }

  #opened(socket: SocketLike): void {
    if (socket !== this.#socket) return;
    this.#heardAt = Date.now();
    if (this.#hidden) this.#send({ op: 'hidden', hidden: true });
    for (const topic of this.#topics.values()) this.#subscribe(topic);
    this.#ping();
    this.#heartbeat = setInterval(() => this.#beat(), pingEveryMs);
    this.#settle();
  }

  #beat(): void {
    if (this.#socket?.readyState !== openState) return;
    // A page that slept hears late, not never: it asks once more before it gives up.
    if (Date.now() - this.#heardAt > deadAfterMs + pingEveryMs) return this.#lost(null);
    this.#ping();
  }

  #ping(): void {
    this.#send({ op: 'ping', t: Math.round(performance.now()) });
  }

  #subscribe(topic: Topic): void {
    topic.waiting = true;
    this.#send({
      op: 'sub',
      id: topic.id,
      topic: topic.name,
      ...(topic.cursor === undefined ? {} : { cursor: topic.cursor }),
    });
  }

  #heard(frame: ServerFrame): void {
    this.#heardAt = Date.now();
    this.#options.onNow?.(frame.now);
    switch (frame.op) {
      case 'ping':
        return this.#send({ op: 'pong' });
      case 'pong':
        if (frame.t !== undefined) this.#delayMs = Math.max(0, Math.round(performance.now() - frame.t));
        return this.#settle();
      case 'unsub':
        return;
      case 'refuse':
        return this.#refused(frame);
      case 'snap':
      case 'delta':
      case 'event': {
        const topic = this.#topics.get(frame.id);
        if (topic === undefined) return;
        this.#take(topic, frame);
        return this.#settle();
      }
      default:
        // A newer server may say more than this page knows.
        return frame satisfies never;
    }
  }

  #take(topic: Topic, frame: Extract<ServerFrame, { op: 'snap' | 'delta' | 'event' }>): void {
    if (frame.op !== 'snap' && frame.prev !== topic.cursor) {
      if (topic.waiting || topic.seen.includes(frame.cursor)) return;
      return this.#subscribe(topic);
    }
    topic.waiting = false;
    topic.cursor = frame.cursor;
    topic.seen.push(frame.cursor);
    if (topic.seen.length > seenMax) topic.seen.shift();
    this.#attempts = 0;
    if (frame.op === 'snap') topic.sink.snapshot(frame.data);
    else if (frame.op === 'delta') topic.sink.delta(frame.set, frame.del);
    else topic.sink.event?.(frame.event);
  }

  #refused({ id, code, detail }: Extract<ServerFrame, { op: 'refuse' }>): void {
    const topic = id === null ? undefined : this.#topics.get(id);
    if (topic === undefined) return;
    // A cursor this server cannot read is no reason to stay without the topic.
    if (code === 'bad_request' && topic.cursor !== undefined) {
      topic.cursor = undefined;
      return this.#subscribe(topic);
    }
    this.#topics.delete(topic.id);
    topic.sink.refused(code, detail);
    this.#settle();
  }

  #lost(reason: LiveCloseReason | null): void {
    this.#drop();
    if (reason !== null && final.includes(reason)) return this.#say({ state: 'ended', reason });
    const now = Date.now();
    this.#lostAt ??= now;
    const most = Math.min(retryMs.most, retryMs.least * 2 ** (this.#attempts + 1));
    this.#attempts = Math.min(this.#attempts + 1, 10);
    const waitMs = retryMs.least + Math.floor((this.#options.random ?? Math.random)() * (most - retryMs.least));
    this.#say({ state: 'offline', since: this.#lostAt, retryAt: now + waitMs, reason });
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.connect(), waitMs);
  }

  #drop(): void {
    clearInterval(this.#heartbeat);
    const socket = this.#socket;
    this.#socket = null;
    this.#delayMs = null;
    for (const topic of this.#topics.values()) topic.waiting = false;
    socket?.close();
  }

  /** Live when every topic has its answer. */
  #settle(): void {
    if (this.#socket?.readyState !== openState) return;
    const waiting = [...this.#topics.values()].some((topic) => topic.waiting);
    if (!waiting) this.#lostAt = null;
    this.#say({ state: waiting ? 'catching_up' : 'live', delayMs: this.#delayMs });
  }

  #say(status: LiveStatus): void {
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return;
    this.#status = status;
    this.#options.onStatus?.(status);
  }

  #send(frame: ClientFrame): void {
    if (this.#socket?.readyState === openState) this.#socket.send(JSON.stringify(frame));
  }
}
