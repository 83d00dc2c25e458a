/** The queries of the document for analysts, run as they stand there, with results that can be worked out by hand. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PublicEvent } from '#actors/schema/events';
import { messageRows } from '../../history/messages.ts';
import { openHistory, toRows, type HistoryStore } from '../../history/mod.ts';
import { analystViews } from './analyst_guard.ts';
import { startTestClickHouse, type TestClickHouse } from './testing.ts';

const document = readFileSync(fileURLToPath(new URL('../../../deploy/docs/analysts.md', import.meta.url)), 'utf8');
const queries = [...document.matchAll(/^(\d+)\. ([^\n]+):\n\n +```sql\n([^]*?)\n +```/gm)].map(
  ([, number, , text]) => ({
    number: Number(number),
    text: text as string,
  }),
);

const noon = Date.UTC(2026, 4, 15, 12);
const minute = 60_000;
const firstSlot = noon / 12_000;
let server: TestClickHouse;
let history: HistoryStore;

/** An hour of the station nord-1: 145 slots at 100 kW, 75 at 120, 65 at 150, 10 at 170; five in between are missing. */
function hour(): PublicEvent[] {
  const events: PublicEvent[] = [];
  for (let i = 0; i < 300; i++) {
    if (i >= 100 && i < 105) continue;
    const [loadW, tier] = (
      [
        [150, 100_000, 'normal'],
        [225, 120_000, 'double'],
        [290, 150_000, 'triple'],
        [300, 170_000, 'capped'],
      ] as const
    )
      .find(([end]) => i < end)!
      .slice(1) as [number, 'normal' | 'double' | 'triple' | 'capped'];
    const slot = firstSlot + i;
    const utilisationBp = Math.ceil((loadW * 10_000) / 138_000);
    events.push({
      kind: 'price',
      subject: 'price.nord-1',
      payload: {
        ...{ station: 'nord-1', slot, producedAt: slot * 12_000, loadW, capacityW: 138_000, utilisationBp, tier },
        ...{ importOpen: tier !== 'capped', priceE5SekPerKwh: 100_000, validUntil: slot * 12_000 + 24_000 },
      },
    });
    const load = { site: 'demo', node: 'nord-1', slot, loadW, capacityW: 138_000, utilisationBp, stale: false };
    events.push({ kind: 'load', subject: 'load.demo.nord-1', payload: load });
  }
  return events;
}

/** A session from 21:30 to 22:30 UTC, which is midnight half way in Stockholm, sampled every ten minutes. */
function session(): PublicEvent[] {
  const startAt = noon + 570 * minute;
  const place = { site: 'demo', station: 'nord-1', charger: 'CP-1', connector: 1, transaction: 7 };
  const sample = { phase: '', location: 'Outlet', context: 'Sample.Periodic' };
  const meter = (i: number, lateMs: number): PublicEvent => {
    const at = startAt + i * 10 * minute;
    const samples = [
      { ...sample, at, measurand: 'Energy.Active.Import.Register', unit: 'Wh', value: String(1_000 + i * 1_000) },
      { ...sample, at, measurand: 'Power.Active.Import', unit: 'kW', value: `${5 + i}.5` },
    ];
    return { kind: 'meter', subject: 'meter.CP-1.1', payload: { ...place, receivedAt: at + lateMs, samples } };
  };
  const told = { ...place, tag: 'DEMO0001', startAt, receivedAt: startAt, meterStartWh: 1_000, flags: [] };
  const end = { endAt: startAt + 60 * minute, meterStopWh: 7_000, energyWh: 6_000, reason: 'Local', version: 1 };
  return [
    { kind: 'session', subject: 'session.CP-1.7', payload: { ...told, state: 'started', version: 0 } },
    ...[1, 2, 3, 4, 5].map((i) => meter(i, i === 5 ? 2_500 : 250)),
    { kind: 'session', subject: 'session.CP-1.7', payload: { ...told, state: 'ended', ...end } },
  ];
}

