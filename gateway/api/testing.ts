/** The API over real Redis, real HTTP and real sockets; live state is a replica that the test moves. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { pino } from 'pino';
import { WebSocket, type ClientOptions } from 'ws';
import type { NameState, UserState } from '#actors/schema/entities';
import type { Price } from '#actors/schema/events';
import { lookup, projectionReady } from '#engine/projections/lookup';
import { startTestRedis } from '#engine/projections/testing';
import { Lockout, type LockoutLimits } from '../auth/lockout.ts';
import { hashPassword } from '../auth/password.ts';
import { Principals } from '../auth/principal.ts';
import { cookieName, SignIns } from '../auth/sign_ins.ts';
import { CommandTopics } from '../live/command_topics.ts';
import { Grid } from '../live/grid.ts';
import { LiveHub, type LiveLimits } from '../live/hub.ts';
import { demoReplica, type MemoryReplica } from '../live/testing.ts';
import type { ClientFrame, ServerFrame } from '../schema/live.ts';
import type { Role } from '../schema/sign_in.ts';
import { buildApi, type ApiDeps } from './app.ts';
import type { CommandWatch } from './command_book.ts';
import { accountParts } from './parts.ts';
import { auditOf, DomainBehindDoor, emptyGridHistory, historyOf } from './testing_world.ts';

export const partitions = 16;
export const password = 'correct horse battery staple';
/** Made once: it is slow on purpose. */
const passwordHash = hashPassword(password);

export interface TestApiOptions {
  replica?: MemoryReplica;
  limits?: Partial<LiveLimits>;
  lockout?: LockoutLimits;
  history?: Partial<ApiDeps['history']>;
  audit?: Partial<ApiDeps['audit']>;
  watch?: CommandWatch;
  commandsPerMinute?: number;
  onRoute?: ApiDeps['onRoute'];
  dashboardDir?: string;
  probes?: Partial<ApiDeps['probes']>;
  requestsPerMinute?: number;
  allowedOrigins?: string[];
}

/**
 * With the users `operator`, `admin`, `customer` and `trader` (both of role customer) `@demo.local`, all with
 * {@link password}. What they send is decided by the real domain, in memory.
 */
