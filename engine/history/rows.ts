/**
 * Public events as rows of the history. Pure: the same event at the same place in the journal gives the same rows, so a
 * sink that repeats itself repeats the rows.
 */
import { measured } from '#actors/decimal';
import type { PublicEvent, SessionEvent } from '#actors/schema/events';

/** Where an event stands: partition, sequence of its commit record, index within the record's events. */
export interface Place {
  partition: number;
  sequence: number;
  index: number;
}

/** Samples of one meter event share its index; a row's own index is `event index × 4096 + number of the sample`. */
export const samplesMax = 4096;

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

export interface HistoryRows {
  prices: PriceRow;
  meter_values: MeterValueRow;
  sessions: SessionRow;
  charger_events: ChargerEventRow;
}
export type HistoryTable = keyof HistoryRows;

/** Rows of one event and the table they belong to. */
export type TableRows = { [T in HistoryTable]: { table: T; rows: HistoryRows[T][] } }[HistoryTable];

// DateTime64(3) holds 1900 to 2299. Beyond it the engine would refuse or wrap the row; a charger's clock may say anything.
const earliest = Date.UTC(1900, 0, 1);
const latest = Date.UTC(2299, 11, 31, 23, 59, 59, 999);

/** Unix ms as ClickHouse reads it without guessing: a bare number may be taken for seconds. */
export function dateTime(ms: number): string {
  const iso = new Date(Math.min(Math.max(ms, earliest), latest)).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}`;
}

/** Rows of an event; undefined for what has no table here: loads, audit events, and sessions that have only started. */
export function toRows(event: PublicEvent, place: Place): TableRows | undefined {
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
    case 'session': {
      const row = sessionRow(event.payload, place);
      return row && { table: 'sessions', rows: [row] };
    }
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
    case 'load':
    case 'audit':
      return undefined;
    default:
      return event satisfies never;
  }
}

function meterRows(meter: Extract<PublicEvent, { kind: 'meter' }>['payload'], place: Place): MeterValueRow[] {
  if (meter.samples.length > samplesMax) {
    throw new RangeError(
      `a meter event of ${meter.charger} has ${meter.samples.length} samples, more than ${samplesMax}`,
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
      partition: place.partition,
      sequence: place.sequence,
      index: place.index * samplesMax + number,
    };
  });
}

function sessionRow(s: SessionEvent, place: Place): SessionRow | undefined {
  if (s.state === 'started') return undefined;
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
