/** A property with one grid connection: the root of its load tree. Creating one announces its partition to all rosters. */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { rosterAddress } from './addresses.ts';
import { meanW } from './load.ts';
import { reply, machineTypes, type Outputs } from './machine.ts';
import { SiteCreate } from './schema/commands.ts';
import { SiteState } from './schema/entities.ts';
import { SiteTick, type SiteTickBody } from './schema/internal.ts';
import { subject } from './schema/subjects.ts';
import { utilisationBp } from './tariff.ts';
import type { Static } from 'typebox';

type CreateBody = Static<typeof SiteCreate>;
interface CreateFacts {
  partition: number;
  partitions: number;
}

const initial: SiteState = {
  name: '',
  timeZone: '',
  capacityW: null,
  createdAt: 0,
  profile0Networks: [],
  slot: null,
  loadW: null,
  stale: false,
};

function create(site: SiteState, { self, now, body, facts }: ActorEvent<CreateBody, CreateFacts>): Decision<SiteState> {
  if (self.key !== self.id)
    return { refuse: 'bad_request', detail: { path: '/to/key', rule: "a site's key is its id" } };
  const outputs: Outputs = [reply({ site: self.id })];
  for (let p = 0; p < facts.partitions; p++) {
    outputs.push({
      type: 'send',
      params: { to: rosterAddress(p), type: 'roster.site', body: { partition: facts.partition } },
    });
  }
  return { context: { ...site, ...body, createdAt: now }, outputs };
}

function createAgain(site: SiteState, { self, body }: ActorEvent<CreateBody>): Decision<SiteState> {
  const same =
    site.name === body.name &&
    site.timeZone === body.timeZone &&
    site.capacityW === body.capacityW &&
    site.profile0Networks.join() === body.profile0Networks.join();
  return same ? { outputs: [reply({ site: self.id })] } : { refuse: 'already_exists', detail: { site: self.id } };
}

/** The load of the slot that has just passed. */
function tick(site: SiteState, { self, body }: ActorEvent<SiteTickBody>): Decision<SiteState> {
  const slot = body.slot - 1;
  if (site.slot !== null && slot <= site.slot) return {};
  const capacityW = site.capacityW ?? body.capacityW;
  const loadW = meanW(body.loadWMs, body.durationMs);
  return {
    context: { ...site, slot, loadW, stale: body.stale },
    outputs: [
      {
        type: 'emit',
        params: {
          kind: 'load',
          subject: subject.load(self.id, self.id),
          payload: {
            site: self.id,
            node: self.id,
            slot,
            loadW,
            capacityW,
            utilisationBp: utilisationBp(body.loadWMs, capacityW, body.durationMs),
            stale: body.stale,
          },
        },
      },
    ],
  };
}

export const siteMachine = setup({ types: machineTypes<SiteState>() }).createMachine({
  id: 'site',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'site.create': { target: 'open', actions: decide(create) } } },
    open: { on: { 'site.create': { actions: decide(createAgain) }, 'site.tick': { actions: decide(tick) } } },
  },
});

export const site: ActorDefinition = {
  kind: 'site',
  version: 1,
  machine: siteMachine,
  context: SiteState,
  commands: { 'site.create': SiteCreate, 'site.tick': SiteTick },
  timers: [],
  creates: ['site.create'],
  facts: (view, _self, type): CreateFacts | null =>
    type === 'site.create' ? { partition: view.partition, partitions: view.partitions } : null,
};
