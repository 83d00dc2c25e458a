/** What every ClickHouse under the history must do; run on the embedded engine and on a server. For tests only. */
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  HistoryRefused,
  HistoryUnavailable,
  openHistory,
  type HistoryOptions,
  type HistoryRows,
  type HistoryStore,
} from './mod.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/mod.ts';
import { dateTime } from './place.ts';

type Opened = HistoryOptions & { close(): Promise<void> };

const day = Date.UTC(2026, 4, 15);

const price = (station: string, slot: number, fields: Partial<HistoryRows['prices']> = {}): HistoryRows['prices'] => ({
  station,
  slot,
  produced_at: dateTime(slot * 12_000),
  valid_until: dateTime(slot * 12_000 + 24_000),
  load_w: 88_320,
  capacity_w: 138_000,
  utilisation_bp: 6_400,
  tier: 'normal',
  import_open: true,
  price_e5_sek_per_kwh: 100_000,
  partition: 1,
  sequence: slot,
  index: 0,
  ...fields,
});
const value = (charger: string, i: number): HistoryRows['meter_values'] => ({
  site: 'demo',
  station: 'nord-1',
  charger,
  connector: 1,
  transaction: 7,
  sampled_at: dateTime(day + i * 1000),
  received_at: dateTime(day + i * 1000 + 50),
  measurand: 'Energy.Active.Import.Register',
  phase: '',
  location: 'Outlet',
  context: 'Sample.Periodic',
  unit: 'Wh',
  value_raw: String(i),
  power_w: null,
  energy_wh: i,
  current_ma: null,
  partition: 2,
  sequence: Math.floor(i / 100),
  index: (i % 100) * 4096,
});
const ended = (
  charger: string,
  transaction: number,
  version: number,
  energy_wh: number,
  sequence: number,
): HistoryRows['sessions'] => ({
  site: 'demo',
  station: 'nord-1',
  charger,
  connector: 1,
  transaction,
  tag: 'DEMO0001',
  started_at: dateTime(day),
  ended_at: dateTime(day + 1),
  received_at: dateTime(day + 2),
  meter_start_wh: 0,
  meter_stop_wh: energy_wh,
  energy_wh,
  reason: 'Local',
  flags: [],
  version,
  partition: 1,
  sequence,
  index: 0,
});

