/**
 * Public events as rows of the history. Pure: the same event at the same place in the journal gives the same rows, so a
 * sink that repeats itself repeats the rows.
 */
import { measured } from '#actors/decimal';
import { slotMs } from '#actors/load';
import type { Audit, Load, PublicEvent, SessionEvent } from '#actors/schema/events';
import {
  batteryRow,
  ledgerRows,
  tradeLogRow,
  tradeRow,
  type BatteryStateRow,
  type LedgerEntryRow,
  type TradeLogRow,
  type TradeRow,
} from './customer_rows.ts';
import type { MessageRow } from './messages.ts';
import type { CorrelationRow } from './origin_rows.ts';
import { blanked } from '../blanked.ts';
import { dateTime, placeOfRow, rowsPerEventMax, type Place } from './place.ts';

export type PriceRow = Place & {
  station: string;
  slot: number;
  produced_at: string;
  valid_until: string;
  load_w: number;
  capacity_w: number;
  utilisation_bp: number;
  tier: string;
  import_open: boolean;
  price_e5_sek_per_kwh: number;
};

export type MeterValueRow = Place & {
  site: string;
  station: string;
  charger: string;
  connector: number;
  transaction: number | null;
  sampled_at: string;
  received_at: string;
  measurand: string;
  phase: string;
  location: string;
  context: string;
  unit: string;
  value_raw: string;
  power_w: number | null;
  energy_wh: number | null;
  current_ma: number | null;
};

export type SessionRow = Place & {
  site: string;
  station: string;
  charger: string;
  connector: number;
  transaction: number;
  tag: string;
  started_at: string;
  ended_at: string;
  received_at: string;
  meter_start_wh: number;
  meter_stop_wh: number;
  /** null: its start is unknown, so nobody can say what it took. */
  energy_wh: number | null;
  reason: string;
  flags: string[];
  version: number;
};

export type ChargerEventRow = Place & {
  charger: string;
  connector: number | null;
  kind: string;
  at: string;
  received_at: string;
  /** JSON */
  detail: string;
};

export type AuditEventRow = Place & {
  kind: string;
  at: string;
  entity: string;
  command: string;
  reason: string;
  correlation: string | null;
  /** JSON */
  detail: string;
};

export type LoadRow = Place & {
  site: string;
  node: string;
  slot: number;
  at: string;
  load_w: number;
  capacity_w: number;
  utilisation_bp: number;
  stale: boolean;
};

export type SessionStartRow = Place & {
  site: string;
  station: string;
  charger: string;
  connector: number;
  transaction: number;
  tag: string;
  started_at: string;
  received_at: string;
  meter_start_wh: number;
  flags: string[];
};

/** Energy of a session in a quarter of an hour; made of the rows above, see consumption.ts. */
export interface ConsumptionRow {
  site: string;
  station: string;
  charger: string;
  connector: number;
  transaction: number;
  /** Unix seconds of the start of the quarter. */
  at: number;
  energy_wh: number;
  version: number;
}

export interface HistoryRows {
  prices: PriceRow;
  meter_values: MeterValueRow;
  sessions: SessionRow;
  charger_events: ChargerEventRow;
  trades: TradeRow;
  ledger_entries: LedgerEntryRow;
  battery_states: BatteryStateRow;
  audit_events: AuditEventRow;
  loads: LoadRow;
  session_starts: SessionStartRow;
  consumption: ConsumptionRow;
  ocpp_messages: MessageRow;
  correlations: CorrelationRow;
  trade_facts: TradeLogRow;
}
export type HistoryTable = keyof HistoryRows;

/** Rows of one event and the table they belong to. */
export type TableRows = { [T in HistoryTable]: { table: T; rows: HistoryRows[T][] } }[HistoryTable];

