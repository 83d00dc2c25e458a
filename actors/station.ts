/**
 * The local electricity station: one limit, one price per slot. Its state is the tier, so the statechart is the table of
 * tiers with hysteresis: every price slot asks which tier follows from this one at the measured utilisation.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision, type Stored } from './actor.ts';
import { meanW, slotMs } from './load.ts';
import { reply, machineTypes } from './machine.ts';
import { StationCreate } from './schema/commands.ts';
import { StationState, type SiteState } from './schema/entities.ts';
import type { Price, Tier } from './schema/events.ts';
import { StationTick, type StationTickBody } from './schema/internal.ts';
import { subject } from './schema/subjects.ts';
import { priceOf, tierAfter, tiers, utilisationBp } from './tariff.ts';

type CreateBody = Static<typeof StationCreate>;
interface CreateFacts {
  site: SiteState | null;
}
type Tick = ActorEvent<StationTickBody>;

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
  return { context: { ...station, ...body, createdAt: now }, outputs: [reply({ station: self.id })] };
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
    const { self, body } = event;
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

/** One transition per tier that may follow `from`. */
const on = (from: Tier | 'unpriced') => ({
  'station.create': { actions: decide(createAgain) },
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
  version: 1,
  machine: stationMachine,
  context: StationState,
  commands: { 'station.create': StationCreate, 'station.tick': StationTick },
  timers: [],
  creates: ['station.create'],
  facts: (view, _self, type, body): CreateFacts | null => {
    if (type !== 'station.create') return null;
    const stored: Stored<SiteState> | undefined = view.get('site', (body as CreateBody).site);
    return { site: stored?.context ?? null };
  },
};
