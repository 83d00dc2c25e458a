/**
 * The live socket `/live` of one gateway: lets screens in, tells their subscriptions what changed, flushes them.
 *
 * Invariants:
 * L1  Only a signed-in user of an allowed origin gets a socket, and loses it when the sign-in ends or a right is gone.
 * L2  A subscriber sees states and events of a topic in journal order; a frame's `prev` is the cursor of the one before.
 * L3  A slow screen costs a set of keys; it is skipped, then closed, and never slows another.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Price } from '#actors/schema/events';
import { signInCookie, type Principal, type Principals } from '../auth/principal.ts';
import { originAllowed } from '../auth/origin.ts';
import { liveLimits } from '../schema/live.ts';
import type { Grid, JournalPosition, Touch } from './grid.ts';
import { LiveSocket, type SocketHost, type SocketLimits } from './socket.ts';
import type { Subscription } from './subscription.ts';
import { refuseRaw } from './refuse_raw.ts';

export interface LiveLimits extends SocketLimits {
  socketsMax: number;
  flushEveryMs: number;
  /** How soon a sign-in or a role that ended elsewhere is noticed. */
  rightsEveryMs: number;
}

const defaults: LiveLimits = {
  topicsMax: liveLimits.topicsMax,
  behindMsMax: liveLimits.behindMsMax,
  pingEveryMs: liveLimits.pingEveryMs,
  bufferedBytesHigh: 256 * 1024,
  badFramesMax: 32,
  inbound: { burst: 128, perSecond: 20 },
  socketsMax: 2_000,
  flushEveryMs: 100,
  rightsEveryMs: 5_000,
};

export interface LiveDeps {
  grid: Grid;
  principals: Principals;
  /** Besides the host that was asked, e.g. `https://grid.example`. */
  allowedOrigins: readonly string[];
  log: Logger;
  limits?: Partial<LiveLimits>;
}

export class LiveHub implements SocketHost {
  readonly grid: Grid;
  readonly limits: LiveLimits;
  readonly #principals: Principals;
  readonly #allowedOrigins: readonly string[];
  readonly #log: Logger;
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<LiveSocket>();
  /** By topic name. */
  readonly #subscribers = new Map<string, Set<Subscription>>();
  readonly #timers: NodeJS.Timeout[];
  readonly #stops: (() => void)[];
  #closing = false;

  constructor({ grid, principals, allowedOrigins, log, limits }: LiveDeps) {
    this.grid = grid;
    this.limits = { ...defaults, ...limits };
    this.#principals = principals;
    this.#allowedOrigins = allowedOrigins;
    this.#log = log;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: liveLimits.frameBytesMax,
      perMessageDeflate: false,
    });
    // A handshake that ws itself finds wrong.
    this.#server.on('wsClientError', (error, socket) => refuseRaw(socket, 'bad_request', { reason: error.message }));
    this.#stops = [
      grid.listen({ touched: (touches) => this.#touched(touches), price: (price, at) => this.#price(price, at) }),
      principals.signIns.onEnd((hash) => this.#signedOut(hash)),
    ];
    this.#timers = [
      setInterval(() => {
        for (const socket of this.#sockets) socket.flush();
      }, this.limits.flushEveryMs),
      setInterval(
        () => {
          for (const socket of this.#sockets) socket.tend();
        },
        Math.min(1_000, this.limits.behindMsMax / 4),
      ),
      setInterval(() => void this.#checkRights(), this.limits.rightsEveryMs),
    ];
  }

  now = () => Date.now();
  clock = () => performance.now();

  /** Open sockets. */
  get size(): number {
    return this.#sockets.size;
  }

  /** For the `upgrade` event of the HTTP server. Never throws. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const refuse = (...[code, detail]: [Parameters<typeof refuseRaw>[1], Record<string, unknown>?]) => {
      const correlation = refuseRaw(socket, code, detail);
      this.#log.info(
        { event: 'live_refused', code, correlation, remote: request.socket.remoteAddress },
        'upgrade refused',
      );
    };
    if (pathOf(request.url) !== '/live') return refuse('not_found');
    if (!originAllowed(request.headers.origin, request.headers.host, this.#allowedOrigins)) return refuse('bad_origin');
    if (this.#closing || !this.grid.ready) return refuse('starting');
    if (this.#sockets.size >= this.limits.socketsMax)
      return refuse('overloaded', { socketsMax: this.limits.socketsMax });
    let principal: Principal;
    try {
      const found = await this.#principals.byCookie(signInCookie(request.headers.cookie));
      if (typeof found === 'string') return refuse(found);
      principal = found;
    } catch (error) {
      this.#log.error({ event: 'sign_in_unreadable', err: error }, 'the sign-in could not be looked up');
      return refuse('unavailable');
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#opened(ws, principal));
  }

  #opened(ws: WebSocket, principal: Principal): void {
    const socket = new LiveSocket(ws, principal, this);
    this.#sockets.add(socket);
    ws.on('close', (code) => {
      socket.forget();
      this.#sockets.delete(socket);
      this.#log.debug({ event: 'live_closed', user: principal.user, code }, 'screen gone');
    });
    if (this.#closing) socket.goAway();
  }

  subscribed(subscription: Subscription): void {
    const { name } = subscription.topic;
    let set = this.#subscribers.get(name);
    if (set === undefined) this.#subscribers.set(name, (set = new Set()));
    set.add(subscription);
  }

  unsubscribed(subscription: Subscription): void {
    const { name } = subscription.topic;
    const set = this.#subscribers.get(name);
    set?.delete(subscription);
    if (set?.size === 0) this.#subscribers.delete(name);
  }

  #touched(touches: Touch[]): void {
    for (const { topic, id, keys } of touches) {
      for (const subscription of this.#subscribers.get(`${topic}:${id}`) ?? []) subscription.touched(keys);
    }
  }

  #price(price: Price, at: JournalPosition): void {
    for (const subscription of this.#subscribers.get(`station:${price.station}`) ?? [])
      subscription.price(price, at.sequence);
  }

  #signedOut(hash: string): void {
    for (const socket of this.#sockets) if (socket.principal.signIn.hash === hash) socket.close('signed_out');
  }

  /** One look-up per sign-in, however many sockets it has. */
  async #checkRights(): Promise<void> {
    const byHash = new Map<string, LiveSocket[]>();
    for (const socket of this.#sockets) {
      const { hash } = socket.principal.signIn;
      byHash.set(hash, [...(byHash.get(hash) ?? []), socket]);
    }
    for (const [hash, sockets] of byHash) {
      try {
        const found = await this.#principals.byHash(hash);
        if (found === 'starting') continue;
        for (const socket of sockets) {
          if (typeof found === 'string') socket.close('signed_out');
          else socket.became(found);
        }
      } catch (error) {
        // Redis away: what was right seconds ago stays right until it answers again.
        this.#log.warn({ event: 'rights_unchecked', err: error }, 'sign-ins of open screens could not be checked');
        return;
      }
    }
  }

  close(): void {
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const stop of this.#stops) stop();
    for (const socket of this.#sockets) socket.goAway();
  }
}

/** The path without its query; undefined for what is no path. */
function pathOf(url: string | undefined): string | undefined {
  return url?.startsWith('/') ? url.split('?', 1)[0] : undefined;
}
