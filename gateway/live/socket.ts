/** One screen's socket: its subscriptions, its rights, and its bounds. */
import type { RawData, WebSocket } from 'ws';
import type { RefusalCode } from '#actors/refusals';
import type { Principal } from '../auth/principal.ts';
import { liveCloseCodes, type ClientFrame, type LiveCloseReason, type ServerFrame } from '../schema/live.ts';
import { decodeCursor } from './cursor.ts';
import { readFrame } from './inbound.ts';
import type { Topic, TopicSource } from './source.ts';
import { Subscription } from './subscription.ts';
import { TokenBucket } from './token_bucket.ts';
import { missingRight, parseTopic } from './topics.ts';

export interface SocketLimits {
  topicsMax: number;
  /** Unsent bytes above which flushes are skipped. */
  bufferedBytesHigh: number;
  /** How long a socket may stay above it before it is closed. */
  behindMsMax: number;
  pingEveryMs: number;
  /** Refused frames after which the socket is closed with 1008. */
  badFramesMax: number;
  inbound: { burst: number; perSecond: number };
}

/** What a socket needs of the hub. */
export interface SocketHost {
  readonly limits: SocketLimits;
  /** undefined: this process has nothing of that kind. */
  sourceOf(topic: Topic): TopicSource | undefined;
  /** Wall clock sent in frames, unix ms. */
  now(): number;
  /** Monotonic, ms. */
  clock(): number;
  subscribed(subscription: Subscription): void;
  unsubscribed(subscription: Subscription): void;
}

export class LiveSocket {
  principal: Principal;
  readonly #ws: WebSocket;
  readonly #host: SocketHost;
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #bucket: TokenBucket;
  #hidden = false;
  #badFrames = 0;
  #behindSince: number | null = null;
  #heardAt: number;
  #pingedAt: number;

