/**
 * The history in ClickHouse (a server, or the embedded engine): every price, load, sampled value, session and charger
 * event, every step of an order, posting and sample of a battery, what could not be applied, and the trace of messages.
 */
import { createClient, ClickHouseLogLevel, type ClickHouseClient } from '@clickhouse/client';
import type { Battery, Price, Tier, Trade } from '#actors/schema/events';
import {
  consumptionRows,
  readConsumption,
  sessionsSince,
  type Consumption,
  type ConsumptionQuery,
  type SessionKey,
} from './consumption_reads.ts';
import {
  batteryView,
  integer,
  ledgerView,
  readPage,
  tradesView,
  type LedgerEntry,
  type Page,
  type PagedView,
  type PageQuery,
} from './customer_reads.ts';
import { historyError } from './errors.ts';
import {
  readLoads,
  readSessions,
  type Loads,
  type LoadsQuery,
  type SessionsPage,
  type SessionsQuery,
} from './grid_reads.ts';
import { readLetters, type LettersQuery, type StoredLetter } from './letter_reads.ts';
import { readMessages, type MessagesPage, type MessagesQuery } from './message_reads.ts';
import { migrate } from './migrate.ts';
import { dateTime } from './place.ts';
import type { ConsumptionRow, HistoryRows, HistoryTable } from './rows.ts';

export type { Consumption, ConsumptionQuery, SessionKey } from './consumption_reads.ts';
export {
  gridLimitMax,
  type LoadRow,
  type Loads,
  type LoadsQuery,
  type SessionRecord,
  type SessionsPage,
  type SessionsQuery,
} from './grid_reads.ts';
export { lettersLimitMax, type LettersQuery, type StoredLetter } from './letter_reads.ts';
export { messagesLimitMax, type MessageRecord, type MessagesPage, type MessagesQuery } from './message_reads.ts';
export { messageTypes, type MessageType } from './messages.ts';
export { BadCursor } from './cursor.ts';
export { pageRowsMax, type LedgerEntry, type Page, type PageQuery } from './customer_reads.ts';
export { HistoryRefused, HistoryUnavailable } from './errors.ts';
export { toRows } from './rows.ts';
export type { HistoryRows, HistoryTable } from './rows.ts';

export interface HistoryOptions {
  /** Without credentials, e.g. `http://127.0.0.1:8123`. */
  url: string;
  user: string;
  password: string;
  /** An answer that takes longer is `HistoryUnavailable`. @default 30,000 */
  timeoutMs?: number;
}

/** A row that its table refuses, and what ClickHouse said about it. */
export interface AsideRow {
  table: string;
  row: object;
  reason: string;
}

/** Every method throws `HistoryUnavailable` (try again) or `HistoryRefused` (do not). */
export interface HistoryStore {
  /**
   * Stores rows; resolves when ClickHouse has them. Idempotent by (partition, sequence, index): a repeated row is read
   * once. Batches of 1,000 to 20,000 rows are best; each call writes at least one part per month it touches.
   */
  insert<T extends HistoryTable>(table: T, rows: readonly HistoryRows[T][]): Promise<void>;
  /** Keeps rows that their tables refuse, each as text with the reason. As idempotent as `insert`. */
  putAside(rows: readonly AsideRow[]): Promise<void>;
  /** Journal sequence per partition up to which every row is stored; a partition never written is absent. */
  readPositions(): Promise<Map<number, number>>;
  /** To be called after the rows are stored. A position never goes back, also when an older one is written later. */
  writePositions(positions: Iterable<readonly [partition: number, sequence: number]>): Promise<void>;
  /** Where a reader of another stream stands, per partition of it; one that never wrote has none. */
  readReaderPositions(reader: string): Promise<Map<number, number>>;
  /** To be called after the rows are stored. The newest counts, also when it is lower: a stream may have been made anew. */
  writeReaderPositions(reader: string, positions: Iterable<readonly [number, number]>): Promise<void>;
  /**
   * Sessions of which the history got something behind these journal sequences that changes their consumption: at most
   * `limit`, in order of their key, behind `after`.
   */
  sessionsSince(positions: ReadonlyMap<number, number>, after: SessionKey | null, limit: number): Promise<SessionKey[]>;
  /** Consumption of those of the sessions that have ended, made anew from all that is stored; not written yet. */
  consumptionRows(sessions: readonly SessionKey[]): Promise<{ rows: ConsumptionRow[]; ended: SessionKey[] }>;
  /** Loads of a site or station. */
  loads(query: LoadsQuery): Promise<Loads>;
  /** Energy that sessions took, running ones included, by hour or day. */
  consumption(query: ConsumptionQuery): Promise<Consumption[]>;
  /** Sessions, running ones included, newest first. Throws BadCursor on a cursor that no page ended with; so does the next. */
  sessions(query: SessionsQuery): Promise<SessionsPage>;
  /** What went over a charger's sockets, newest first. */
  messages(query: MessagesQuery): Promise<MessagesPage>;
  /** Commands that could not be applied, newest first, with what became of each. */
  deadLetters(query: LettersQuery): Promise<StoredLetter[]>;
  /** Prices of a station with `from ≤ producedAt < to` (unix ms), newest first, at most `limit` (1 to 5,000). */
  prices(station: string, range: PriceRange): Promise<Price[]>;
  /** Steps of orders, newest first. Throws BadCursor on a cursor that no page ended with; so do the next two. */
  trades(query: PageQuery): Promise<Page<Trade>>;
  /** Legs of postings, newest first, those of a batch in reverse order. */
  ledgerEntries(query: PageQuery): Promise<Page<LedgerEntry>>;
  /** Samples of batteries, newest first. */
  batteryStates(query: PageQuery): Promise<Page<Battery>>;
  /** Resolves when the store answers a query. */
  ping(): Promise<void>;
  /** For queries of one's own, and for tests. */
  readonly client: ClickHouseClient;
  close(): Promise<void>;
}