/** A deposit, an order that was carried out, and ten seconds of a battery. */
function customer(): PublicEvent[] {
  const trade = {
    ...{
      customer: 'ada',
      order: 'o-1',
      side: 'buy' as const,
      at: noon,
      site: 'demo',
      station: 'nord-1',
      slot: firstSlot,
    },
    ...{ energyWh: 1_500, priceE5SekPerKwh: 120_000, amountE5Sek: 180_000, expiresAt: noon + minute },
  };
  const battery = (i: number): PublicEvent => ({
    kind: 'battery',
    subject: 'battery.ada',
    payload: {
      ...{ customer: 'ada', slot: noon / 5_000 + i, at: noon + i * 5_000, energyWh: 20_000 + i * 10 },
      ...{ capacityWh: 50_000, levelBp: 4_000, powerW: 11_000 },
    },
  });
  return [
    {
      kind: 'ledger',
      subject: 'ledger.ada',
      payload: {
        ...{ customer: 'ada', batch: 'b-1', kind: 'deposit', cause: 'c-1', at: noon },
        legs: [
          { ledger: 'SEK', account: 'customer:ada:available', amount: 10_000_000, balance: 10_000_000 },
          { ledger: 'SEK', account: 'deposits', amount: -10_000_000, balance: null },
        ],
      },
    },
    { kind: 'trade', subject: 'trade.ada', payload: { ...trade, state: 'held', deliveredWh: 0, settledE5Sek: 0 } },
    {
      kind: 'trade',
      subject: 'trade.ada',
      payload: { ...trade, state: 'completed', deliveredWh: 1_500, settledE5Sek: 180_000 },
    },
    battery(0),
    battery(1),
  ];
}

beforeAll(async () => {
  server = await startTestClickHouse();
  history = await openHistory(server);
  const rows = new Map<string, object[]>();
  for (const [sequence, event] of [...hour(), ...session(), ...customer()].entries()) {
    const made = toRows(event, { partition: 3, sequence, index: 0 });
    rows.set(made.table, [...(rows.get(made.table) ?? []), ...made.rows]);
  }
  for (const [table, list] of rows) await history.insert(table as 'prices', list as never[]);
  await history.insert('consumption', (await history.consumptionRows([{ charger: 'CP-1', transaction: 7 }])).rows);
  const frames = messageRows({
    ...{ v: 1, gateway: 'gw-1', sequence: 1, dropped: 0 },
    frames: [
      [noon, 'in', 'CP-1', 1, '', null, '[2,"1","Heartbeat",{}]'],
      [noon, 'out', 'CP-1', 1, 'Heartbeat', 3, '[3,"1",{}]'],
      [noon, 'in', 'CP-1', 1, '', null, '[2,"2","Heartbeat",{}]'],
      [noon, 'out', 'CP-1', 1, 'Heartbeat', 9, '[3,"2",{}]'],
      [noon, 'out', 'CP-1', 1, '', null, '[2,"3","Reset",{"type":"Soft"}]'],
      [noon, 'in', 'CP-1', 1, 'Reset', 41, '[4,"3","NotSupported","",{}]'],
    ],
  });
  await history.insert('ocpp_messages', frames);
}, 120_000);
afterAll(async () => {
  await history?.close();
  await server?.stop();
});

/** What each gives, a line per row. */
const expected: Record<number, string[]> = {
  1: ['2026-05-15 12:00:00\t29\t15\t15\t170'],
  2: ['nord-1\t2026-05-15 12:21:00.000\t5'],
  // (145 × 100 + 75 × 120 + 65 × 150 + 10 × 170) / 295; 150 slots of 300 an hour are above 110.4 kW.
  3: ['nord-1\t2026-05-15\t118.5\t170\t0.5'],
  4: ['CP-1\t2026-05-15\t3\t1', 'CP-1\t2026-05-16\t3\t1'],
  5: ['CP-1\t7\t6000\t10\t10500'],
  6: ['CP-1\t10\t2.5'],
  7: ['Heartbeat\t2\t0\t9', 'Reset\t1\t1\t41'],
  8: ['3\tSEK\tcustomer:ada:available\t10000000\t10000000', '3\tSEK\tdeposits\t-10000000\t\\N'],
  9: ['2026-05-15\tbuy\t1\t1.5\t1.8'],
  10: ['2026-05-15 12:00:00\t20.01\t11'],
};

test('the document has ten queries, and says what each view holds', () => {
  expect(queries.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (const view of analystViews) expect(document).toContain(`**\`${view}\`**`);
});

test.each(queries)('query $number of the document gives what it promises', async ({ number, text }) => {
  const response = await fetch(`${server.url}/?param_customer=ada`, {
    method: 'POST',
    body: text,
    headers: { 'x-clickhouse-user': 'analyst', 'x-clickhouse-key': server.analystPassword },
  });
  expect((await response.text()).trimEnd().split('\n')).toEqual(expected[number]);
});

test('every column of every view is named in the document', async () => {
  const columns = await history.client.query({
    query: `SELECT table, name FROM system.columns WHERE database = 'gridtick' AND table IN {views:Array(String)}`,
    query_params: { views: [...analystViews] },
    format: 'JSONEachRow',
  });
  const missing = (await columns.json<{ table: string; name: string }>()).filter(
    ({ name }) => !document.includes(`\`${name}\``),
  );
  expect(missing).toEqual([]);
});