  constructor(ws: WebSocket, principal: Principal, host: SocketHost) {
    this.#ws = ws;
    this.#host = host;
    this.principal = principal;
    this.#heardAt = this.#pingedAt = host.clock();
    this.#bucket = new TokenBucket(host.limits.inbound, this.#heardAt);
    ws.on('message', (data, isBinary) => this.#message(data, isBinary));
    ws.on('pong', () => {
      this.#heardAt = host.clock();
    });
    // Frames over the limit and broken UTF-8 end here; ws has closed with 1009 or 1007 already.
    ws.on('error', () => {});
  }

  /** What this screen costs: topics, keys and events that wait, and bytes that it has not taken. */
  get load(): { topics: number; waiting: number; bufferedBytes: number; behind: boolean } {
    let waiting = 0;
    for (const subscription of this.#subscriptions.values()) waiting += subscription.waiting;
    const { bufferedAmount: bufferedBytes } = this.#ws;
    return { topics: this.#subscriptions.size, waiting, bufferedBytes, behind: this.#behindSince !== null };
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#heardAt = this.#host.clock();
    if (isBinary) return this.#ws.close(1003, 'text frames only');
    if (!this.#bucket.take(this.#heardAt)) return this.#refuse(null, 'rate_limited', this.#host.limits.inbound);
    const read = readFrame((data as Buffer).toString('utf8'));
    if ('refuse' in read) return this.#refuse(read.id, read.refuse, read.detail);
    this.#handle(read.frame);
  }

  #handle(frame: ClientFrame): void {
    switch (frame.op) {
      case 'sub':
        return this.#subscribe(frame.id, frame.topic, frame.cursor);
      case 'unsub': {
        if (!this.#drop(frame.id)) return this.#refuse(frame.id, 'unknown_topic', { reason: 'not subscribed' });
        return this.#send({ op: 'unsub', id: frame.id, now: this.#host.now() });
      }
      case 'ping':
        return this.#send({ op: 'pong', ...(frame.t === undefined ? {} : { t: frame.t }), now: this.#host.now() });
      case 'pong':
        return;
      case 'hidden':
        this.#hidden = frame.hidden;
        return;
      default:
        return frame satisfies never;
    }
  }

  #subscribe(id: number, name: string, cursorText: string | undefined): void {
    const topic = parseTopic(name, this.principal);
    if (topic === undefined) return this.#refuse(id, 'unknown_topic', { topic: name });
    const cursor = cursorText === undefined ? undefined : decodeCursor(cursorText);
    if (cursorText !== undefined && cursor === undefined)
      return this.#refuse(id, 'bad_request', { field: '/cursor', reason: 'not a cursor' });
    // Before the look-up: without the right, nobody learns what exists.
    const missing = missingRight(topic, this.principal);
    if (missing !== null) return this.#refuse(id, 'role_missing', { right: missing });
    const source = this.#host.sourceOf(topic);
    const at = source?.position(topic);
    if (source === undefined || at === undefined) return this.#refuse(id, 'unknown_topic', { topic: name });
    const former = this.#subscriptions.get(id);
    if (former !== undefined && former.topic.name !== name)
      return this.#refuse(id, 'bad_request', { field: '/id', reason: 'in use' });
    if (former === undefined && this.#subscriptions.size >= this.#host.limits.topicsMax) {
      this.#refuse(id, 'too_many_topics', { topicsMax: this.#host.limits.topicsMax });
      return this.close('too_many_topics');
    }
    this.#drop(id);
    const subscription = new Subscription(source, id, topic, this.principal, at, cursor);
    this.#subscriptions.set(id, subscription);
    this.#host.subscribed(subscription);
    this.flush();
  }

  #drop(id: number): boolean {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return false;
    this.#subscriptions.delete(id);
    this.#host.unsubscribed(subscription);
    return true;
  }

  /** Sends what is due; skipped as a whole while the screen has not taken what it was sent before. */
  flush(): void {
    const clockMs = this.#host.clock();
    if (this.#ws.readyState !== this.#ws.OPEN || this.#behind(clockMs)) return;
    for (const subscription of this.#subscriptions.values()) {
      if (!subscription.due(clockMs, this.#hidden)) continue;
      const frames = subscription.flush(this.#host.now(), clockMs);
      if (frames === undefined) {
        this.#drop(subscription.id);
        this.#send({
          op: 'refuse',
          id: subscription.id,
          code: 'unknown_topic',
          detail: { topic: subscription.topic.name },
          now: this.#host.now(),
        });
      } else {
        for (const frame of frames) this.#send(frame);
      }
      if (this.#behind(clockMs)) return;
    }
  }

  /** Pings, and ends a socket that is too slow or silent. */
  tend(): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    const { behindMsMax, pingEveryMs } = this.#host.limits;
    const clockMs = this.#host.clock();
    if (this.#behind(clockMs) && clockMs - (this.#behindSince ?? clockMs) >= behindMsMax) return this.close('too_slow');
    if (clockMs - this.#heardAt >= 3 * pingEveryMs) return this.close('too_slow');
    if (clockMs - this.#pingedAt >= pingEveryMs) {
      this.#pingedAt = clockMs;
      this.#send({ op: 'ping', now: this.#host.now() });
      this.#ws.ping();
    }
  }

  /** Takes over changed roles; a topic that may no longer be seen as it was closes the socket. */
  became(principal: Principal): void {
    this.principal = principal;
    for (const subscription of this.#subscriptions.values()) {
      if (missingRight(subscription.topic, principal) !== null || !subscription.became(principal))
        return this.close('right_withdrawn');
    }
  }

  close(reason: LiveCloseReason): void {
    this.#end(liveCloseCodes[reason], reason);
  }

  #end(code: number, reason: string): void {
    for (const id of [...this.#subscriptions.keys()]) this.#drop(id);
    this.#ws.close(code, reason);
    // A peer that does not read never sees the close frame; it is not waited for.
    setTimeout(() => this.#ws.terminate(), 2_000).unref();
  }

  /** After the socket has closed. */
  forget(): void {
    for (const id of [...this.#subscriptions.keys()]) this.#drop(id);
  }

  #behind(clockMs: number): boolean {
    const behind = this.#ws.bufferedAmount > this.#host.limits.bufferedBytesHigh;
    if (!behind) this.#behindSince = null;
    else this.#behindSince ??= clockMs;
    return behind;
  }

  #refuse(id: number | null, code: RefusalCode, detail: Record<string, unknown>): void {
    this.#send({ op: 'refuse', id, code, detail, now: this.#host.now() });
    if (++this.#badFrames >= this.#host.limits.badFramesMax) this.#end(1008, 'too many bad frames');
  }

  #send(frame: ServerFrame): void {
    // Flushes are skipped while behind and answers are few by the inbound bucket, so what waits here stays bounded.
    this.#ws.send(JSON.stringify(frame));
  }
}
