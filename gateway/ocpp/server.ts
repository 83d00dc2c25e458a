/**
 * The OCPP door of one gateway process: an HTTP server of its own, the connections it serves, one timer that watches all
 * of them, and the shutdown.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { AdmissionControl } from './admission.ts';
import { Authenticator } from './authentication.ts';
import { Connection, type Host } from './connection.ts';
import { Counters } from './counters.ts';
import type { Door, Log } from './door.ts';
import { DeviceCalls } from './device_calls.ts';
import { followEffects } from './effects.ts';
import { Turns } from './turns.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { LogHealth } from './log_health.ts';
import { Presence } from './presence.ts';
import { Registry } from './registry.ts';
import { rpcTransport } from './transport.ts';
import type { MessageTrace } from './trace.ts';
import { endWith, Upgrades, type Resolve } from './upgrades.ts';

export interface OcppOptions {
  door: Door;
  resolve: Resolve;
  /** Effects of committed decisions come by it; without it only sockets of this very gateway supersede each other. */
  nats?: NatsConnection;
  gatewayId: string;
  /** Address and port to listen on; port 0 takes a free one. */
  bind: string;
  port: number;
  log: Log;
  /** The log's clock, unix ms. @default the wall clock */
  clock?: { now(): number };
  limits?: Partial<Limits>;
  /** Key of the machine-made charger passwords, see password.ts. */
  pepper?: Uint8Array;
  /** Gets every frame of every socket; whoever opened it closes it. @default none */
  trace?: MessageTrace;
}

export interface OcppStats {
  sockets: number;
  chargers: number;
  openHandshakes: number;
  logDown: boolean;
  lagMs: number;
  counters: Omit<Counters, 'repairs' | 'count' | 'repaired' | 'answered'> & { repairs: Record<string, number> };
}

export interface OcppDoor {
  port: number;
  stats(): OcppStats;
  /** Finishes CALLs in work, closes all sockets (1012), stops listening; within `limits.stopMs`. */
  close(): Promise<void>;
}

/** Resolution of the lag histogram, which is part of every value it reports. */
const lagResolutionMs = 10;
const lagWindowMs = 1_000;
const batchMs = 50;

/** Listens for chargers. Rejects when the port cannot be taken. */
export async function startOcpp(options: OcppOptions): Promise<OcppDoor> {
  const gateway = new Gateway(options);
  await gateway.listen(options.port, options.bind);
  return gateway;
}

class Gateway implements OcppDoor, Host {
  readonly gatewayId: string;
  readonly door: Door;
  readonly clock: { now(): number };
  readonly log: Log;
  readonly limits: Limits;
  readonly counters = new Counters();
  readonly trace: MessageTrace | null;
  readonly calls: DeviceCalls;
  readonly #registry = new Registry();
  readonly #health: LogHealth;
  readonly #presence: Presence;
  readonly #admission: AdmissionControl;
  readonly #server: Server;
  readonly #upgrades: Upgrades;
  readonly #effects: { stop(): void } | null;
  readonly #turns: Turns;
  readonly #loop = monitorEventLoopDelay({ resolution: lagResolutionMs });
  #lagMs = 0;
  /** Partitions whose engine is behind. */
  #behind: ReadonlySet<number> = new Set();
  #lagSince = performance.now();
  #announcedAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #stopping: Promise<void> | null = null;

