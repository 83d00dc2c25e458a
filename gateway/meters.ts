/** What a gateway counts, for Prometheus. Nothing is labelled by charger, customer or integrator: their number has no bound. */
import type { DoorStats } from '#engine/log/mod';
import { byName, readCounter, readGauge, type Registry, type Sample } from '#engine/telemetry/registry';
import type { ApiStats } from './api/mod.ts';
import type { NatsDoorStats } from './nats/mod.ts';
import type { OcppStats } from './ocpp/mod.ts';

export function showDoor(registry: Registry, stats: () => DoorStats): void {
  const of = 'gridtick_door';
  readGauge(
    registry,
    {
      name: `${of}_in_flight`,
      help: 'Commands: appended without acknowledgement, and waiting for a reply',
      labels: ['for'],
    },
    () => {
      const { inFlight, waiting } = stats();
      return [
        [{ for: 'append' }, inFlight],
        [{ for: 'reply' }, waiting],
      ];
    },
  );
  readCounter(registry, { name: `${of}_commands_total`, help: 'Commands stored in the log' }, () => [
    [{}, stats().stored],
  ]);
  readCounter(
    registry,
    { name: `${of}_asked_again_total`, help: 'Copies of commands whose reply did not come in time' },
    () => [[{}, stats().askedAgain]],
  );
  readCounter(
    registry,
    { name: `${of}_refused_total`, help: 'Commands that the door itself refused', labels: ['code'] },
    () => byName('code', stats().refused),
  );
  readCounter(
    registry,
    { name: `${of}_replies_total`, help: 'Decisions that came back, by refusal code or ok', labels: ['code'] },
    () => byName('code', stats().replies),
  );
}

export function showApi(registry: Registry, stats: () => ApiStats): void {
  readCounter(
    registry,
    { name: 'gridtick_http_requests_total', help: 'Requests answered', labels: ['method', 'route', 'status'] },
    () => stats().requests,
  );
  readGauge(registry, { name: 'gridtick_http_in_flight', help: 'Requests that are not answered' }, () => [
    [{}, stats().inFlight],
  ]);
  readGauge(registry, { name: 'gridtick_live_sockets', help: 'Open live screens' }, () => [
    [{}, stats().screens.sockets],
  ]);
  readGauge(registry, { name: 'gridtick_live_buffered_bytes', help: 'What waits for slow screens' }, () => [
    [{}, stats().screens.bufferedBytes],
  ]);
}

export function showOcpp(registry: Registry, stats: () => OcppStats): void {
  const of = 'gridtick_ocpp';
  readGauge(registry, { name: `${of}_connections`, help: 'Open sockets of chargers' }, () => [[{}, stats().sockets]]);
  readGauge(
    registry,
    { name: `${of}_log_down`, help: '1 = no acknowledgement of the log, chargers are sent away' },
    () => [[{}, Number(stats().logDown)]],
  );
  readCounter(
    registry,
    {
      name: `${of}_messages_total`,
      help: 'CALLs answered, by action and outcome: answered, replayed, or the code of the CALLERROR',
      labels: ['action', 'outcome'],
    },
    () =>
      Object.entries(stats().counters.answers).flatMap(([action, outcomes]) =>
        Object.entries(outcomes).map(([outcome, n]): Sample<'action' | 'outcome'> => [{ action, outcome }, n]),
      ),
  );
  readCounter(
    registry,
    { name: `${of}_upgrades_refused_total`, help: 'Connections refused, by HTTP status', labels: ['status'] },
    () => byName('status', stats().counters.refusedUpgrades),
  );
  readCounter(
    registry,
    { name: `${of}_pauses_total`, help: 'Sockets not read for a while, by reason', labels: ['reason'] },
    () => byName('reason', stats().counters.pauses),
  );
}

export function showNats(registry: Registry, stats: () => NatsDoorStats): void {
  const of = 'gridtick_nats';
  readGauge(registry, { name: `${of}_in_flight`, help: 'Commands of integrators that wait for their decision' }, () => [
    [{}, stats().inWork],
  ]);
  readCounter(registry, { name: `${of}_requests_total`, help: 'Requests of integrators' }, () => [
    [{}, stats().counters.requests],
  ]);
  readCounter(registry, { name: `${of}_refused_total`, help: 'Requests refused as a whole', labels: ['code'] }, () =>
    byName('code', stats().counters.refusedRequests),
  );
  readCounter(
    registry,
    { name: `${of}_commands_total`, help: 'Their commands by outcome: ok, or the refusal code', labels: ['code'] },
    () => {
      const sums: Record<string, number> = {};
      for (const outcomes of Object.values(stats().counters.commands))
        for (const [code, n] of Object.entries(outcomes)) sums[code] = (sums[code] ?? 0) + n;
      return byName('code', sums);
    },
  );
}
