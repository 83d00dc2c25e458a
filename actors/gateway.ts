/** A gateway as one partition sees it. Without a sign of life for 15 s, or what it asked for, all its sockets count as lost. */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { chargerAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import { machineTypes, type Outputs } from './machine.ts';
import { GatewayAlive } from './schema/commands.ts';
import { GatewayState, type ChargerState } from './schema/entities.ts';

export const gatewaySilenceMs = 15_000;
/** Every gateway process has an id of its own, so the lost ones are not kept for ever. */
const gatewayKeptMs = 24 * 3_600_000;

type LostEvent = ActorEvent<Record<string, unknown>, { chargers: { site: string; charger: string }[] }>;

const alive = (
  _gateway: GatewayState,
  { self, now, body }: ActorEvent<{ holdsMs?: number }>,
): Decision<GatewayState> => ({
  context: { gateway: self.id, lastAliveAt: now },
  outputs: [
    { type: 'arm', params: { name: 'lost', dueAt: now + (body.holdsMs ?? gatewaySilenceMs) } },
    { type: 'disarm', params: { name: 'forget' } },
  ],
});

const lost = (_gateway: GatewayState, { self, now, facts }: LostEvent): Decision<GatewayState> => {
  const outputs: Outputs = [{ type: 'arm', params: { name: 'forget', dueAt: now + gatewayKeptMs } }];
  for (const { site, charger } of facts.chargers) {
    outputs.push({
      type: 'send',
      params: { to: chargerAddress(site, charger), type: 'charger.lost', body: { gateway: self.id } },
    });
  }
  return { outputs };
};

const forget = (_gateway: GatewayState, { self }: ActorEvent): Decision<GatewayState> => ({
  outputs: [{ type: 'drop', params: { kind: 'gateway', id: self.id } }],
});

export const gatewayMachine = setup({ types: machineTypes<GatewayState>() }).createMachine({
  id: 'gateway',
  initial: 'absent',
  context: { gateway: '', lastAliveAt: 0 },
  on: { 'gateway.alive': { target: '.alive', actions: decide(alive) } },
  states: {
    absent: {},
    alive: { on: { 'timer.lost': { target: 'lost', actions: decide(lost) } } },
    lost: { on: { 'timer.forget': { actions: decide(forget) } } },
  },
});

export const gateway: ActorDefinition = {
  kind: 'gateway',
  version: 1,
  machine: gatewayMachine,
  context: GatewayState,
  commands: { 'gateway.alive': GatewayAlive },
  timers: ['lost', 'forget'],
  creates: ['gateway.alive'],
  facts: (view, self, type) => {
    if (type !== 'timer.lost') return null;
    const chargers = [...(view.index as DomainIndex).connectedBy(self.id)].sort();
    return {
      chargers: chargers.map((charger) => ({
        site: view.get<ChargerState>('charger', charger)!.context.site,
        charger,
      })),
    };
  },
};
