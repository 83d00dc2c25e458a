/** What every ClickHouse must do with the rows of customers; run on the embedded engine and on a server. For tests only. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Battery, Ledger, PublicEvent, Trade } from '#actors/schema/events';
import { BadCursor, openHistory, pageRowsMax, toRows, type HistoryOptions, type HistoryStore } from './mod.ts';
import type { Page, PageQuery } from './mod.ts';

const day = Date.UTC(2026, 4, 15);

const trade = (customer: string, n: number, at: number, fields: Partial<Trade> = {}): Trade => ({
  customer,
  order: `${customer}-${n}`,
  side: 'buy',
  state: 'held',
  at,
  site: 'demo',
  station: 'nord-1',
  slot: 147,
  energyWh: 10_000,
  priceE5SekPerKwh: 100_000,
  amountE5Sek: 1_000_000,
  deliveredWh: 0,
  settledE5Sek: 0,
  expiresAt: at + 60_000,
  ...fields,
});
const battery = (customer: string, slot: number): Battery => ({
  customer,
  slot,
  at: slot * 5_000,
  energyWh: 50_000 + slot,
  capacityWh: 100_000,
  levelBp: 5_000,
  powerW: -11_000,
});
const eventOf = {
  trade: (payload: Trade): PublicEvent => ({ kind: 'trade', subject: 'trade.x', payload }),
  battery: (payload: Battery): PublicEvent => ({ kind: 'battery', subject: 'battery.x', payload }),
  ledger: (payload: Ledger): PublicEvent => ({ kind: 'ledger', subject: 'ledger.x', payload }),
};

/** Names in the tests carry a number of their own, so that a server may be used again and again. */
export function customerContract(name: string, open: () => Promise<HistoryOptions & { close(): Promise<void> }>): void {
  describe(`customers, ${name}`, () => {
    const own = `${Date.now()}-${process.pid}`;
    let opened: Awaited<ReturnType<typeof open>>;
    let history: HistoryStore;

    beforeAll(async () => {
      opened = await open();
      history = await openHistory(opened);
    });
    afterAll(async () => {
      await history?.close();
      await opened?.close();
    });

    const select = async <T>(query: string, query_params: Record<string, unknown> = {}) =>
      (await history.client.query({ query, query_params, format: 'JSONEachRow' })).json<T>();
    /** Stores events as the sink does: one record each. */
    const store = async (partition: number, events: PublicEvent[], firstSequence = 1) => {
      for (const [i, event] of events.entries()) {
        const made = toRows(event, { partition, sequence: firstSequence + i, index: 0 });
        await history.insert(made.table, made.rows);
      }
    };
    /** All pages of a query, as many rows each as `limit`; `between` runs after each page. */
    const walk = async <Row>(
      read: (query: PageQuery) => Promise<Page<Row>>,
      query: PageQuery,
      between: () => Promise<void> = async () => undefined,
    ) => {
      const pages: Row[][] = [];
      let cursor: string | null = null;
      do {
        const page: Page<Row> = await read({ ...query, cursor });
        pages.push(page.rows);
        cursor = page.cursor;
        await between();
      } while (cursor !== null);
      return pages;
    };

    test('a trade, a posting and a sample come back as they were told', async () => {
      const customer = `ada-${own}`;
      const t = trade(customer, 1, day, { side: 'sell', state: 'void', amountE5Sek: -9_007_199_254_740_991 });
      const b = battery(customer, 350_000_000);
      const l: Ledger = {
        customer,
        batch: 'd-1',
        kind: 'deposit',
        cause: 'd-1',
        at: day,
        legs: [
          { ledger: 'SEK', account: `customer:${customer}:available`, amount: 1, balance: 9_007_199_254_740_991 },
          { ledger: 'SEK', account: 'deposits', amount: -1, balance: null },
        ],
      };
      await store(3, [eventOf.trade(t), eventOf.battery(b), eventOf.ledger(l)]);
      expect(await history.trades({ customer })).toEqual({ rows: [t], cursor: null });
      expect(await history.batteryStates({ customer })).toEqual({ rows: [b], cursor: null });
      const { legs, ...batch } = l;
      const entries = legs.map((leg) => ({ ...batch, ...leg })).reverse();
      expect(await history.ledgerEntries({ customer })).toEqual({ rows: entries, cursor: null });
      expect(await history.trades({ customer: `nobody-${own}` })).toEqual({ rows: [], cursor: null });
    });

    test('postings between system accounts belong to no customer, and are among those of all', async () => {
      const legs: Ledger['legs'] = [
        { ledger: 'Wh', account: `station:${own}:losses`, amount: 1, balance: null },
        { ledger: 'Wh', account: 'transit', amount: -1, balance: null },
      ];
      const at = day + 86_400_000;
      await store(4, [eventOf.ledger({ customer: null, batch: `s-${own}`, kind: 'delivery', cause: 'c', at, legs })]);
      const { rows } = await history.ledgerEntries({ customer: null, from: at, to: at + 1 });
      const mine = rows.filter(({ batch }) => batch === `s-${own}`);
      expect(mine.map(({ customer, amount }) => [customer, amount])).toEqual([
        [null, -1],
        [null, 1],
      ]);
      expect((await history.ledgerEntries({ customer: '', from: at, to: at + 1, limit: 1 })).rows).toHaveLength(1);
    });

    test('pages hold every row once, whatever is stored again or comes in meanwhile', async () => {
      const customer = `pager-${own}`;
      // Several steps at the same moment, in one record and in several.
      const rows = Array.from({ length: 60 }, (_, i) => {
        const event = eventOf.trade(trade(customer, i, day + Math.floor(i / 7) * 1000));
        return toRows(event, { partition: 5, sequence: 10 + Math.floor(i / 3), index: i % 3 }).rows;
      }).flat() as never[];
      await history.insert('trades', rows);
      let later = 0;
      const pages = await walk(
        (query) => history.trades(query),
        { customer, limit: 7 },
        async () => {
          await history.insert('trades', rows);
          await store(5, [eventOf.trade(trade(customer, 1000 + later, day + 60_000))], 100 + later++);
        },
      );
      const expected = Array.from({ length: 60 }, (_, i) => `${customer}-${59 - i}`);
      expect(pages.flat().map(({ order }) => order)).toEqual(expected);
      expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 7, 4]);
      expect((await history.trades({ customer, limit: 1 })).rows[0]?.order).toBe(`${customer}-${1000 + later - 1}`);
    });

    test('those of all customers come by time, then by partition, and in pages too', async () => {
      const from = day + 10 * 86_400_000;
      for (const partition of [7, 8]) {
        const events = Array.from({ length: 10 }, (_, i) =>
          eventOf.battery({ ...battery(`${partition}-${own}`, 1), at: from + Math.floor(i / 2) * 5_000, slot: i }),
        );
        await store(partition, events, Number(own.slice(5, 13)));
      }
      const query = { customer: null, from, to: from + 25_000 };
      const whole = await history.batteryStates({ ...query, limit: pageRowsMax });
      const mine = ({ customer }: Battery) => customer.endsWith(own);
      const seen = whole.rows.filter(mine).map(({ customer, slot }) => `${customer[0]}:${slot}`);
      expect(seen).toEqual(
        [4, 3, 2, 1, 0].flatMap((at) => [`8:${2 * at + 1}`, `8:${2 * at}`, `7:${2 * at + 1}`, `7:${2 * at}`]),
      );
      const pages = await walk((q) => history.batteryStates(q), { ...query, limit: 3 });
      expect(pages.flat()).toEqual(whole.rows);
    });

    test('a range takes in its first moment and leaves out its last', async () => {
      const customer = `range-${own}`;
      await store(
        6,
        Array.from({ length: 5 }, (_, i) => eventOf.battery(battery(customer, 360_000_000 + i))),
      );
      const slots = async (query: Partial<PageQuery>) =>
        (await history.batteryStates({ customer, ...query })).rows.map(({ slot }) => slot - 360_000_000);
      const at = (i: number) => (360_000_000 + i) * 5_000;
      expect(await slots({ from: at(1), to: at(3) })).toEqual([2, 1]);
      expect(await slots({ from: at(1) + 1 })).toEqual([4, 3, 2]);
      expect(await slots({ to: at(0) })).toEqual([]);
      expect(await slots({ limit: 0 })).toEqual([4]);
      expect(await slots({ limit: 1e9 })).toEqual([4, 3, 2, 1, 0]);
    });

    test.each([
      '',
      'x',
      '!!!!',
      Buffer.from('1.2.3').toString('base64url'),
      Buffer.from('1.2.3.4.5').toString('base64url'),
      Buffer.from('1.70000.3.4').toString('base64url'),
      Buffer.from('1.2.3.4294967296').toString('base64url'),
      Buffer.from('01.2.3.4').toString('base64url'),
      Buffer.from("1.2.3.4' OR 1").toString('base64url'),
      Buffer.from('1.2.3.4').toString('base64url') + '=',
    ])('what no page ended with is refused as a cursor: %j', async (cursor) => {
      await expect(history.trades({ customer: 'ada', cursor })).rejects.toBeInstanceOf(BadCursor);
    });

    test('decimals for people are exact, also at the greatest amounts there are', async () => {
      const customer = `rich-${own}`;
      const most = Number.MAX_SAFE_INTEGER;
      await store(9, [
        eventOf.trade(trade(customer, 1, day, { amountE5Sek: 100_000_000_000_000, settledE5Sek: -most })),
        eventOf.ledger({
          customer,
          batch: 'b',
          kind: 'hold',
          cause: 'c',
          at: day,
          legs: [
            { ledger: 'SEK', account: 'a', amount: -most, balance: most },
            { ledger: 'Wh', account: 'a', amount: 1, balance: null },
          ],
        }),
        eventOf.battery({ ...battery(customer, 1), levelBp: 9_999, powerW: -1 }),
      ]);
      const texts = (query: string) => select(query, { customer });
      expect(
        await texts(
          `SELECT order, toString(amount_sek) AS amount, toString(settled_sek) AS settled, toString(energy_kwh) AS kwh
           FROM gridtick.trades WHERE customer = {customer:String}`,
        ),
      ).toEqual([{ order: `${customer}-1`, amount: '1000000000', settled: '-90071992547.40991', kwh: '10' }]);
      expect(
        await texts(
          `SELECT toString(amount_sek) AS sek, toString(balance_sek) AS left, toString(amount_kwh) AS kwh,
             toString(balance_kwh) AS leftKwh
           FROM gridtick.ledger_entries WHERE customer = {customer:String} ORDER BY index`,
        ),
      ).toEqual([
        { sek: '-90071992547.40991', left: '90071992547.40991', kwh: null, leftKwh: null },
        { sek: null, left: null, kwh: '0.001', leftKwh: null },
      ]);
      expect(
        await texts(
          `SELECT toString(level_percent) AS level, toString(power_kw) AS power
           FROM gridtick.battery_states WHERE customer = {customer:String}`,
        ),
      ).toEqual([{ level: '99.99', power: '-0.001' }]);
    });

    test('every balance can be told from the postings alone', async () => {
      const amount = fc.integer({ min: 1, max: 1_000_000_000_000 });
      const step = fc.record({
        who: fc.nat({ max: 3 }),
        ledger: fc.constantFrom('SEK' as const, 'Wh' as const),
        kind: fc.constantFrom('deposit', 'withdrawal', 'hold', 'release', 'settlement'),
        amount,
        fee: fc.nat({ max: 99 }),
      });
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
          const prefix = `law${run++}-${own}`;
          const balances = new Map<string, number>();
          const rows: object[] = [];
          const events: PublicEvent[] = steps.map(({ who, ledger, kind, amount, fee }, n) => {
            const customer = `${prefix}-${who}`;
            const available = `customer:${customer}:available`;
            const pending = `customer:${customer}:pending`;
            const moves: [account: string, amount: number][] = {
              deposit: [[available, amount] as const, ['deposits', -amount] as const],
              withdrawal: [[available, -amount] as const, ['deposits', amount] as const],
              hold: [[available, -amount] as const, [pending, amount] as const],
              release: [[available, amount] as const, [pending, -amount] as const],
              settlement: [[pending, -amount] as const, ['revenue', amount - fee] as const, ['vat', fee] as const],
            }[kind].map(([account, change]) => [account, change]);
            for (const [account, change] of moves) {
              const key = `${ledger} ${account}`;
              balances.set(key, (balances.get(key) ?? 0) + change);
            }
            const legs = moves.map(([account, change]) => ({
              ledger,
              account,
              amount: change,
              balance: account.startsWith('customer:') ? balances.get(`${ledger} ${account}`)! : null,
            }));
            return eventOf.ledger({
              customer,
              batch: `${n}`,
              kind: kind,
              cause: `${n}`,
              at: day + n,
              legs,
            });
          });
          // Several batches share a record, and a sink that was killed sends some of them again.
          events.forEach((event, i) =>
            rows.push(...toRows(event, { partition: 11, sequence: Math.floor(i / 4), index: i % 4 }).rows),
          );
          await history.insert('ledger_entries', rows as never[]);
          await history.insert('ledger_entries', rows.slice(rows.length / 3) as never[]);
          const found = await select<{ key: string; posted: string; said: string | null }>(
            `SELECT concat(ledger, ' ', account) AS key, sum(amount) AS posted, argMax(balance, (sequence, index)) AS said
             FROM gridtick.ledger_entries WHERE startsWith(customer, {prefix:String}) GROUP BY ledger, account`,
            { prefix },
          );
          expect(new Map(found.map(({ key, posted }) => [key, Number(posted)]))).toEqual(balances);
          for (const { key, posted, said } of found) {
            if (key.includes('customer:')) expect(Number(said)).toBe(Number(posted));
            else expect(said).toBeNull();
          }
          const [sums] = await select<{ off: string; batches: string }>(
            `SELECT countIf(total != 0) AS off, count() AS batches FROM (
               SELECT sum(amount) AS total FROM gridtick.ledger_entries WHERE startsWith(customer, {prefix:String})
               GROUP BY partition, sequence, intDiv(index, 4096), ledger)`,
            { prefix },
          );
          expect([Number(sums?.off), Number(sums?.batches)]).toEqual([0, steps.length]);
        }),
        { numRuns: 8 },
      );
    }, 60_000);
  });
}
