/**
 * The local electricity station: one limit, one price per slot. Its state is the tier, so the statechart is the table of
 * tiers with hysteresis: every price slot asks which tier follows from this one at the measured utilisation.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision, type Stored } from './actor.ts';
import { flowing, meanW, noFlow, slotMs } from './load.ts';
import { reply, machineTypes } from './machine.ts';
import { hourFacts, notePrice, type HourFacts } from './price_hours.ts';
import { StationCreate } from './schema/commands.ts';
import {
  StationDeliver,
  StationDraw,
  type StationDeliverBody,
  type StationDrawBody,
} from './schema/customer_internal.ts';
import { StationState, type SiteState, type StationDrawState } from './schema/entities.ts';
import type { Price, Tier } from './schema/events.ts';
import { StationTick, type StationTickBody } from './schema/internal.ts';
import { subject, token } from './schema/subjects.ts';
import { fromInventory } from './site_ledger.ts';
import { priceOf, tierAfter, tiers, utilisationBp } from './tariff.ts';

type CreateBody = Static<typeof StationCreate>;
interface CreateFacts {
  site: SiteState | null;
}
type Tick = ActorEvent<StationTickBody, HourFacts>;
interface DrawFacts {
  before: StationDrawState;
}
interface DeliverFacts {
  partition: number;
}

/** A price lapses this long after the start of its slot. */
export const priceValidMs = 2 * slotMs;

const initial: StationState = {
  site: '',
  name: '',
  capacityW: 1,
  baseE5SekPerKwh: 0,
  createdAt: 0,
  slot: null,
  producedAt: null,
  loadW: null,
  utilisationBp: null,
  priceE5SekPerKwh: null,
  importOpen: true,
  stale: false,
  draws: noFlow(0),
};

function create(
  station: StationState,
  { self, now, body, facts }: ActorEvent<CreateBody, CreateFacts>,
): Decision<StationState> {
  if (facts.site === null || self.key !== body.site) return { refuse: 'unknown_site', detail: { site: body.site } };
  if (facts.site.capacityW !== null && body.capacityW > facts.site.capacityW) {
    return {
      refuse: 'child_above_parent',
      detail: { capacityW: body.capacityW, parentCapacityW: facts.site.capacityW },
    };
  }
  return {
    context: { ...station, ...body, createdAt: now, draws: noFlow(now) },
    outputs: [reply({ station: self.id })],
  };
}

function createAgain(station: StationState, { self, body }: ActorEvent<CreateBody>): Decision<StationState> {
  const same =
    station.site === body.site &&
    station.name === body.name &&
    station.capacityW === body.capacityW &&
    station.baseE5SekPerKwh === body.baseE5SekPerKwh;
  return same ? { outputs: [reply({ station: self.id })] } : { refuse: 'already_exists', detail: { station: self.id } };
}

/** A slot comes once; an older one says nothing new. */
const isNew = (station: StationState, { body }: Tick) => station.slot === null || body.slot > station.slot;

/** The tightest connection counts: its own or the one above it. */
const utilisation = (station: StationState, { body }: Tick) =>
  Math.max(utilisationBp(body.loadWMs, station.capacityW, body.durationMs), body.siteUtilisationBp ?? 0);

/** The price of the slot that begins, from the load of the one before it. */
const priced =
  (tier: Tier) =>
  (station: StationState, event: Tick): Decision<StationState> => {
    const { self, body, facts } = event;
    const price: Price = {
      station: self.id,
      slot: body.slot,
      producedAt: body.slot * slotMs,
      loadW: meanW(body.loadWMs, body.durationMs),
      capacityW: station.capacityW,
      utilisationBp: utilisation(station, event),
      tier,
      importOpen: tier !== 'capped',
      priceE5SekPerKwh: priceOf(tier, station.baseE5SekPerKwh),
      validUntil: body.slot * slotMs + priceValidMs,
    };
    return {
      context: {
        ...station,
        slot: price.slot,
        producedAt: price.producedAt,
        loadW: price.loadW,
        utilisationBp: price.utilisationBp,
        priceE5SekPerKwh: price.priceE5SekPerKwh,
        importOpen: price.importOpen,
        stale: body.stale,
      },
      outputs: [
        ...notePrice(self.id, price.slot, price.priceE5SekPerKwh, facts),
        { type: 'emit', params: { kind: 'price', subject: subject.price(self.id), payload: price } },
        {
          type: 'emit',
          params: {
            kind: 'load',
            subject: subject.load(station.site, self.id),
            payload: {
              site: station.site,
              node: self.id,
              slot: price.slot - 1,
              loadW: price.loadW,
              capacityW: station.capacityW,
              utilisationBp: price.utilisationBp,
              stale: body.stale,
            },
          },
        },
      ],
    };
  };

