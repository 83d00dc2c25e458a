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
import type { RefusalCode } from '#actors/refusals';
import type { UserState } from '#actors/schema/entities';
import { wallClock, type LogClock } from '#engine/log/mod';
import { signInCookie, type Principal, type Principals } from '../auth/principal.ts';
import { originAllowed } from '../auth/origin.ts';
import { knownRoles } from '../auth/rights.ts';
import { liveLimits, type LiveEvent, type ScreensHealth } from '../schema/live.ts';
import { CommandTopics } from './command_topics.ts';
import type { Grid, GridEntity } from './grid.ts';
import { GridTopics } from './grid_topics.ts';
import { HealthTopics, type HealthDeps } from './health_topics.ts';
import { MeTopics } from './me_topics.ts';
import type { Topic, TopicKind, TopicSource, Touch } from './source.ts';
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
  /** Told of every user with an open socket, again and again while it is open. */
  presence?: { seen(principal: Principal): void };
  /** What the doors say of commands; @default only what follows from them in the journal */
  commands?: CommandTopics;
  /** Without it there is no topic `health`. */
  health?: Omit<HealthDeps, 'screens'>;
  /** @default the machine's */
  clock?: LogClock;
  limits?: Partial<LiveLimits>;
}

const nobody = { seen: () => {} };

export class LiveHub implements SocketHost {
  readonly limits: LiveLimits;
  readonly #clock: LogClock;
  readonly #grid: Grid;
  readonly #presence: NonNullable<LiveDeps['presence']>;
  readonly #sources: Readonly<Record<TopicKind, TopicSource | undefined>>;
  readonly #principals: Principals;
  readonly #allowedOrigins: readonly string[];
  readonly #log: Logger;
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<LiveSocket>();
  /** By kind and id of the topic. */
  readonly #subscribers = new Map<string, Set<Subscription>>();
  readonly #timers: NodeJS.Timeout[];
  readonly #stops: (() => void)[];
  #closing = false;
  #checking = false;

  constructor({
    grid,
    principals,
    allowedOrigins,
    log,
    presence = nobody,
    clock = wallClock,
    limits,
    ...deps
  }: LiveDeps) {
    this.#clock = clock;
    this.#grid = grid;
    this.#presence = presence;
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
    const ofGrid = new GridTopics(grid);
    const me = new MeTopics(grid.replica, grid.partitions);
    const commands = deps.commands ?? new CommandTopics(grid.replica);
    const health = deps.health && new HealthTopics({ ...deps.health, screens: () => this.load });
    this.#sources = { tree: ofGrid, station: ofGrid, charger: ofGrid, me, command: commands, health };
    const listener = {
      touched: (touches: readonly Touch[]) => this.#touched(touches),
      event: (...told: [TopicKind, string, LiveEvent, number]) => this.#event(...told),
    };
    this.#stops = [
      ...[ofGrid, me, commands, ...(health ? [health] : [])].map((source) => source.listen(listener)),
      () => me.close(),
      () => health?.close(),
      ...(deps.commands ? [] : [() => commands.close()]),
      grid.replica.onChange((change) => {
        if (change.kind === 'user') this.#userChanged(change.id, change.after);
      }),
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

  now = () => this.#clock.now();
  clock = () => performance.now();

  /** Open sockets. */
  get size(): number {
    return this.#sockets.size;
  }

  /** What all open screens cost. */
  get load(): ScreensHealth {
    const screens = { sockets: this.#sockets.size, topics: 0, behind: 0, bufferedBytes: 0 };
    for (const { load } of this.#sockets) {
      screens.topics += load.topics;
      screens.behind += load.behind ? 1 : 0;
      screens.bufferedBytes += load.bufferedBytes;
    }
    return screens;
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
    if (this.#closing || !this.#grid.ready) return refuse('starting');
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
    this.#presence.seen(principal);
    if (this.#closing) socket.close('new_version');
  }

  sourceOf({ kind }: Topic): TopicSource | undefined {
    return this.#sources[kind];
  }

  subscribed(subscription: Subscription): void {
    const { topic } = subscription;
    const name = nameOf(topic);
    let set = this.#subscribers.get(name);
    if (set === undefined) {
      this.#subscribers.set(name, (set = new Set()));
      this.#sources[topic.kind]?.watched?.(topic, true);
    }
    set.add(subscription);
  }

  unsubscribed(subscription: Subscription): void {
    const { topic } = subscription;
    const name = nameOf(topic);
    const set = this.#subscribers.get(name);
    set?.delete(subscription);
    if (set?.size !== 0) return;
    this.#subscribers.delete(name);
    this.#sources[topic.kind]?.watched?.(topic, false);
  }

  #touched(touches: readonly Touch[]): void {
    for (const touch of touches) {
      for (const subscription of this.#subscribers.get(nameOf(touch)) ?? []) subscription.touched(touch.keys);
    }
  }

  #event(kind: TopicKind, id: string, event: LiveEvent, sequence: number): void {
    for (const subscription of this.#subscribers.get(nameOf({ kind, id })) ?? []) subscription.event(event, sequence);
  }

  #signedOut(hash: string): void {
    for (const socket of this.#sockets) if (socket.principal.signIn.hash === hash) socket.close('signed_out');
  }

  /** What is taken away counts at once; what is given waits for the store, which may still say what was before. */
  #userChanged(user: string, after: GridEntity<unknown> | undefined): void {
    const now = after?.value === 'active' ? knownRoles((after.context as UserState).roles) : null;
    for (const socket of this.#sockets) {
      const { principal } = socket;
      if (principal.user !== user) continue;
      if (now === null) socket.close('signed_out');
      else socket.became({ ...principal, roles: principal.roles.filter((role) => now.includes(role)) });
    }
  }

  /** One look-up per sign-in, however many sockets it has. */
  async #checkRights(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    const byHash = new Map<string, LiveSocket[]>();
    for (const socket of this.#sockets) {
      const { hash } = socket.principal.signIn;
      const sockets = byHash.get(hash);
      if (sockets) sockets.push(socket);
      else byHash.set(hash, [socket]);
    }
    try {
      for (const [hash, sockets] of byHash) this.#found(sockets, await this.#principals.byHash(hash));
    } catch (error) {
      // Redis away: what was right seconds ago stays right until it answers again.
      this.#log.warn({ event: 'rights_unchecked', err: error }, 'sign-ins of open screens could not be checked');
    } finally {
      this.#checking = false;
    }
  }

  #found(sockets: readonly LiveSocket[], found: Principal | RefusalCode): void {
    if (found === 'starting') return;
    for (const socket of sockets) {
      if (typeof found === 'string') socket.close('signed_out');
      else socket.became(found);
    }
    if (typeof found !== 'string') this.#presence.seen(found);
  }

  /** For a restart: screens come back by themselves, and look whether the page is another one by then. */
  close(): void {
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const stop of this.#stops) stop();
    for (const socket of this.#sockets) socket.close('new_version');
  }
}

const nameOf = ({ kind, id }: { kind: TopicKind; id: string }): string => `${kind}:${id}`;

/** The path without its query; undefined for what is no path. */
function pathOf(url: string | undefined): string | undefined {
  return url?.startsWith('/') ? url.split('?', 1)[0] : undefined;
}
