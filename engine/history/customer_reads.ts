/** Pages of what customers did: steps of orders, legs of postings, samples of batteries. */
import type { Battery, Ledger, Trade } from '#actors/schema/events';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { dateTime } from './place.ts';

/** `from ≤ at < to`, unix ms. */
export interface PageQuery {
  /** null: of all customers, and for postings those between system accounts, too. */
  customer: string | null;
  from?: number | undefined;
  to?: number | undefined;
  /** 1 to 1,000. @default 100 */
  limit?: number | undefined;
  /** The end of the page before. */
  cursor?: string | null | undefined;
}

/** Newest first. `cursor` leads to the next page; null: this was the last one. */
export interface Page<Row> {
  rows: Row[];
  cursor: string | null;
}

/** One leg of a batch. */
export type LedgerEntry = Omit<Ledger, 'legs'> & Ledger['legs'][number];

/** How a view is read: columns by the name they get, and its rows as what they were made of. */
export interface PagedView<Row> {
  view: string;
  columns: Record<string, string>;
  row(stored: Record<string, unknown>): Row;
}

const limitDefault = 100;
export const pageRowsMax = 1_000;

/** 64-bit integers come as text or as numbers, depending on the server's settings. */
export function integer(value: unknown): number {
  const n = Number(value);
  if (!Number.isSafeInteger(n)) throw new RangeError(`not a safe integer from the history: ${String(value)}`);
  return n;
}

const ms = (column: string) => `toUnixTimestamp64Milli(${column})`;

export const tradesView: PagedView<Trade> = {
  view: 'trades',
  columns: {
    customer: 'customer',
    order: '`order`',
    side: 'side',
    state: 'state',
    at: ms('at'),
    site: 'site',
    station: 'station',
    slot: 'slot',
    energyWh: 'energy_wh',
    priceE5SekPerKwh: 'price_e5_sek_per_kwh',
    amountE5Sek: 'amount_e5_sek',
    deliveredWh: 'delivered_wh',
    settledE5Sek: 'settled_e5_sek',
    expiresAt: ms('expires_at'),
  },
  row: (r) => ({
    customer: r['customer'] as string,
    order: r['order'] as string,
    side: r['side'] as Trade['side'],
    state: r['state'] as Trade['state'],
    at: integer(r['at']),
    site: r['site'] as string,
    station: r['station'] as string,
    slot: integer(r['slot']),
    energyWh: integer(r['energyWh']),
    priceE5SekPerKwh: integer(r['priceE5SekPerKwh']),
    amountE5Sek: integer(r['amountE5Sek']),
    deliveredWh: integer(r['deliveredWh']),
    settledE5Sek: integer(r['settledE5Sek']),
    expiresAt: integer(r['expiresAt']),
  }),
};

export const ledgerView: PagedView<LedgerEntry> = {
  view: 'ledger_entries',
  columns: {
    customer: 'customer',
    batch: 'batch',
    kind: 'kind',
    cause: 'cause',
    at: ms('at'),
    ledger: 'ledger',
    account: 'account',
    amount: 'amount',
    balance: 'balance',
  },
  row: (r) => ({
    customer: r['customer'] === '' ? null : (r['customer'] as string),
    batch: r['batch'] as string,
    kind: r['kind'] as LedgerEntry['kind'],
    cause: r['cause'] as string,
    at: integer(r['at']),
    ledger: r['ledger'] as LedgerEntry['ledger'],
    account: r['account'] as string,
    amount: integer(r['amount']),
    balance: r['balance'] === null ? null : integer(r['balance']),
  }),
};

export const batteryView: PagedView<Battery> = {
  view: 'battery_states',
  columns: {
    customer: 'customer',
    slot: 'slot',
    at: ms('at'),
    energyWh: 'energy_wh',
    capacityWh: 'capacity_wh',
    levelBp: 'level_bp',
    powerW: 'power_w',
  },
  row: (r) => ({
    customer: r['customer'] as string,
    slot: integer(r['slot']),
    at: integer(r['at']),
    energyWh: integer(r['energyWh']),
    capacityWh: integer(r['capacityWh']),
    levelBp: integer(r['levelBp']),
    powerW: integer(r['powerW']),
  }),
};

type Select = (query: string, params: Record<string, unknown>) => Promise<Record<string, unknown>[]>;

/** One page of a view. Throws BadCursor on a cursor that no page ended with. */
export async function readPage<Row>(
  { view, columns, row }: PagedView<Row>,
  { customer, from, to, limit = limitDefault, cursor }: PageQuery,
  select: Select,
): Promise<Page<Row>> {
  const time = "DateTime64(3, 'UTC')";
  const rowsMax = Math.min(Math.max(Math.trunc(limit), 1), pageRowsMax);
  const conditions: string[] = [];
  // One more than the page holds tells whether another one follows.
  const params: Record<string, unknown> = { limit: rowsMax + 1 };
  if (customer !== null) {
    conditions.push('customer = {customer:String}');
    params['customer'] = customer;
  }
  if (from !== undefined) {
    conditions.push(`at >= {from:${time}}`);
    params['from'] = dateTime(from);
  }
  if (to !== undefined) {
    conditions.push(`at < {to:${time}}`);
    params['to'] = dateTime(to);
  }
  if (typeof cursor === 'string') {
    const { at, ...place } = decodeCursor(cursor);
    const end = `({endAt:${time}}, {partition:UInt16}, {sequence:UInt64}, {index:UInt32})`;
    // The time alone once more: it is what the table is ordered by, a tuple would be looked up in every row.
    conditions.push(`at <= {endAt:${time}}`, `(at, partition, sequence, \`index\`) < ${end}`);
    Object.assign(params, place, { endAt: dateTime(at) });
  }
  // Compared inside: a column's new name would hide the column itself. Every view has its time as `at`.
  const found = await select(
    `SELECT ${Object.entries(columns)
      .map(([name, column]) => `${column} AS \`${name}\``)
      .join(', ')}, partition, sequence, \`index\`
FROM (
  SELECT * FROM gridtick.${view} ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
  ORDER BY at DESC, partition DESC, sequence DESC, \`index\` DESC LIMIT {limit:UInt32}
)`,
    params,
  );
  const rows = found.slice(0, rowsMax);
  const last = rows.at(-1);
  const next =
    last && found.length > rowsMax
      ? encodeCursor({
          at: integer(last['at']),
          partition: integer(last['partition']),
          sequence: integer(last['sequence']),
          index: integer(last['index']),
        })
      : null;
  return { rows: rows.map(row), cursor: next };
}