// --- customers' orders ---------------------------------------------------------------------------------------------------

const drawId = (station: string, customer: string): string => `${token(station)}/${token(customer)}`;

/**
 * The orders of a customer draw this much from now on. Words of one customer come from one partition, in their order and
 * once; one that is not newer than the last says nothing. Who draws nothing any more leaves no record behind.
 */
function draw(
  station: StationState,
  { self, now, body, facts }: ActorEvent<StationDrawBody, DrawFacts>,
): Decision<StationState> {
  const { customer, powerW, count } = body;
  if (count <= facts.before.count) return {};
  const together = station.draws.powerW - facts.before.powerW + powerW;
  const record = { kind: 'station_draw', id: drawId(self.id, customer) };
  return {
    context: { ...station, draws: flowing(station.draws, together, now) },
    outputs: [
      powerW === 0
        ? { type: 'drop', params: record }
        : { type: 'put', params: { ...record, state: { powerW, count } } },
    ],
  };
}

/** Energy between the inventory and a customer elsewhere, whose own legs are posted there. */
const deliver = (
  _station: StationState,
  { self, now, body, facts }: ActorEvent<StationDeliverBody, DeliverFacts>,
): Decision<StationState> => ({
  outputs: fromInventory(self.id, 'transit', body.energyWh, {
    partition: facts.partition,
    batch: body.batch,
    kind: 'delivery',
    cause: body.batch,
    at: now,
  }),
});

/** One transition per tier that may follow `from`. */
const on = (from: Tier | 'unpriced') => ({
  'station.create': { actions: decide(createAgain) },
  'station.draw': { actions: decide(draw) },
  'station.deliver': { actions: decide(deliver) },
  'station.tick': tiers.map((tier) => ({
    guard: ({ context, event }: { context: StationState; event: ActorEvent }) => {
      const tick = event as Tick;
      return isNew(context, tick) && tierAfter(from, utilisation(context, tick)) === tier;
    },
    target: tier,
    actions: decide(priced(tier)),
  })),
});

export const stationMachine = setup({ types: machineTypes<StationState>() }).createMachine({
  id: 'station',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'station.create': { target: 'unpriced', actions: decide(create) } } },
    unpriced: { on: on('unpriced') },
    normal: { on: on('normal') },
    double: { on: on('double') },
    triple: { on: on('triple') },
    capped: { on: on('capped') },
  },
});

export const station: ActorDefinition = {
  kind: 'station',
  version: 2,
  machine: stationMachine,
  context: StationState,
  commands: {
    'station.create': StationCreate,
    'station.tick': StationTick,
    'station.draw': StationDraw,
    'station.deliver': StationDeliver,
  },
  timers: [],
  creates: ['station.create'],
  facts: (view, self, type, body): CreateFacts | HourFacts | DrawFacts | DeliverFacts => {
    switch (type) {
      case 'station.create': {
        const stored: Stored<SiteState> | undefined = view.get('site', (body as CreateBody).site);
        return { site: stored?.context ?? null };
      }
      case 'station.tick':
        return hourFacts(view, self.id, (body as StationTickBody).slot);
      case 'station.draw': {
        const id = drawId(self.id, (body as StationDrawBody).customer);
        return { before: view.get<StationDrawState>('station_draw', id)?.context ?? { powerW: 0, count: -1 } };
      }
      default:
        return { partition: view.partition };
    }
  },
  migrate: { 1: (before) => ({ ...before, draws: noFlow(0) }) },
};