/** Names in the tests carry a number of their own, so that a server may be used again and again. */
export function historyContract(name: string, open: () => Promise<Opened>): void {
  describe(name, () => {
    const own = `${Date.now()}-${process.pid}`;
    let opened: Opened;
    let history: HistoryStore;
    const rows = async <T>(query: string, query_params: Record<string, unknown> = {}) =>
      (await history.client.query({ query, query_params, format: 'JSONEachRow' })).json<T>();

    beforeAll(async () => {
      opened = await open();
      history = await openHistory(opened);
    });
    afterAll(async () => {
      await history?.close();
      await opened?.close();
    });

    test('opening again applies nothing; a changed or an unknown migration refuses', async () => {
      expect(await migrate(history.client)).toEqual([]);
      await (await openHistory(opened)).close();
      const changed = [{ number: 1, name: 'first_tables', statements: ['SELECT 1'] }, ...migrations.slice(1)];
      await expect(migrate(history.client, changed)).rejects.toThrow(
        /migration 1 \(first_tables\) is not the one that was applied/,
      );
      await expect(migrate(history.client, [])).rejects.toThrow(/does not know: use a newer build/);
    });

    test('100,000 values are stored, a repeated batch is read once', async () => {
      const charger = `CP-${own}`;
      const all = Array.from({ length: 100_000 }, (_, i) => value(charger, i));
      for (let i = 0; i < all.length; i += 20_000) await history.insert('meter_values', all.slice(i, i + 20_000));
      // A sink that was killed repeats what it had sent, in other batches.
      await history.insert('meter_values', all.slice(15_000, 35_000));
      const [found] = await rows<Record<string, string>>(
        `SELECT count() AS n, uniqExact(partition, sequence, \`index\`) AS distinct, sum(energy_wh) AS wh, max(energy_kwh) AS kwh
        FROM gridtick.meter_values WHERE charger = {charger:String}`,
        { charger },
      );
      expect(Object.values(found ?? {}).map(Number)).toEqual([100_000, 100_000, 4_999_950_000, 99.999]);
    }, 120_000);

    test('prices of a station come newest first, within the range, as they were produced', async () => {
      const station = `nord-${own}`;
      const first = 147_000_000;
      const negative = price(station, first + 2, {
        price_e5_sek_per_kwh: -123_456,
        tier: 'capped',
        import_open: false,
      });
      await history.insert('prices', [price(station, first), price(station, first + 1), negative]);
      await history.insert('prices', [price(station, first + 1), price(`other-${own}`, first + 1)]);
      expect((await history.prices(station, {})).map(({ slot }) => slot - first)).toEqual([2, 1, 0]);
      const from = (first + 1) * 12_000;
      expect((await history.prices(station, { from })).map(({ slot }) => slot - first)).toEqual([2, 1]);
      expect((await history.prices(station, { from, to: from + 12_000 })).map(({ slot }) => slot - first)).toEqual([1]);
      expect(await history.prices(station, { limit: 1 })).toEqual([
        {
          station,
          slot: first + 2,
          producedAt: (first + 2) * 12_000,
          validUntil: (first + 4) * 12_000,
          loadW: 88_320,
          capacityW: 138_000,
          utilisationBp: 6_400,
          tier: 'capped',
          importOpen: false,
          priceE5SekPerKwh: -123_456,
        },
      ]);
      expect(await history.prices("no'such", {})).toEqual([]);
    });

    test('never more than 5,000 prices are read at once', async () => {
      const station = `many-${own}`;
      await history.insert(
        'prices',
        Array.from({ length: 5_010 }, (_, i) => price(station, 147_000_000 + i)),
      );
      expect(await history.prices(station, { limit: 1_000_000 })).toHaveLength(5_000);
    });

    test('a session is shown once, by its highest version', async () => {
      const charger = `CS-${own}`;
      await history.insert('sessions', [ended(charger, 1, 1, 5_000, 10), ended(charger, 2, 1, 700, 11)]);
      await history.insert('sessions', [ended(charger, 1, 2, 5_250, 12)]);
      await history.insert('sessions', [ended(charger, 1, 1, 5_000, 10)]);
      const found = await rows<{ transaction: string; version: number; energy_wh: string; energy_kwh: number }>(
        'SELECT transaction, version, energy_wh, energy_kwh FROM gridtick.sessions WHERE charger = {charger:String} ORDER BY transaction',
        { charger },
      );
      expect(found.map((r) => [r.transaction, r.version, r.energy_wh, r.energy_kwh].map(Number))).toEqual([
        [1, 2, 5250, 5.25],
        [2, 1, 700, 0.7],
      ]);
    });

    test('charger events of many years, some impossible, fit into one batch', async () => {
      const charger = `CE-${own}`;
      const event = (i: number, at: number): HistoryRows['charger_events'] => ({
        charger,
        connector: null,
        kind: 'status',
        at: dateTime(at),
        received_at: dateTime(day),
        detail: '{"a":"ö\\n"}',
        partition: 1,
        sequence: 1,
        index: i,
      });
      const years = Array.from({ length: 200 }, (_, i) => event(i, Date.UTC(1950 + i, i % 12, 1)));
      await history.insert('charger_events', [...years, event(200, -1e15), event(201, 1e15)]);
      const [found] = await rows<{ n: string; first: string; last: string; detail: string }>(
        `SELECT count() AS n, toString(min(at)) AS first, toString(max(at)) AS last, any(detail) AS detail
         FROM gridtick.charger_events WHERE charger = {charger:String}`,
        { charger },
      );
      expect([Number(found?.n), found?.first, found?.last, found?.detail]).toEqual([
        202,
        '1900-01-01 00:00:00.000',
        '2299-12-31 23:59:59.999',
        '{"a":"ö\\n"}',
      ]);
    });

    test('positions are remembered per partition and never go back', async () => {
      const partition = 60_000 + (process.pid % 5_000);
      const at = async () => (await history.readPositions()).get(partition);
      const before = (await at()) ?? 0;
      await history.writePositions(new Map([[partition, before + 100]]));
      await history.writePositions([[partition, before + 50]]);
      expect(await at()).toBe(before + 100);
      await history.writePositions([]);
      expect((await history.readPositions()).get(59_999)).toBeUndefined();
    });

    test('rows are stored when the insert is answered, because inserts are not asynchronous', async () => {
      await history.ping();
      const [found] = await rows<{ value: string }>("SELECT toString(getSetting('async_insert')) AS value");
      expect(found?.value).toMatch(/^(0|false)$/);
    });

    test('a row that the table refuses is refused for good; a store that is away is worth another try', async () => {
      const wrong = { ...price(`x-${own}`, 1), load_w: 'many' as unknown as number };
      const refused: unknown = await history.insert('prices', [wrong]).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(HistoryRefused);
      expect(refused).toMatchObject({ isAboutData: true });
      const aside = { table: 'prices', row: wrong, reason: (refused as Error).message };
      await history.putAside([aside]);
      await history.putAside([aside]);
      const kept = await history.client.query({ query: 'SELECT * FROM gridtick.refused_rows', format: 'JSONEachRow' });
      expect(await kept.json()).toMatchObject([{ table: 'prices', reason: aside.reason, row: JSON.stringify(wrong) }]);
      const stranger = openHistory({ ...opened, password: 'wrong' });
      await expect(stranger).rejects.toBeInstanceOf(HistoryRefused);
      await expect(stranger).rejects.toMatchObject({ isAboutData: false });
      const away = openHistory({ ...opened, url: 'http://127.0.0.1:1' });
      await expect(away).rejects.toBeInstanceOf(HistoryUnavailable);
      await expect(away).rejects.toMatchObject({ code: 'history_unavailable' });
    });

    test('everybody reads the same: rows through the client with decimals beside the integers', async () => {
      const station = `dec-${own}`;
      await history.insert('prices', [
        price(station, 1, { price_e5_sek_per_kwh: -1, load_w: 1, utilisation_bp: 12_001 }),
      ]);
      const client = createClient({
        url: opened.url,
        username: opened.user,
        password: opened.password,
        log: { level: ClickHouseLogLevel.OFF },
      });
      const query =
        'SELECT price_sek_per_kwh, load_kw, capacity_kw, utilisation_percent FROM gridtick.prices WHERE station = {station:String}';
      const text = await (await client.query({ query, query_params: { station }, format: 'CSVWithNames' })).text();
      await client.close();
      expect(text).toBe(
        '"price_sek_per_kwh","load_kw","capacity_kw","utilisation_percent"\n-0.00001,0.001,138,120.01\n',
      );
    });
  });
}
