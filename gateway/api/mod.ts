/** The API door: HTTP and the live socket on one port. */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { wallClock, type Door, type LogClock } from '#engine/log/mod';
import { domain } from '#actors/mod';
import { DeadLetters, type LetterDeps } from '#engine/dead_letters';
import { TimeTravel } from '#engine/partition/time_travel';
import { natsJournal } from '#engine/projections/journal';
import { definitionsOf, lookup, projectionReady } from '#engine/projections/mod';
import { Lockout } from '../auth/lockout.ts';
import { Principals, type Directory } from '../auth/principal.ts';
import { SignIns } from '../auth/sign_ins.ts';
import { CommandTopics, Grid, gridKinds as screenKinds, LiveHub, type GridReplica } from '../live/mod.ts';
import { buildApi } from './app.ts';
import { builtDashboard } from './dashboard.ts';
import { EngineWatch } from './engine_watch.ts';
import { HttpCounts } from './http_counts.ts';
import { outcomeFinder } from './outcomes.ts';
import { accountParts } from './parts.ts';
import type { Probes } from './routes/health.ts';
import type { GridHistory } from './routes/history.ts';
import type { PriceHistory } from './routes/prices.ts';
import type { RecordHistory } from './routes/records.ts';

/** Kinds that the replica must hold: those of the screens, and those that people are. */
export const gridKinds: readonly string[] = [...new Set([...screenKinds, 'customer', 'user'])];

export interface StartApiDeps {
  config: {
    bind: string;
    /** 0 takes a free one. */
    httpPort: number;
    /** Origins besides the own host, e.g. of a proxy in front. @default none */
    allowedOrigins?: readonly string[];
    /** See {@link buildApi}. @default 2,000 */
    loopDelayMsMax?: number;
  };
  redis: Redis;
  /** Of the kinds {@link gridKinds}; may still be loading. */
  replica: GridReplica;
  history: PriceHistory &
    RecordHistory &
    GridHistory &
    LetterDeps['history'] & {
      /** Rejects or resolves false when the store does not answer. */
      ping(): Promise<unknown>;
    };
  door: Pick<Door, 'partitions' | 'request' | 'append'>;
  nats: NatsConnection;
  /** What goes by the log's time. @default the machine's clock */
  clock?: LogClock;
  log: Logger;
}

export interface ApiStats {
  requests: HttpCounts['requests'];
  inFlight: number;
  screens: LiveHub['load'];
}

export interface ApiDoor {
  port: number;
  readonly probes: Probes;
  stats(): ApiStats;
  close(): Promise<void>;
}

/** Serves until `close`, which ends sockets and requests. Rejects when the port cannot be had. */
export async function startApi(deps: StartApiDeps): Promise<ApiDoor> {
  const { config, redis, replica, history, nats, log, door, clock = wallClock } = deps;
  const { partitions } = door;
  const { allowedOrigins = [], loopDelayMsMax } = config;
  const directory: Directory = {
    lookup: (kind, id) => lookup(redis, kind, id),
    complete: () => projectionReady(redis, partitions),
  };
  const principals = new Principals(new SignIns(redis), directory);
  const grid = new Grid(replica, partitions);
  const engine = new EngineWatch(nats, partitions);
  const findOutcome = outcomeFinder(natsJournal(nats, partitions));
  const commandTopics = new CommandTopics(replica, { outcome: (user, id) => commands.book.outcome(user, id) });
  const { commands, presence } = accountParts({
    redis,
    door,
    replica,
    findOutcome,
    log,
    clock,
    watch: commandTopics,
  });
  const probes: Probes = {
    nats: async () => {
      await nats.rtt();
    },
    redis: async () => {
      await redis.ping();
    },
    projection: async () => {
      if (!(await directory.complete())) throw new Error('Redis does not hold every partition yet');
      if (!grid.ready) throw new Error('live state is still being loaded');
    },
    engine: () => engine.check(),
    history: async () => {
      if ((await history.ping()) === false) throw new Error('it does not answer');
    },
  };
  const counts = new HttpCounts();
  const app = await buildApi({
    counts,
    clock,
    redis,
    commands,
    presence,
    grid,
    directory,
    principals,
    lockout: new Lockout(redis),
    history,
    audit: {
      travel: new TimeTravel(nats, partitions, definitionsOf(domain)),
      locate: async (kind, id) => (await lookup(redis, kind, id))?.partition,
      letters: new DeadLetters({ nc: nats, door, history }),
    },
    log,
    allowedOrigins,
    ...(loopDelayMsMax !== undefined && { loopDelayMsMax }),
    dashboardDir: builtDashboard(),
    probes,
  });
  const { engine: _, ...stores } = probes;
  const hub = new LiveHub({
    clock,
    grid,
    principals,
    allowedOrigins,
    log,
    presence,
    commands: commandTopics,
    health: {
      partitions: () => engine.partitions().map((p) => ({ ...p, sequence: replica.position(p.partition) })),
      probes: stores,
    },
  });
  app.server.on('upgrade', (request, socket, head) => void hub.upgrade(request, socket, head));
  const close = async () => {
    hub.close();
    await app.close();
    commandTopics.close();
    engine.close();
    grid.close();
  };
  try {
    await app.listen({ host: config.bind, port: config.httpPort });
  } catch (error) {
    await close();
    throw error;
  }
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : config.httpPort,
    probes,
    stats: () => ({ requests: counts.requests, inFlight: counts.inFlight, screens: hub.load }),
    close,
  };
}
