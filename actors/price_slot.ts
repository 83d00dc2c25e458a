/**
 * Every 12 s: what each station drew in the slot that has passed makes its price for the one that begins; then all partitions
 * are told. Connectors and customers' orders need no write at the border; their loads are read from states.
 */
import type { Command, PartitionView, SlotDefinition } from './actor.ts';
import { exchangeAddress, siteAddress, stationAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import { flowInSlot, importOf, loadInSlot, slotMs, sumLoads, type SlotLoad } from './load.ts';
import { utilisationBp } from './tariff.ts';
import type { ChargerState, SiteState, StationState } from './schema/entities.ts';

function* connectorLoads(view: PartitionView, station: string, slot: number): Generator<SlotLoad> {
  for (const id of (view.index as DomainIndex).chargersOf(station)) {
    for (const connector of view.get<ChargerState>('charger', id)!.context.connectors)
      yield loadInSlot(connector, slot);
  }
}

/** How much of the slot something that was created at `createdAt` has seen; ≤ 0: nothing. */
const seenMs = (createdAt: number, slot: number): number => slotMs - Math.max(0, createdAt - slot * slotMs);

function run(view: PartitionView, slot: number): Command[] {
  const index = view.index as DomainIndex;
  const passed = slot - 1;
  const commands: Command[] = [];
  let priced = false;
  for (const site of [...index.sites].sort()) {
    const { context } = view.get<SiteState>('site', site)!;
    const stations = [...index.stationsOf(site)].sort().map((id) => {
      const station = view.get<StationState>('station', id)!.context;
      const load = sumLoads([...connectorLoads(view, id, passed), flowInSlot(station.draws, passed)]);
      return { id, station, load };
    });
    priced ||= stations.length > 0;
    // What one station gives, its neighbours behind the same connection may draw.
    const siteLoad = importOf(sumLoads(stations.map(({ load }) => load)));
    const siteMs = seenMs(context.createdAt, passed);
    const siteUtilisation =
      context.capacityW !== null && siteMs > 0
        ? { siteUtilisationBp: utilisationBp(siteLoad.wMs, context.capacityW, siteMs) }
        : {};
    for (const { id, station, load } of stations) {
      const durationMs = seenMs(station.createdAt, passed);
      if (durationMs <= 0) continue;
      commands.push({
        to: stationAddress(site, id),
        type: 'station.tick',
        body: { slot, durationMs, loadWMs: importOf(load).wMs, stale: load.stale, ...siteUtilisation },
      });
    }
    const capacityW = stations.reduce((sum, { station }) => sum + station.capacityW, 0);
    if (siteMs <= 0 || (capacityW === 0 && context.capacityW === null)) continue;
    commands.push({
      to: siteAddress(site),
      type: 'site.tick',
      body: {
        slot,
        durationMs: siteMs,
        loadWMs: siteLoad.wMs,
        stale: siteLoad.stale,
        capacityW: Math.max(capacityW, 1),
      },
    });
  }
  if (priced) commands.push({ to: exchangeAddress(view.partition), type: 'exchange.tell', body: { slot } });
  return commands;
}

export const priceSlot: SlotDefinition = {
  name: 'price',
  everyMs: slotMs,
  active: (view) => (view.index as DomainIndex).sites.size > 0,
  run,
};
