/**
 * What the energy of a station cost in the last two days: a record per hour with the changes in it. The first slot that was
 * produced in an hour stands in its record whether or not it brought a change, so one record answers for its hour.
 */
import type { PartitionView } from './actor.ts';
import type { DomainIndex } from './domain_index.ts';
import { slotMs, slotOf } from './load.ts';
import type { Outputs } from './machine.ts';
import type { PriceHourState } from './schema/customer_entities.ts';
import type { StationState } from './schema/entities.ts';

const slotsPerHour = 3_600_000 / slotMs;
const hourOf = (slot: number): number => Math.floor(slot / slotsPerHour);
/** How far back an exact price is known. */
export const hoursKept = 48;

const priceHourId = (station: string, hour: number): string => `${station}/${hour}`;

/** A price and the slot with which its period began. */
export interface TimedPrice {
  since: number;
  priceE5SekPerKwh: number;
}

const timed = ([since, priceE5SekPerKwh]: number[]): TimedPrice => ({
  since: since!,
  priceE5SekPerKwh: priceE5SekPerKwh!,
});

const changesIn = (view: PartitionView, station: string, hour: number): readonly number[][] =>
  view.get<PriceHourState>('price_hour', priceHourId(station, hour))?.context.changes ?? [];

/** The last change in the hour up to `slot`. */
function inHour(view: PartitionView, station: string, hour: number, slot: number): TimedPrice | null {
  const change = changesIn(view, station, hour).findLast(([since]) => since! <= slot);
  return change ? timed(change) : null;
}

/**
 * The price in force at `at`. A slot that was not produced costs what the last one before it did; what is older than all
 * that is kept costs what the oldest did, and at a station that never had a price its base price.
 */
export function priceAt(view: PartitionView, station: string, at: number): TimedPrice {
  const slot = slotOf(at);
  const hour = hourOf(slot);
  const near = inHour(view, station, hour, slot) ?? inHour(view, station, hour - 1, slot);
  if (near) return near;
  const hours = (view.index as DomainIndex).priceHoursOf(station);
  const before = hours.findLast((known) => known < hour);
  const price = before === undefined ? null : inHour(view, station, before, slot);
  if (price) return price;
  const oldest = hours[0];
  if (oldest !== undefined) return timed(changesIn(view, station, oldest)[0]!);
  return { since: -1, priceE5SekPerKwh: view.get<StationState>('station', station)?.context.baseE5SekPerKwh ?? 0 };
}

export interface HourFacts {
  hour: PriceHourState | null;
  /** Hours that are too old. */
  lapsed: number[];
}

/** What is known of the hour of `slot`. The newest hour outside the 48 stays: it answers for hours without any slot. */
export function hourFacts(view: PartitionView, station: string, slot: number): HourFacts {
  const hour = view.get<PriceHourState>('price_hour', priceHourId(station, hourOf(slot)))?.context ?? null;
  if (hour) return { hour, lapsed: [] };
  const outside = (view.index as DomainIndex).priceHoursOf(station).filter((h) => h <= hourOf(slot) - hoursKept);
  return { hour, lapsed: outside.slice(0, -1) };
}

/** Writes the price of a slot down, if it says anything new. */
export function notePrice(
  station: string,
  slot: number,
  priceE5SekPerKwh: number,
  { hour, lapsed }: HourFacts,
): Outputs {
  const changes = hour?.changes ?? [];
  if (changes.at(-1)?.[1] === priceE5SekPerKwh) return [];
  return [
    {
      type: 'put',
      params: {
        kind: 'price_hour',
        id: priceHourId(station, hourOf(slot)),
        state: { changes: [...changes, [slot, priceE5SekPerKwh]] },
      },
    },
    ...lapsed.map((old): Outputs[number] => ({
      type: 'drop',
      params: { kind: 'price_hour', id: priceHourId(station, old) },
    })),
  ];
}