export interface PriceRange {
  from?: number;
  to?: number;
  limit?: number;
}

const pricesLimitMax = 5_000;

/** Connects and applies missing migrations. */
export async function openHistory(options: HistoryOptions): Promise<HistoryStore> {
  const client = createClient({
    url: options.url,
    username: options.user,
    password: options.password,
    application: 'gridtick',
    request_timeout: options.timeoutMs ?? 30_000,
    max_open_connections: 8,
    // Errors come to the caller; the client would also print them.
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: { async_insert: 0, date_time_input_format: 'basic' },
  });
  try {
    await migrate(client);
  } catch (error) {
    await client.close();
    throw historyError(error);
  }
  return new ClickHouseHistory(client);
}

interface StoredPrice {
  station: string;
  slot: number;
  producedAt: string;
  validUntil: string;
  loadW: string;
  capacityW: string;
  utilisationBp: string;
  tier: Tier;
  importOpen: boolean;
  priceE5SekPerKwh: string;
}

class ClickHouseHistory implements HistoryStore {
  readonly client: ClickHouseClient;
  readonly #read = (query: string, params: Record<string, unknown>) =>
    this.#select<Record<string, unknown>>(query, params);

  constructor(client: ClickHouseClient) {
    this.client = client;
  }

  async insert<T extends HistoryTable>(table: T, rows: readonly HistoryRows[T][]): Promise<void> {
    const [first] = rows;
    if (!first) return;
    const columns = Object.keys(first) as [string, ...string[]];
    await this.#insert(`gridtick.${table}_log`, columns, rows);
  }

  async putAside(rows: readonly AsideRow[]): Promise<void> {
    if (rows.length === 0) return;
    const columns: [string, ...string[]] = ['table', 'reason', 'row', 'partition', 'sequence', 'index'];
    const stored = rows.map(({ table, reason, row }) => ({ ...row, table, reason, row: JSON.stringify(row) }));
    await this.#insert('gridtick.refused_rows_log', columns, stored);
  }

  async readPositions(): Promise<Map<number, number>> {
    const query = 'SELECT partition, max(sequence) AS sequence FROM gridtick.sink_positions GROUP BY partition';
    const rows = await this.#select<{ partition: number; sequence: string }>(query);
    return new Map(rows.map(({ partition, sequence }) => [partition, integer(sequence)]));
  }

  async writePositions(positions: Iterable<readonly [partition: number, sequence: number]>): Promise<void> {
    const rows = [...positions].map(([partition, sequence]) => ({ partition, sequence }));
    if (rows.length > 0) await this.#insert('gridtick.sink_positions', ['partition', 'sequence'], rows);
  }

