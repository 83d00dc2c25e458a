/** The history of the load tree over HTTP, out of a real ClickHouse. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '#engine/embedded/clickhouse/testing';
import { messageRows } from '#engine/history/messages';
import { openHistory, toRows, type HistoryStore } from '#engine/history/mod';
import { refusals, type RefusalCode } from '#actors/refusals';
import type { PublicEvent } from '#actors/schema/events';
import type { GridHistory } from './routes/history.ts';
import { startTestApi, type TestApi } from './testing.ts';

const noon = Date.UTC(2026, 4, 15, 12);
const hour = 3_600_000;
let clickhouse: TestClickHouse;
let history: HistoryStore;
let api: TestApi;
let cookie: string;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  history = await openHistory(clickhouse);
  // A site's name and a charger's tag are whatever people write.
  const sessionOf = (fields: object): PublicEvent => ({
    kind: 'session',
    subject: 'session.CP-0001.7',
    payload: {
      ...{ site: 'demo', station: 'nord-1', charger: 'CP-0001', connector: 1, transaction: 7, tag: 'DEMO0001' },
      ...{ state: 'started', startAt: noon, receivedAt: noon, meterStartWh: 1_000, flags: [], version: 0, ...fields },
    },
  });
  const ended = { state: 'ended', endAt: noon + hour, receivedAt: noon + hour, meterStopWh: 9_000, energyWh: 8_000 };
  const events: PublicEvent[] = [
    ...Array.from({ length: 300 }, (_, i): PublicEvent => {
      const slot = noon / 12_000 + i;
      const load = { site: 'demo', slot, loadW: 1_000 * i, capacityW: 138_000, utilisationBp: 73 * i, stale: false };
      return { kind: 'load', subject: 'load.demo.nord-1', payload: { ...load, node: 'nord-1' } };
    }),
    sessionOf({}),
    sessionOf({ ...ended, reason: 'Local', flags: ['integral'], version: 1 }),
    sessionOf({ transaction: 8, startAt: noon + 2 * hour }),
  ];
  for (const [sequence, event] of events.entries()) {
    const { table, rows } = toRows(event, { partition: 1, sequence, index: 0 });
    await history.insert(table, rows);
    if (sequence === 0) await history.insert('ocpp_messages', messages());
  }
  await history.insert('consumption', (await history.consumptionRows([{ charger: 'CP-0001', transaction: 7 }])).rows);
  api = await startTestApi({ history: methodsOf(history) });
  cookie = await api.cookieOf('operator');
}, 120_000);
afterAll(async () => {
  await api.close();
  await history.close();
  await clickhouse.stop();
});

const methodsOf = (store: HistoryStore): GridHistory => ({
  loads: (query) => store.loads(query),
  consumption: (query) => store.consumption(query),
  sessions: (query) => store.sessions(query),
  messages: (query) => store.messages(query),
});
const messages = () =>
  messageRows({
    v: 1,
    gateway: 'gw-1',
    sequence: 1,
    dropped: 0,
    frames: [
      [noon, 'in', 'CP-0001', 3, '', null, '[2,"1","Heartbeat",{}]'],
      [noon + 4, 'out', 'CP-0001', 3, 'Heartbeat', 4, '[3,"1",{"currentTime":"2026-05-15T12:00:00Z"}]'],
      [noon + 9, 'in', 'CP-0002', 1, '', null, '[2,"1","Heartbeat",{}]'],
    ],
  });

const get = async <Body>(url: string): Promise<Body> => {
  const response = await api.app.inject({ url, headers: { cookie } });
  expect([url, response.statusCode, response.statusCode === 200 ? '' : response.body]).toEqual([url, 200, '']);
  return response.json<Body>();
};

test('loads come gathered to the points asked for', async () => {
  const range = `from=${noon}&to=${noon + hour}`;
  expect(await get(`/api/loads?node=nord-1&${range}&points=2`)).toEqual({
    now: expect.any(Number) as number,
    node: 'nord-1',
    stepMs: 1_800_000,
    rows: [
      { at: noon, meanW: 74_500, maxW: 149_000, capacityW: 138_000, maxUtilisationBp: 10_877 },
      { at: noon + hour / 2, meanW: 224_500, maxW: 299_000, capacityW: 138_000, maxUtilisationBp: 21_827 },
    ],
  });
  const fine = await get<{ stepMs: number; rows: unknown[] }>(`/api/loads?node=nord-1&${range}`);
  expect([fine.stepMs, fine.rows.length]).toEqual([12_000, 300]);
  expect(await get(`/api/loads?node=demo&${range}`)).toMatchObject({ rows: [] });
});

test('consumption is by hour, or by the site’s day, of whatever part of the tree', async () => {
  const range = `from=${noon - 48 * hour}&to=${noon + 48 * hour}`;
  for (const node of ['site=demo', 'station=nord-1', 'charger=CP-0001'])
    expect(await get(`/api/consumption?${node}&${range}&step=hour`)).toMatchObject({
      rows: [{ at: noon, energyWh: 8_000 }],
    });
  const zone = api.grid.site('demo')?.context.timeZone ?? '';
  const midnight = await get<{ rows: { at: number }[] }>(`/api/consumption?site=demo&${range}&step=day`);
  expect(midnight.rows).toHaveLength(1);
  const at = new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
  expect(at.format(midnight.rows[0]?.at)).toBe('2026-05-15 00:00:00');
  expect(await get(`/api/consumption?charger=CP-0002&${range}&step=hour`)).toMatchObject({ rows: [] });
});

test('sessions come newest first, tags masked, and page by page', async () => {
  const first = await get<{ rows: { transaction: number }[]; next: string }>('/api/sessions?station=nord-1&limit=1');
  expect(first.rows).toEqual([
    {
      ...{ transaction: 8, charger: 'CP-0001', connector: 1, site: 'demo', station: 'nord-1', tag: '…001' },
      ...{ startedAt: noon + 2 * hour, endedAt: null, energyWh: null, state: 'started', flags: [], reason: null },
    },
  ]);
  const second = await get(`/api/sessions?station=nord-1&limit=1&cursor=${first.next}`);
  expect(second).toMatchObject({
    rows: [
      { transaction: 7, endedAt: noon + hour, energyWh: 8_000, state: 'ended', flags: ['integral'], reason: 'Local' },
    ],
    next: null,
  });
  expect(await get(`/api/sessions?from=${noon}&to=${noon + 1}`)).toMatchObject({ rows: [{ transaction: 7 }] });
});

test('messages are those of one charger, searched by text', async () => {
  const all = await get<{ rows: { type: string }[]; next: null }>('/api/chargers/CP-0001/messages');
  expect([all.rows.map(({ type }) => type), all.next]).toEqual([['result', 'call'], null]);
  expect(await get('/api/chargers/CP-0001/messages?q=CURRENTTIME&direction=out&action=Heartbeat')).toMatchObject({
    rows: [{ at: noon + 4, payload: '{"currentTime":"2026-05-15T12:00:00Z"}', latencyMs: 4, connectionSeq: 3 }],
  });
  expect(await get('/api/chargers/CP-0001/messages?q=%25')).toMatchObject({ rows: [] });
});

const range = 'from=0&to=3600000';
const cases: [url: string, code: RefusalCode][] = [
  ['/api/loads', 'bad_request'],
  ['/api/loads?node=nord-1', 'bad_request'],
  [`/api/loads?node=nope&${range}`, 'unknown_entity'],
  [`/api/loads?node=CP-0001&${range}`, 'unknown_entity'],
  [`/api/loads?node=__proto__&${range}`, 'unknown_entity'],
  [`/api/loads?node=%00&${range}`, 'bad_request'],
  [`/api/loads?node=nord-1'%20OR%201=1&${range}`, 'unknown_entity'],
  [`/api/loads?node=nord-1&${range}&points=0`, 'bad_request'],
  [`/api/loads?node=nord-1&${range}&points=2001`, 'bad_request'],
  [`/api/loads?node=nord-1&${range}&points=1e2`, 'bad_request'],
  ['/api/loads?node=nord-1&from=5&to=5', 'bad_request'],
  ['/api/loads?node=nord-1&from=-1&to=5', 'bad_request'],
  ['/api/loads?node=nord-1&from=now&to=5', 'bad_request'],
  ['/api/loads?node=nord-1&from=0&to=9999999999999', 'bad_request'],
  [`/api/loads?node=nord-1&node=demo&${range}`, 'bad_request'],
  [`/api/loads?node=nord-1&${range}&format=csv`, 'bad_request'],
  [`/api/consumption?${range}&step=hour`, 'bad_request'],
  [`/api/consumption?site=demo&station=nord-1&${range}&step=hour`, 'bad_request'],
  [`/api/consumption?site=nope&${range}&step=hour`, 'unknown_site'],
  [`/api/consumption?station=nope&${range}&step=hour`, 'unknown_station'],
  [`/api/consumption?charger=nope&${range}&step=hour`, 'unknown_charger'],
  [`/api/consumption?site=demo&${range}&step=minute`, 'bad_request'],
  [`/api/consumption?site=demo&${range}`, 'bad_request'],
  ['/api/consumption?site=demo&from=0&to=9000000000&step=hour', 'bad_request'],
  ['/api/consumption?site=demo&from=1&to=1&step=day', 'bad_request'],
  ['/api/sessions?site=nope', 'unknown_site'],
  ['/api/sessions?site=demo&charger=CP-0001', 'bad_request'],
  ['/api/sessions?limit=1001', 'bad_request'],
  ['/api/sessions?limit=0', 'bad_request'],
  ['/api/sessions?cursor=', 'bad_request'],
  ['/api/sessions?cursor=AAAA', 'bad_request'],
  [`/api/sessions?cursor=${Buffer.from('[1,2,3]').toString('base64url')}`, 'bad_request'],
  [`/api/sessions?cursor=${Buffer.from('[1e300,"x",3]').toString('base64url')}`, 'bad_request'],
  [`/api/sessions?cursor=${'A'.repeat(2_000)}`, 'bad_request'],
  ['/api/sessions?from=9&to=3', 'bad_request'],
  ['/api/sessions?customer=ada', 'bad_request'],
  ['/api/chargers/nope/messages', 'unknown_charger'],
  ['/api/chargers/%00/messages', 'bad_request'],
  [`/api/chargers/${'x'.repeat(200)}/messages`, 'bad_request'],
  ['/api/chargers/CP-0001/messages?q=', 'bad_request'],
  [`/api/chargers/CP-0001/messages?q=${'x'.repeat(129)}`, 'bad_request'],
  ['/api/chargers/CP-0001/messages?direction=both', 'bad_request'],
  ['/api/chargers/CP-0001/messages?cursor=bm8', 'bad_request'],
  ['/api/chargers/CP-0001/messages?limit=5000', 'bad_request'],
  ['/api/chargers/CP-0001/messages?from=7&to=7', 'bad_request'],
  ['/api/chargers/CP-0001/messages?charger=CP-0002', 'bad_request'],
];

describe('what cannot be asked', () => {
  test.each(cases)('GET %s → %s', async (url, code) => {
    const response = await api.app.inject({ url, headers: { cookie } });
    expect([response.statusCode, response.json<{ code: string }>().code]).toEqual([refusals[code].status, code]);
  });

  test('a customer is told nothing, whatever is asked for', async () => {
    const customer = await api.cookieOf('customer');
    for (const url of [
      `/api/loads?node=nord-1&${range}`,
      `/api/consumption?site=demo&${range}&step=hour`,
      '/api/sessions',
      '/api/chargers/CP-0001/messages',
      '/api/chargers/nope/messages',
    ]) {
      const response = await api.app.inject({ url, headers: { cookie: customer } });
      expect([url, response.json<{ code: string }>().code]).toEqual([url, 'role_missing']);
    }
  });

  test('a history that is away is said to be, and answers again when it is back', async () => {
    await clickhouse.kill9();
    for (const url of [`/api/loads?node=nord-1&${range}`, '/api/sessions', '/api/chargers/CP-0001/messages']) {
      const response = await api.app.inject({ url, headers: { cookie } });
      expect([url, response.json<{ code: string }>().code]).toEqual([url, 'history_unavailable']);
    }
    await clickhouse.restart();
    expect(await get('/api/sessions')).toMatchObject({ rows: [{ transaction: 8 }, { transaction: 7 }] });
  });
});
