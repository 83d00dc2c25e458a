import { expect, test } from 'vitest';
import { openRegistry } from '#engine/telemetry/registry';
import { showDoor, showNats, showOcpp } from './meters.ts';
import { Counters } from './nats/counters.ts';
import { Counters as OcppCounters } from './ocpp/counters.ts';

test('a scrape of a gateway tells commands, refusals by code, and what chargers were answered', async () => {
  const registry = openRegistry();
  const door = { inFlight: 2, waiting: 1, stored: 7, askedAgain: 0, refused: { overloaded: 3 }, replies: { ok: 4 } };
  showDoor(registry, () => door);
  const ocpp = new OcppCounters();
  ocpp.answered('Heartbeat', 'answered');
  ocpp.answered('Heartbeat', 'answered');
  ocpp.answered('other', 'NotImplemented');
  showOcpp(registry, () => ({
    ...{ sockets: 500, chargers: 499, openHandshakes: 0, logDown: false, lagMs: 0 },
    counters: { ...ocpp, repairs: {} },
  }));
  const nats = new Counters();
  nats.decided('acme', 'ok');
  nats.decided('other-corp', 'ok');
  nats.decided('acme', 'insufficient_funds');
  showNats(registry, () => ({ inWork: 1, counters: nats }));

  const lines = (await registry.metrics()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'gridtick_door_in_flight{for="append"} 2',
      'gridtick_door_commands_total 7',
      'gridtick_door_refused_total{code="overloaded"} 3',
      'gridtick_door_replies_total{code="ok"} 4',
      'gridtick_ocpp_connections 500',
      'gridtick_ocpp_messages_total{action="Heartbeat",outcome="answered"} 2',
      'gridtick_ocpp_messages_total{action="other",outcome="NotImplemented"} 1',
      'gridtick_nats_commands_total{code="ok"} 2',
      'gridtick_nats_commands_total{code="insufficient_funds"} 1',
    ]),
  );
  // A second scrape shows what has come since, not the sum of both.
  door.stored = 9;
  expect((await registry.metrics()).split('\n')).toContain('gridtick_door_commands_total 9');
  expect(lines.join()).not.toContain('acme');
});
