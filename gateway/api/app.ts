/** The HTTP application: plugins, guards and routes. Opens no port. */
import fastifyCookie from '@fastify/cookie';
import fastifyHelmet from '@fastify/helmet';
import fastifyRateLimit from '@fastify/rate-limit';
import fastifyUnderPressure from '@fastify/under-pressure';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { randomUUID } from 'node:crypto';
import Fastify, { LogController, type FastifyBaseLogger, type RouteOptions } from 'fastify';
import type { Redis } from 'ioredis';
import { wallClock, type LogClock } from '#engine/log/mod';
import type { Lockout } from '../auth/lockout.ts';
import type { Directory, Principals } from '../auth/principal.ts';
import type { Grid } from '../live/grid.ts';
import { guard } from './access.ts';
import type { Presence } from './presence.ts';
import { serveDashboard } from './dashboard.ts';
import { answerBrokenHttp, answerError } from './errors.ts';
import { describeApi } from './openapi.ts';
import type { HttpCounts } from './http_counts.ts';
import { Refused } from './refused.ts';
import { accountRoutes } from './routes/account.ts';
import { auditRoutes, type AuditDeps } from './routes/audit.ts';
import { commandRoutes } from './routes/commands.ts';
import { deviceCommandRoutes } from './routes/device_commands.ts';
import { gridRoutes } from './routes/grid.ts';
import { healthRoutes, type Probes } from './routes/health.ts';
import { historyRoutes, type GridHistory } from './routes/history.ts';
import { peopleRoutes } from './routes/people.ts';
import { priceRoutes, type PriceHistory } from './routes/prices.ts';
import { recordRoutes, type RecordHistory } from './routes/records.ts';
import { sessionCloseRoutes } from './routes/session_close.ts';
import { signInRoutes } from './routes/sign_in.ts';
import type { ApiScope } from './scope.ts';
import { helmetOptions } from './security.ts';
import { buildSerializer } from './serialization.ts';
import { validatorCompiler } from './validation.ts';
import type { CommandDeps } from './writing.ts';

export interface ApiDeps {
  /** @default the machine's */
  clock?: LogClock;
  /** For rate limits; null counts in memory. */
  redis: Redis | null;
  grid: Grid;
  directory: Directory;
  principals: Principals;
  lockout: Lockout;
  history: PriceHistory & RecordHistory & GridHistory;
  /** What the log tells of the past. */
  audit: AuditDeps;
  /** Accounts, and the way of commands into the log. */
  commands: CommandDeps;
  /** Told of every use of a sign-in. */
  presence: Presence;
  probes: Probes;
  log: FastifyBaseLogger;
  /** Besides the host that was asked. */
  allowedOrigins: readonly string[];
  /** The built dashboard; null: none. */
  dashboardDir: string | null;
  /** API requests per minute and address. @default 1,200 */
  requestsPerMinute?: number;
  /** Mean delay of the event loop in a second, above which requests are refused `overloaded`. @default 2,000 */
  loopDelayMsMax?: number;
  counts?: HttpCounts;
  /** Told of every route as it is registered. */
  onRoute?: (route: RouteOptions) => void;
}

const bodyBytesMax = 16 * 1024;

export async function buildApi(deps: ApiDeps) {
  const { clock = wallClock } = deps;
  const app = Fastify({
    loggerInstance: deps.log,
    bodyLimit: bodyBytesMax,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    forceCloseConnections: true,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlation' }),
    routerOptions: { maxParamLength: 384 },
    schemaController: { compilersFactory: { buildSerializer } },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerBrokenHttp,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.decorate('now', () => clock.now());
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler(answerError);
  deps.counts?.follow(app);
  if (deps.onRoute) app.addHook('onRoute', deps.onRoute);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-correlation-id', request.id);
  });

  await app.register(fastifyHelmet, helmetOptions(deps.dashboardDir));
  await app.register(fastifyCookie);
  await app.register(fastifyUnderPressure, {
    maxEventLoopDelay: deps.loopDelayMsMax ?? 2_000,
    pressureHandler: (request, _reply, _type, value) => {
      // No number: the loop has not been sampled yet, which is so for a second after a slow start.
      if (request.url !== '/health/live' && Number.isFinite(value))
        throw new Refused('overloaded', { retryAfterMs: 2_000 });
    },
  });
  await describeApi(app);
  healthRoutes(app, deps.probes);
  await app.register(async (scope: ApiScope) => {
    await scope.register(fastifyRateLimit, {
      max: deps.requestsPerMinute ?? 1_200,
      timeWindow: 60_000,
      nameSpace: 'rate:',
      // Limits protect the house; when Redis is away, its own error says more than a limit would.
      ...(deps.redis === null ? {} : { redis: deps.redis, skipOnError: true }),
      errorResponseBuilder: (_request, { ttl }) => new Refused('rate_limited', { retryAfterMs: ttl }),
    });
    guard(scope, deps);
    scope.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
    const { directory, lockout, presence, commands, grid, history } = deps;
    const { accounts } = commands;
    signInRoutes(scope, { signIns: deps.principals.signIns, directory, lockout, accounts, presence });
    gridRoutes(scope, grid);
    priceRoutes(scope, grid, history);
    accountRoutes(scope, commands);
    commandRoutes(scope, commands);
    recordRoutes(scope, history);
    historyRoutes(scope, grid, history);
    peopleRoutes(scope, grid.replica, commands);
    deviceCommandRoutes(scope, grid, commands);
    auditRoutes(scope, deps.audit, commands);
    sessionCloseRoutes(scope, grid.replica, commands);
  });
  await serveDashboard(app, deps.dashboardDir);
  return app;
}