  constructor({ door, resolve, nats, gatewayId, log, clock = Date, limits, pepper, trace }: OcppOptions) {
    const now = performance.now();
    this.gatewayId = gatewayId;
    this.door = door;
    this.clock = clock;
    this.log = log;
    this.trace = trace ?? null;
    this.limits = { ...defaultLimits, ...limits };
    this.#health = new LogHealth(this.limits.breakerMs, now);
    this.#presence = new Presence(door, gatewayId, log, this.limits.gatewayHoldsMs);
    this.#turns = new Turns(this.limits.callsPerTurn);
    this.#admission = new AdmissionControl(this.limits, now);
    const transport = rpcTransport(this.limits);
    this.#upgrades = new Upgrades({
      limits: this.limits,
      counters: this.counters,
      log,
      resolve,
      transport,
      admission: this.#admission,
      authenticator: new Authenticator(pepper),
      lagMs: () => this.#lagMs,
      serving: () => !this.#health.down && this.#stopping === null,
      serve: (upgrade, { charger, site }, choice, remote) =>
        transport.accept(upgrade, charger, choice, (socket) => {
          const connection = new Connection(this, { charger, site, protocol: choice.version, remote }, socket);
          this.#registry.add(connection);
          return connection;
        }),
    });
    this.#server = this.#httpServer();
    this.calls = new DeviceCalls({
      ...{ door, clock, log },
      find: (connection) => this.#registry.find(connection),
      acknowledged: () => this.acknowledged(),
    });
    this.#effects = nats ? followEffects(nats, gatewayId, { registry: this.#registry, calls: this.calls }, log) : null;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get logDown(): boolean {
    return this.#health.down;
  }

  async listen(port: number, bind: string): Promise<void> {
    await new Promise<void>((listening, failed) => {
      this.#server.once('error', failed);
      this.#server.listen(port, bind, () => {
        this.#server.off('error', failed);
        listening();
      });
    });
    this.#server.on('error', (error) => this.log.error({ error }, 'OCPP server failed'));
    this.#loop.enable();
    this.#timer = setInterval(() => this.#sweep(), this.limits.sweepMs);
  }

  congested(partition: number): boolean {
    const { unackedAppends, pauseAtLagMs } = this.limits;
    return this.door.inFlight > unackedAppends || this.#lagMs > pauseAtLagMs || this.#behind.has(partition);
  }

  takeTurn(connection: Connection): boolean {
    return this.#turns.take(connection);
  }

  acknowledged(): void {
    this.#health.acknowledged(performance.now());
  }

  granted(connection: Connection): void {
    this.#presence.entered(connection.served.site);
    this.#registry.granted(connection);
  }

  closed(connection: Connection, code: number): void {
    this.counters.count('closed', code);
    if (connection.connectionSeq > 0) this.#presence.left(connection.served.site);
    this.#registry.remove(connection);
    this.calls.closed(connection.id);
  }

  stats(): OcppStats {
    return {
      sockets: this.#registry.size,
      chargers: this.#registry.chargers,
      openHandshakes: this.#admission.openHandshakes,
      logDown: this.#health.down,
      lagMs: this.#lagMs,
      counters: { ...this.counters, repairs: Object.fromEntries(this.counters.repairs) },
    };
  }

  close(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #httpServer(): Server {
    const server = createServer({ connectionsCheckingInterval: 2_000 }, (_, response) => {
      const error = { code: 'bad_request', message: 'chargers connect here by WebSocket' };
      response.writeHead(426, { 'Content-Type': 'application/json', Upgrade: 'websocket', Connection: 'close' });
      response.end(JSON.stringify({ error }));
    });
    server.headersTimeout = this.limits.handshakeMs;
    server.requestTimeout = this.limits.handshakeMs;
    server.on('upgrade', (request, socket, head) => void this.#upgrades.handle(request, socket, head));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
      endWith(socket, status, { code: 'bad_request', message: 'the request is malformed' });
    });
    return server;
  }

  #sweep(): void {
    const now = performance.now();
    this.#measureLag(now);
    this.#lookBehind();
    const log = this.#health.look(now, this.door.inFlight);
    if (log === 'went down') void this.#evict();
    if (now - this.#announcedAt >= this.limits.gatewayAliveMs) {
      this.#announcedAt = now;
      this.#presence.announce(() => this.acknowledged());
    }
    for (const connection of this.#registry.all()) connection.sweep(now);
  }

  /** Over windows of a second; while sockets are held back by it, at every sweep. */
  #measureLag(now: number): void {
    if (now - this.#lagSince < lagWindowMs && this.#lagMs <= this.limits.pauseAtLagMs) return;
    this.#lagMs = Math.max(0, Math.round(this.#loop.percentile(99) / 1e6) - lagResolutionMs);
    this.#loop.reset();
    this.#lagSince = now;
  }

  #lookBehind(): void {
    const { door, limits } = this;
    if (!door.engineLagMs) return;
    const behind = new Set<number>();
    for (let p = 0; p < door.partitions; p++) if (door.engineLagMs(p) > limits.pauseAtEngineLagMs) behind.add(p);
    this.#behind = behind;
  }

  /** The log is down: everybody out, spread over time, until it comes back. */
  async #evict(): Promise<void> {
    this.log.error({ sockets: this.#registry.size, inFlight: this.door.inFlight }, 'log down');
    await this.#closeAll(1013, 'try again later', this.limits.evictMs, () => this.#health.down);
  }

  async #closeAll(code: number, reason: string, overMs: number, goOn: () => boolean): Promise<void> {
    const connections = shuffled([...this.#registry.all()]);
    const batch = Math.max(1, Math.ceil((connections.length * batchMs) / overMs));
    for (let i = 0; i < connections.length && goOn(); i += batch) {
      for (const connection of connections.slice(i, i + batch)) connection.close(code, reason);
      if (i + batch < connections.length) await delay(batchMs * (0.5 + Math.random()));
    }
  }

  async #stop(): Promise<void> {
    const { stopMs } = this.limits;
    const started = performance.now();
    const until = async (part: number, done: () => boolean) => {
      while (!done() && performance.now() - started < stopMs * part) await delay(10);
    };
    this.#server.close();
    this.#server.closeIdleConnections();
    for (const connection of this.#registry.all()) connection.stop();
    const worked = Math.min(0.25, 5_000 / stopMs);
    await until(worked, () => [...this.#registry.all()].every((connection) => !connection.busy));
    await this.#closeAll(1012, 'service restart', stopMs * 0.4, () => true);
    await until(worked + 0.5, () => this.#registry.size === 0);
    for (const connection of this.#registry.all()) connection.terminate();
    // The goodbyes of the sockets are facts like any other.
    await until(0.95, () => this.#registry.size === 0 && this.door.inFlight === 0);
    this.#effects?.stop();
    this.calls.close();
    if (this.#timer) clearInterval(this.#timer);
    this.#loop.disable();
    this.#server.closeAllConnections();
  }
}

function shuffled<Item>(items: Item[]): Item[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j] as Item, items[i] as Item];
  }
  return items;
}
