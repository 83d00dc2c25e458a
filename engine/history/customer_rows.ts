/** Rows of what customers do: orders, postings, batteries. */
import type { Battery, Ledger, Trade } from '#actors/schema/events';
import type { TradeLog } from '#actors/trade_log';
import { dateTime, placeOfRow, rowsPerEventMax, type Place } from './place.ts';

export type TradeRow = Place & {
  customer: string;
  order: string;
  side: string;
  state: string;
  at: string;
  site: string;
  station: string;
  slot: number;
  energy_wh: number;
  price_e5_sek_per_kwh: number;
  amount_e5_sek: number;
  delivered_wh: number;
  settled_e5_sek: number;
  expires_at: string;
};

export type LedgerEntryRow = Place & {
  /** '' = system accounts only: part of the table's order, which knows no null. */
  customer: string;
  batch: string;
  kind: string;
  cause: string;
  at: string;
  ledger: string;
  account: string;
  amount: number;
  /** null for system accounts. */
  balance: number | null;
};

export type BatteryStateRow = Place & {
  customer: string;
  slot: number;
  at: string;
  energy_wh: number;
  capacity_wh: number;
  level_bp: number;
  power_w: number;
};

export type TradeLogRow = Place & {
  customer: string;
  at: string;
  what: string;
  command: string;
  txn: number;
  instrument: string;
  code: string;
  batch: string;
  /** JSON of {@link TradeLog}. */
  fact: string;
};

export const tradeLogRow = (fact: TradeLog, place: Place): TradeLogRow => ({
  customer: fact.customer,
  at: dateTime(fact.at),
  what: fact.what,
  command: fact.command,
  txn: fact.txn,
  instrument: fact.instrument ?? '',
  code: fact.code ?? '',
  batch: fact.batch ?? '',
  fact: JSON.stringify(fact),
  partition: place.partition,
  sequence: place.sequence,
  index: place.index,
});

export const tradeRow = (t: Trade, place: Place): TradeRow => ({
  customer: t.customer,
  order: t.order,
  side: t.side,
  state: t.state,
  at: dateTime(t.at),
  site: t.site,
  station: t.station,
  slot: t.slot,
  energy_wh: t.energyWh,
  price_e5_sek_per_kwh: t.priceE5SekPerKwh,
  amount_e5_sek: t.amountE5Sek,
  delivered_wh: t.deliveredWh,
  settled_e5_sek: t.settledE5Sek,
  expires_at: dateTime(t.expiresAt),
  partition: place.partition,
  sequence: place.sequence,
  index: place.index,
});

/** One row per leg, in the order of the batch. Throws RangeError on more legs than an index can tell apart. */
export function ledgerRows(l: Ledger, place: Place): LedgerEntryRow[] {
  if (l.legs.length > rowsPerEventMax) {
    throw new RangeError(`batch ${l.batch} has ${l.legs.length} legs, more than ${rowsPerEventMax}`);
  }
  const at = dateTime(l.at);
  return l.legs.map((leg, number) => ({
    customer: l.customer ?? '',
    batch: l.batch,
    kind: l.kind,
    cause: l.cause,
    at,
    ledger: leg.ledger,
    account: leg.account,
    amount: leg.amount,
    balance: leg.balance,
    ...placeOfRow(place, number),
  }));
}

export const batteryRow = (b: Battery, place: Place): BatteryStateRow => ({
  customer: b.customer,
  slot: b.slot,
  at: dateTime(b.at),
  energy_wh: b.energyWh,
  capacity_wh: b.capacityWh,
  level_bp: b.levelBp,
  power_w: b.powerW,
  partition: place.partition,
  sequence: place.sequence,
  index: place.index,
});