/** Rows of an event. */
export function toRows(event: PublicEvent, place: Place): TableRows {
  switch (event.kind) {
    case 'price': {
      const p = event.payload;
      const row: PriceRow = {
        station: p.station,
        slot: p.slot,
        produced_at: dateTime(p.producedAt),
        valid_until: dateTime(p.validUntil),
        load_w: p.loadW,
        capacity_w: p.capacityW,
        utilisation_bp: p.utilisationBp,
        tier: p.tier,
        import_open: p.importOpen,
        price_e5_sek_per_kwh: p.priceE5SekPerKwh,
        ...place,
      };
      return { table: 'prices', rows: [row] };
    }
    case 'meter':
      return { table: 'meter_values', rows: meterRows(event.payload, place) };
    case 'session':
      return event.payload.state === 'started'
        ? { table: 'session_starts', rows: [sessionStartRow(event.payload, place)] }
        : { table: 'sessions', rows: [sessionRow(event.payload, place)] };
    case 'charger': {
      const c = event.payload;
      const row: ChargerEventRow = {
        charger: c.charger,
        connector: c.connector ?? null,
        kind: c.kind,
        at: dateTime(c.at),
        received_at: dateTime(c.receivedAt),
        detail: JSON.stringify(c.detail),
        ...place,
      };
      return { table: 'charger_events', rows: [row] };
    }
    case 'battery':
      return { table: 'battery_states', rows: [batteryRow(event.payload, place)] };
    case 'trade':
      return { table: 'trades', rows: [tradeRow(event.payload, place)] };
    case 'ledger':
      return { table: 'ledger_entries', rows: ledgerRows(event.payload, place) };
    case 'audit':
      return { table: 'audit_events', rows: [auditRow(event.payload, place)] };
    case 'trade_log':
      return { table: 'trade_facts', rows: [tradeLogRow(event.payload, place)] };
    case 'load':
      return { table: 'loads', rows: [loadRow(event.payload, place)] };
    default:
      return event satisfies never;
  }
}

function meterRows(meter: Extract<PublicEvent, { kind: 'meter' }>['payload'], place: Place): MeterValueRow[] {
  if (meter.samples.length > rowsPerEventMax) {
    throw new RangeError(
      `a meter event of ${meter.charger} has ${meter.samples.length} samples, more than ${rowsPerEventMax}`,
    );
  }
  const receivedAt = dateTime(meter.receivedAt);
  // The samples of a message share their time as a rule.
  let at = NaN;
  let sampledAt = '';
  return meter.samples.map((sample, number) => {
    const value = measured(sample);
    const quantity = value?.quantity;
    if (sample.at !== at) sampledAt = dateTime((at = sample.at));
    return {
      site: meter.site,
      station: meter.station,
      charger: meter.charger,
      connector: meter.connector,
      transaction: meter.transaction,
      sampled_at: sampledAt,
      received_at: receivedAt,
      measurand: sample.measurand,
      phase: sample.phase,
      location: sample.location,
      context: sample.context,
      unit: sample.unit,
      value_raw: sample.value,
      power_w: value && quantity === 'powerW' ? value.value : null,
      energy_wh: value && quantity === 'energyWh' ? value.value : null,
      current_ma: value && quantity === 'currentMa' ? value.value : null,
      ...placeOfRow(place, number),
    };
  });
}

const loadRow = (l: Load, place: Place): LoadRow => ({
  site: l.site,
  node: l.node,
  slot: l.slot,
  at: dateTime(l.slot * slotMs),
  load_w: l.loadW,
  capacity_w: l.capacityW,
  utilisation_bp: l.utilisationBp,
  stale: l.stale,
  ...place,
});

const sessionStartRow = (s: SessionEvent, place: Place): SessionStartRow => ({
  site: s.site,
  station: s.station,
  charger: s.charger,
  connector: s.connector,
  transaction: s.transaction,
  tag: s.tag,
  started_at: dateTime(s.startAt),
  received_at: dateTime(s.receivedAt),
  meter_start_wh: s.meterStartWh,
  flags: s.flags,
  ...place,
});

function sessionRow(s: SessionEvent, place: Place): SessionRow {
  const { endAt, meterStopWh, energyWh } = s;
  if (endAt === undefined || meterStopWh === undefined) {
    throw new Error(`session ${s.charger}/${s.transaction} ended without endAt or meterStopWh`);
  }
  return {
    site: s.site,
    station: s.station,
    charger: s.charger,
    connector: s.connector,
    transaction: s.transaction,
    tag: s.tag,
    started_at: dateTime(s.startAt),
    ended_at: dateTime(endAt),
    received_at: dateTime(s.receivedAt),
    meter_start_wh: s.meterStartWh,
    meter_stop_wh: meterStopWh,
    energy_wh: energyWh ?? null,
    reason: s.reason ?? '',
    flags: s.flags,
    version: s.version,
    ...place,
  };
}

const auditRow = (a: Audit, place: Place): AuditEventRow => ({
  kind: a.kind,
  at: dateTime(a.at),
  entity: a.entity,
  command: a.command,
  reason: a.reason,
  correlation: a.correlation,
  detail: JSON.stringify(blanked(a.detail)),
  ...place,
});
