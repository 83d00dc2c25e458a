/**
 * Process of the role "gateway": the doors for chargers (OCPP), people (HTTP, live screens) and programs (NATS).
 * `--doors ocpp,nats` opens some of them.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { openHistory } from '#engine/history/mod';
import { connectLog, openDoor, openLogClock } from '#engine/log/mod';
import { openReplica } from '#engine/projections/mod';
import { unlessRebuilding } from '#engine/projections/rebuild';
import { runRole } from '#engine/roles/role_process';
import type { Probes } from '#engine/telemetry/health';
import { gridKinds, startApi } from './api/mod.ts';
import { identityResolver } from './identities.ts';
import { showApi, showDoor, showNats, showOcpp } from './meters.ts';
import { startNats } from './nats/mod.ts';
import { TradeDesk } from './trading/trade_desk.ts';
import { drivenLimits, limitsForTest, openTrace, startOcpp } from './ocpp/mod.ts';

const { values } = parseArgs({ options: { doors: { type: 'string', default: 'ocpp,api,nats' } } });
const doors = new Set(values.doors.split(','));

await runRole('gateway', async ({ config, log, metrics, tracer, onFatal }) => {
  const gatewayId = `gw-${randomUUID().slice(0, 8)}`;
  const { partitions, bind } = config;
  const nats = await connectLog(config.natsUrl, gatewayId);
  const redis = new Redis(config.redisUrl, { maxRetriesPerRequest: 1, enableReadyCheck: true });
  redis.on('error', (error: Error) => {
    log.warn({ err: error.message }, 'redis');
  });
  const door = await openDoor(nats, { name: gatewayId, partitions, ...(tracer && { tracer }) });
  const clock = await openLogClock(nats, config);
  const closers: (() => Promise<unknown>)[] = [
    async () => {
      redis.disconnect();
    },
    () => nats.drain(),
    async () => clock.close(),
    () => door.close(),
  ];
  const ready: Record<string, unknown> = { gateway: gatewayId };
  let probes: Probes = {
    async nats() {
      await nats.rtt();
    },
  };
  showDoor(metrics, () => door.stats());

  if (doors.has('api')) {
    const replica = await openReplica(nats, redis, { partitions, kinds: gridKinds, background: true, onFatal });
    const stored = await openHistory({
      url: config.clickhouseUrl,
      user: config.clickhouseUser,
      password: config.clickhousePassword,
    });
    const history = unlessRebuilding(stored, redis);
    const api = await startApi({
      config: { bind, httpPort: config.httpPort },
      redis,
      replica,
      history,
      door,
      nats,
      clock,
      log,
    });
    ready['httpPort'] = api.port;
    probes = { ...probes, ...api.probes };
    showApi(metrics, () => api.stats());
    closers.push(
      () => stored.close(),
      () => replica.close(),
      () => api.close(),
    );
  }
  if (doors.has('ocpp')) {
    const trace = config.messageLog === 'on' ? openTrace(nats, { gateway: gatewayId, clock, log }) : undefined;
    const ocpp = await startOcpp({
      door,
      ...(trace && { trace }),
      nats,
      gatewayId,
      clock,
      bind,
      port: config.ocppPort,
      log,
      resolve: identityResolver(redis, partitions),
      limits: {
        stopMs: Math.round(config.stopMs * 0.6),
        ...(config.clock === 'driven' ? drivenLimits : {}),
        ...limitsForTest(process.env),
      },
    });
    ready['ocppPort'] = ocpp.port;
    probes = {
      ...probes,
      async log() {
        if (ocpp.stats().logDown) throw new Error('no message can be stored: chargers are sent away');
      },
    };
    showOcpp(metrics, () => ocpp.stats());
    closers.push(
      async () => trace?.close(),
      () => ocpp.close(),
    );
  }
  if (doors.has('nats')) {
    const desk = new TradeDesk({ config, door, redis, log, now: () => clock.now() });
    closers.push(() => desk.close());
    const integrators = await startNats({ config, nats, door, log, desk });
    showNats(metrics, () => integrators.stats());
    closers.push(() => integrators.close());
  }
  return {
    ready,
    probes,
    // Doors first, the connections they use last.
    async close() {
      for (const close of closers.reverse()) await close();
    },
  };
});