export async function startTestApi(options: TestApiOptions = {}) {
  const server = await startTestRedis();
  const redis = server.client();
  const replica = options.replica ?? demoReplica();
  const hash = await passwordHash;
  const putUser = async (id: string, changes: { roles: Role[]; value?: string }) => {
    const { roles, value = 'active' } = changes;
    const user: UserState = { email: `${id}@demo.local`, name: id, passwordHash: hash, roles, createdAt: 1 };
    const name: NameState = { owner: { kind: 'user', key: id, id }, tag: null, claimedAt: 1 };
    await redis.set(`e:user:${id}`, JSON.stringify({ p: 0, s: 1, value, context: user }));
    replica.commit(id, [{ kind: 'user', id, value, context: user }]);
    await redis.set(`e:name:email:${id}@demo.local`, JSON.stringify({ p: 0, s: 1, value: 'confirmed', context: name }));
  };
  await putUser('operator', { roles: ['operator'] });
  await putUser('admin', { roles: ['admin'] });
  await putUser('customer', { roles: ['customer'] });
  await putUser('trader', { roles: ['customer'] });
  await redis.mset(Object.fromEntries(Array.from({ length: partitions }, (_, p) => [`projected:${p}`, '1'])));

  const signIns = new SignIns(redis);
  const principals = new Principals(signIns, {
    lookup: (kind, id) => lookup(redis, kind, id),
    complete: () => projectionReady(redis, partitions),
  });
  const directory = {
    lookup: <C>(kind: string, id: string) => lookup<C>(redis, kind, id),
    complete: () => projectionReady(redis, partitions),
  };
  const grid = new Grid(replica, partitions);
  const log = pino({ level: process.env['GRIDTICK_TEST_LOG'] ?? 'silent' }, pino.destination(2));
  const fine = async () => {};
  const { watch, commandsPerMinute, onRoute } = options;
  const door = new DomainBehindDoor(replica, partitions);
  const commandTopics = new CommandTopics(replica, { outcome: (user, id) => commands.book.outcome(user, id) });
  const { commands, presence } = accountParts({
    redis,
    door,
    replica,
    findOutcome: door.findOutcome,
    log,
    watch: watch ?? commandTopics,
    ...(commandsPerMinute !== undefined && { commandsPerMinute }),
  });
  const probes = { nats: fine, redis: fine, projection: fine, history: fine, ...options.probes };
  const app = await buildApi({
    redis,
    grid,
    directory,
    principals,
    log,
    commands,
    presence,
    ...(onRoute && { onRoute }),
    lockout: new Lockout(redis, options.lockout),
    history: {
      prices: async (): Promise<Price[]> => [],
      ...historyOf(door.world),
      ...emptyGridHistory,
      ...options.history,
    },
    audit: Object.assign(options.audit ?? {}, { ...auditOf(door.world), ...options.audit }),
    probes: { engine: fine, ...probes },
    // The machine of a test may be busy with others.
    loopDelayMsMax: 60_000,
    allowedOrigins: options.allowedOrigins ?? [],
    dashboardDir: options.dashboardDir ?? null,
    ...(options.requestsPerMinute === undefined ? {} : { requestsPerMinute: options.requestsPerMinute }),
  });
  const hub = new LiveHub({
    grid,
    principals,
    allowedOrigins: options.allowedOrigins ?? [],
    log,
    presence,
    commands: commandTopics,
    health: {
      partitions: () =>
        Array.from({ length: partitions }, (_, p) => ({
          ...{ partition: p, served: true, lagMs: 3 },
          sequence: replica.position(p),
        })),
      probes,
    },
    ...(options.limits ? { limits: options.limits } : {}),
  });
  app.server.on('upgrade', (request, socket, head) => void hub.upgrade(request, socket, head));
  const base = await app.listen({ host: '127.0.0.1', port: 0 });

  return {
    app,
    base,
    door,
    presence,
    grid,
    hub,
    redis,
    replica,
    server,
    signIns,
    putUser,
    /** The Cookie header of a new sign-in, without the form. */
    async cookieOf(user: string): Promise<string> {
      const { id } = await signIns.open(user);
      return `${cookieName}=${id}`;
    },
    async close(): Promise<void> {
      hub.close();
      await app.close();
      commandTopics.close();
      grid.close();
      await server.stop();
    },
  };
}
export type TestApi = Awaited<ReturnType<typeof startTestApi>>;

/** A screen: keeps every frame in order and hands them out as they are awaited. */
export class TestScreen {
  readonly ws: WebSocket;
  readonly #frames: ServerFrame[] = [];
  #wake: () => void = () => {};
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data) => {
      this.#frames.push(JSON.parse((data as Buffer).toString()) as ServerFrame);
      this.#wake();
    });
    ws.on('error', () => {});
    this.closed = new Promise((resolve) =>
      ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
  }

  static async open(base: string, cookie: string, options: ClientOptions = {}): Promise<TestScreen> {
    const ws = new WebSocket(`${base.replace('http', 'ws')}/live`, { headers: { cookie }, origin: base, ...options });
    const screen = new TestScreen(ws);
    await once(ws, 'open');
    return screen;
  }

  send(frame: ClientFrame): void {
    this.ws.send(JSON.stringify(frame));
  }

  /** The next frame with that op; frames before it that have another op are an error, pings excepted. */
  async next<Op extends ServerFrame['op']>(op: Op): Promise<Extract<ServerFrame, { op: Op }>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      else if (frame.op === op) return frame as Extract<ServerFrame, { op: Op }>;
      else if (frame.op !== 'ping') throw new Error(`expected ${op}, got ${JSON.stringify(frame)}`);
    }
  }

  /** Waits for the answer to a ping, so that all that was sent before it has been handled; returns what came before. */
  async settled(): Promise<ServerFrame[]> {
    this.send({ op: 'ping', t: 0 });
    const before: ServerFrame[] = [];
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      else if (frame.op === 'pong') return before;
      else if (frame.op !== 'ping') before.push(frame);
    }
  }

  async close(): Promise<void> {
    this.ws.close();
    await this.closed;
  }
}

/** What an upgrade that is refused gets: the status and the refusal in its body. */
export async function refusedUpgrade(url: string, options: ClientOptions): Promise<{ status: number; body: unknown }> {
  const ws = new WebSocket(url.replace('http', 'ws'), options);
  ws.on('error', () => {});
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, body: JSON.parse(text) };
}