  async readReaderPositions(reader: string): Promise<Map<number, number>> {
    const rows = await this.#select<{ partition: number; last: string }>(
      `SELECT partition, argMax(sequence, written_at) AS last FROM gridtick.reader_positions
WHERE reader = {reader:String} GROUP BY partition`,
      { reader },
    );
    return new Map(rows.map(({ partition, last }) => [partition, integer(last)]));
  }

  async writeReaderPositions(reader: string, positions: Iterable<readonly [number, number]>): Promise<void> {
    const rows = [...positions].map(([partition, sequence]) => ({ reader, partition, sequence }));
    if (rows.length > 0) await this.#insert('gridtick.reader_positions', ['reader', 'partition', 'sequence'], rows);
  }

  sessionsSince(
    positions: ReadonlyMap<number, number>,
    after: SessionKey | null,
    limit: number,
  ): Promise<SessionKey[]> {
    return sessionsSince(this.#read, positions, after, limit);
  }

  consumptionRows(sessions: readonly SessionKey[]) {
    return consumptionRows(this.#read, sessions);
  }

  loads(query: LoadsQuery): Promise<Loads> {
    return readLoads(this.#read, query);
  }

  consumption(query: ConsumptionQuery): Promise<Consumption[]> {
    return readConsumption(this.#read, query);
  }

  sessions(query: SessionsQuery): Promise<SessionsPage> {
    return readSessions(this.#read, query);
  }

  messages(query: MessagesQuery): Promise<MessagesPage> {
    return readMessages(this.#read, query);
  }

  deadLetters(query: LettersQuery): Promise<StoredLetter[]> {
    return readLetters(this.#read, query);
  }

  async prices(station: string, { from = 0, to, limit = pricesLimitMax }: PriceRange): Promise<Price[]> {
    const until = to === undefined ? '' : "AND produced_at < {to:DateTime64(3, 'UTC')}";
    const rows = await this.#select<StoredPrice>(
      `SELECT station, slot, toUnixTimestamp64Milli(produced_at) AS producedAt,
  toUnixTimestamp64Milli(valid_until) AS validUntil, load_w AS loadW, capacity_w AS capacityW,
  utilisation_bp AS utilisationBp, tier, import_open AS importOpen, price_e5_sek_per_kwh AS priceE5SekPerKwh
FROM gridtick.prices
WHERE station = {station:String} AND produced_at >= {from:DateTime64(3, 'UTC')} ${until}
ORDER BY slot DESC LIMIT {limit:UInt32}`,
      {
        station,
        from: dateTime(from),
        ...(to === undefined ? {} : { to: dateTime(to) }),
        limit: Math.min(Math.max(Math.trunc(limit), 1), pricesLimitMax),
      },
    );
    return rows.map((row) => ({
      station: row.station,
      slot: integer(row.slot),
      producedAt: integer(row.producedAt),
      loadW: integer(row.loadW),
      capacityW: integer(row.capacityW),
      utilisationBp: integer(row.utilisationBp),
      tier: row.tier,
      importOpen: row.importOpen,
      priceE5SekPerKwh: integer(row.priceE5SekPerKwh),
      validUntil: integer(row.validUntil),
    }));
  }

  trades(query: PageQuery): Promise<Page<Trade>> {
    return this.#page(tradesView, query);
  }

  ledgerEntries(query: PageQuery): Promise<Page<LedgerEntry>> {
    return this.#page(ledgerView, query);
  }

  batteryStates(query: PageQuery): Promise<Page<Battery>> {
    return this.#page(batteryView, query);
  }

  async #page<Row>(view: PagedView<Row>, query: PageQuery): Promise<Page<Row>> {
    return readPage(view, query, this.#read);
  }

  async ping(): Promise<void> {
    const result = await this.client.ping({ select: true });
    if (!result.success) throw historyError(result.error);
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  async #insert(table: string, columns: [string, ...string[]], values: readonly object[]): Promise<void> {
    try {
      // Rows as arrays: half the bytes and half the work on both sides of naming every column in every row.
      const rows = values.map((row) => columns.map((column) => (row as Record<string, unknown>)[column]));
      await this.client.insert({ table, columns, values: rows, format: 'JSONCompactEachRow' });
    } catch (error) {
      throw historyError(error);
    }
  }

  async #select<Row>(query: string, params: Record<string, unknown> = {}): Promise<Row[]> {
    try {
      return await (await this.client.query({ query, query_params: params, format: 'JSONEachRow' })).json<Row>();
    } catch (error) {
      throw historyError(error);
    }
  }
}
