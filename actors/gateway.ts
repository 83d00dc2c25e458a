/** A gateway as one partition sees it. Without a sign of life for 15 s all its sockets count as lost. */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { chargerAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import type { MachineTypes } from './machine.ts';
import { GatewayAlive } from './schema/commands.ts';
import { GatewayState, type ChargerState } from './schema/entities.ts';

export const gatewaySilenceMs = 15_000;

type LostEvent = ActorEvent<Record<string, unknown>, { chargers: { site: string; charger: string }[] }>;

const alive = (_gateway: GatewayState, { self, now }: ActorEvent): Decision<GatewayState> => ({
  context: { gateway: self.id, lastAliveAt: now },
  outputs: [{ type: 'arm', params: { name: 'lost', dueAt: now + gatewaySilenceMs } }],
});

const lost = (_gateway: GatewayState, { self, facts }: LostEvent): Decision<GatewayState> => ({
  outputs: facts.chargers.map(({ site, charger }) => (
    { type: 'send', params: { to: chargerAddress(site, charger), type: 'charger.lost', body: { gateway: self.id } } })),
});

export const gatewayMachine = setup({ types: {} as MachineTypes<GatewayState> }).createMachine({
  id: 'gateway', initial: 'absent', context: { gateway: '', lastAliveAt: 0 },
  on: { 'gateway.alive': { target: '.alive', actions: decide(alive) } },
  states: { absent: {}, alive: { on: { 'timer.lost': { target: 'lost', actions: decide(lost) } } }, lost: {} },
});

export const gateway: ActorDefinition = {
  kind: 'gateway', version: 1, machine: gatewayMachine, context: GatewayState,
  commands: { 'gateway.alive': GatewayAlive }, timers: ['lost'], creates: ['gateway.alive'],
  facts: (view, self, type) => {
    if (type !== 'timer.lost') return null;
    const chargers = [...(view.index as DomainIndex).connectedBy(self.id)].sort();
    return { chargers: chargers.map((charger) => ({ site: view.get<ChargerState>('charger', charger)!.context.site, charger })) };
  },
};
