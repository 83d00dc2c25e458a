/**
 * Tells every partition what the stations of this one cost, once per slot, after they have got their prices. It tells also
 * when nothing has changed: whoever hears nothing for two slots takes no more orders.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision, type PartitionView } from './actor.ts';
import { boardAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import { machineTypes, type Outputs } from './machine.ts';
import { ExchangeState, type BoardPrice } from './schema/customer_entities.ts';
import { ExchangeTell } from './schema/customer_internal.ts';
import type { StationState } from './schema/entities.ts';
import type { Tier } from './schema/events.ts';

interface Facts {
  partition: number;
  partitions: number;
  /** Sorted by station. */
  prices: BoardPrice[];
}

/**
 * Changes told in one slot, over all partitions, and about their bytes in the one journal record that holds them beside
 * what was told before. What is more waits for the next slot, those that have waited longest first.
 */
export const changesMax = 6_400;
export const changeBytesMax = 600 * 1024;
/** Of a change beside the names of its station and site. */
const changeBytes = 75;

const initial: ExchangeState = { slot: -1, told: [] };

const same = (a: BoardPrice, b: BoardPrice) =>
  a.priceE5SekPerKwh === b.priceE5SekPerKwh && a.tier === b.tier && a.importOpen === b.importOpen && a.site === b.site;

/** As many from the front as may be told in one slot, at least one. */
function fitting(prices: readonly BoardPrice[], partitions: number): readonly BoardPrice[] {
  let bytes = 0;
  let count = 0;
  for (const { station, site } of prices) {
    bytes += changeBytes + station.length + site.length;
    if (count > 0 && ((count + 1) * partitions > changesMax || bytes * partitions > changeBytesMax)) break;
    count += 1;
  }
  return prices.slice(0, count);
}

function tell(
  exchange: ExchangeState,
  { body, facts }: ActorEvent<Static<typeof ExchangeTell>, Facts>,
): Decision<ExchangeState> {
  if (body.slot <= exchange.slot) return {};
  const told = new Map(exchange.told.map((price) => [price.station, price]));
  const news = facts.prices
    .filter((price) => {
      const before = told.get(price.station);
      return !before || !same(before, price);
    })
    .sort((a, b) => (told.get(a.station)?.slot ?? -1) - (told.get(b.station)?.slot ?? -1));
  const changed = fitting(news, facts.partitions).map((price) => ({ ...price, slot: body.slot }));
  for (const price of changed) told.set(price.station, price);
  const outputs: Outputs = [];
  for (let p = 0; p < facts.partitions; p++) {
    outputs.push({
      type: 'send',
      params: {
        to: boardAddress(p, facts.partition),
        type: 'board.slot',
        body: { slot: body.slot, changed },
      },
    });
  }
  const prices = changed.length === 0 ? exchange.told : facts.prices.flatMap(({ station }) => told.get(station) ?? []);
  return { context: { slot: body.slot, told: prices }, outputs };
}

/** What every station of the partition costs that has a price. */
function pricesOf(view: PartitionView): BoardPrice[] {
  const index = view.index as DomainIndex;
  const prices: BoardPrice[] = [];
  for (const site of index.sites) {
    for (const id of index.stationsOf(site)) {
      const { value, context } = view.get<StationState>('station', id)!;
      const { slot, priceE5SekPerKwh, importOpen } = context;
      if (slot === null || priceE5SekPerKwh === null) continue;
      prices.push({ station: id, site, slot, priceE5SekPerKwh, tier: value as Tier, importOpen });
    }
  }
  return prices.sort((a, b) => (a.station < b.station ? -1 : 1));
}

export const exchangeMachine = setup({ types: machineTypes<ExchangeState>() }).createMachine({
  id: 'exchange',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'exchange.tell': { target: 'open', actions: decide(tell) } } },
    open: { on: { 'exchange.tell': { actions: decide(tell) } } },
  },
});

export const exchange: ActorDefinition = {
  kind: 'exchange',
  version: 1,
  machine: exchangeMachine,
  context: ExchangeState,
  commands: { 'exchange.tell': ExchangeTell },
  timers: [],
  creates: ['exchange.tell'],
  facts: (view): Facts => ({ partition: view.partition, partitions: view.partitions, prices: pricesOf(view) }),
};
