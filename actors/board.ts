/**
 * What the stations of one partition cost, as brought to this partition once per price slot. Orders are checked against it,
 * so no reply waits for another partition.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision, type PartitionView } from './actor.ts';
import { watchAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import { buyPrice, sellPrice } from './fees.ts';
import { energyInstrument } from './instrument.ts';
import { slotMs } from './load.ts';
import { machineTypes, type Outputs } from './machine.ts';
import type { Refused } from './refusals.ts';
import { BoardState, type BoardPrice } from './schema/customer_entities.ts';
import { BoardSlot, type BoardSlotBody } from './schema/customer_internal.ts';
import type { WatchPriceBody } from './schema/trading.ts';

/** The slot before the newest is taken for this long after the newest has arrived. */
export const previousTakenMs = 3_000;
/** A price lapses this long after the start of its slot. */
export const priceKeptMs = 2 * slotMs;

const initial: BoardState = { slot: -1, arrivedAt: 0, previousSlot: -1, prices: [], previous: [] };

interface SlotFacts {
  partition: number;
  /** Stations that triggers wait for. */
  awaited: ReadonlySet<string>;
  /** Whether a price fires any. */
  fires(station: string, buyE5Sek: number, sellE5Sek: number): boolean;
}

/** Prices sorted by station, so that equal boards have equal images. What fires triggers is told to the station's watch. */
function slotArrived(
  board: BoardState,
  { now, body, facts }: ActorEvent<BoardSlotBody, SlotFacts>,
): Decision<BoardState> {
  if (body.slot <= board.slot) return {};
  const changed = new Map(body.changed.map((price) => [price.station, price]));
  const previous = board.prices.filter(({ station }) => changed.has(station));
  const known = new Set(previous.map(({ station }) => station));
  const prices = board.prices.map((price) => changed.get(price.station) ?? price);
  const added = body.changed.filter(({ station }) => !known.has(station));
  if (added.length > 0) prices.push(...added);
  if (added.length > 0) prices.sort((a, b) => (a.station < b.station ? -1 : 1));
  return {
    context: { slot: body.slot, arrivedAt: now, previousSlot: board.slot, prices, previous },
    outputs: facts.awaited.size === 0 ? [] : firing(prices, body.slot, now, facts),
  };
}

/** Also what has not changed: a battery may have room again, and a lapsed price be in force again. */
const firing = (prices: readonly BoardPrice[], slot: number, at: number, facts: SlotFacts): Outputs =>
  prices.flatMap(({ station, site, priceE5SekPerKwh, importOpen }) => {
    if (!facts.awaited.has(station)) return [];
    const [buyE5Sek, sellE5Sek] = [buyPrice(priceE5SekPerKwh), sellPrice(priceE5SekPerKwh)];
    if (lapsed(slot, at) || !facts.fires(station, buyE5Sek, sellE5Sek)) return [];
    const instrument = energyInstrument(station);
    const price: WatchPriceBody = {
      ...{ feed: '', instrument, buyE5Sek, sellE5Sek, at },
      station: { site, station, slot, importOpen },
    };
    const to = watchAddress(facts.partition, '', instrument);
    return [{ type: 'send' as const, params: { to, type: 'watch.price', body: { ...price } } }];
  });

const on = { 'board.slot': { actions: decide(slotArrived) } };

export const boardMachine = setup({ types: machineTypes<BoardState>() }).createMachine({
  id: 'board',
  initial: 'absent',
  context: initial,
  states: { absent: { on: { 'board.slot': { target: 'open', actions: decide(slotArrived) } } }, open: { on } },
});

export const board: ActorDefinition = {
  kind: 'board',
  version: 1,
  machine: boardMachine,
  context: BoardState,
  commands: { 'board.slot': BoardSlot },
  timers: [],
  creates: ['board.slot'],
  facts: (view): SlotFacts => {
    const { triggers } = view.index as DomainIndex;
    return {
      partition: view.partition,
      awaited: triggers.stations,
      fires: (station, buyE5Sek, sellE5Sek) => triggers.anyDue('', energyInstrument(station), buyE5Sek, sellE5Sek),
    };
  },
};

/** The board of this partition that knows the station. */
export function boardOf(view: PartitionView, station: string): BoardState | null {
  const id = (view.index as DomainIndex).boardOf(station);
  return id === undefined ? null : view.get<BoardState>('board', id)!.context;
}

/** A price in force; `slot` is the slot it was asked for, not since when it is unchanged. */
export type PriceInForce = Omit<BoardPrice, 'slot'> & { slot: number };

const lapsed = (slot: number, now: number): boolean => now > slot * slotMs + priceKeptMs;

/**
 * The price of a station in `slot` (null = the newest): the newest slot, or the one before it for 3 s, unless it has lapsed
 * (after an interruption it may be hours old).
 * Refuses `unknown_station`, `quote_stale`, `price_moved`.
 */
export function priceInForce(
  board: BoardState | null,
  station: string,
  slot: number | null,
  now: number,
): PriceInForce | Refused {
  const newest = board?.prices.find((price) => price.station === station);
  if (!board || !newest) return { refuse: 'unknown_station', detail: { station } };
  if (lapsed(board.slot, now)) return { refuse: 'quote_stale', detail: { slot: board.slot } };
  if (slot === null || slot === board.slot) return { ...newest, slot: board.slot };
  const moved: Refused = { refuse: 'price_moved', detail: { slot: board.slot } };
  if (slot !== board.previousSlot || now - board.arrivedAt > previousTakenMs || lapsed(slot, now)) return moved;
  const before = board.previous.find((price) => price.station === station);
  // A station that the newest slot brought has no price before it.
  if (!before && newest.slot === board.slot) return moved;
  // The grid is full now, whatever it was then: the cap of the newest slot holds.
  return { ...(before ?? newest), slot, importOpen: newest.importOpen && (before ?? newest).importOpen };
}
