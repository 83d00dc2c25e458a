import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Connector, Price, Station } from '#gateway/schema/mod';
import { aPrice } from './a_price.ts';
import { FakeSocket } from './fake_server.ts';
import { LiveClient } from './live.ts';

// The page's own socket is made when the module is read; these tests bring theirs.
vi.mock('./connection.svelte.ts', () => ({ live: null }));
const { StationFeed } = await import('./station_feed.svelte.ts');

const station: Station = {
  ...{ station: 'nord-1', site: 'demo', name: 'Nord 1', capacityW: 138_000, baseE5SekPerKwh: 100_000 },
  ...{ tier: 'normal', slot: 12, producedAt: 144_000, validUntil: 168_000, priceE5SekPerKwh: 100_000 },
  ...{ importOpen: true, utilisationBp: 8_000, loadW: 110_400, stale: false, liveW: 11_040, actions: {} },
};
const connector = (charger: string, w: number): Connector => ({
  ...{ charger, connector: 1, station: 'nord-1', online: true, status: 'Charging', errorCode: 'NoError' },
  ...{ statusAt: 1, w, at: 1, intervalMs: 10_000, transaction: 7, tag: '…007', startAt: 1, energyWh: 600 },
});

/** Answers by path, as the API would; the last of several answers stays. */
let answers: Record<string, { status: number; body: unknown }[]>;
let asked: string[];
const prices = (list: Price[], cursor: string) => ({
  status: 200,
  body: { now: 0, cursor, station: 'nord-1', prices: list },
});
const whole = (connectors: Connector[]) => ({ status: 200, body: { now: 0, cursor: 's', station, connectors } });

beforeEach(() => {
  asked = [];
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    const key = path.includes('/prices') ? 'prices' : 'station';
    const list = answers[key] ?? [];
    const { status, body } = (list.length > 1 ? list.shift() : list[0]) ?? { status: 500, body: {} };
    return new Response(JSON.stringify(body), { status });
  });
});
afterEach(() => void vi.unstubAllGlobals());

async function opened() {
  const socket = new FakeSocket();
  const client = new LiveClient({ open: () => socket });
  client.connect();
  socket.accept();
  const feed = new StationFeed('nord-1', client);
  await feed.load();
  return { feed, socket, client };
}
const slots = (feed: InstanceType<typeof StationFeed>) => feed.prices.list.map(({ slot }) => slot);

test('the live topic goes on where the history ended', async () => {
  answers = {
    prices: [prices([aPrice(11), aPrice(12)], 'h')],
    station: [whole([connector('CP-2', 1), connector('CP-10', 2)])],
  };
  const { feed, socket } = await opened();
  expect(socket.got).toEqual([{ op: 'sub', id: 1, topic: 'station:nord-1', cursor: 'h' }]);
  socket.say({ op: 'event', id: 1, prev: 'h', cursor: 'i', now: 0, event: { kind: 'price', price: aPrice(13) } });
  socket.delta(1, 'i', 'j', { 'CP-2/1': connector('CP-2', 7_400) });
  expect(slots(feed)).toEqual([11, 12, 13]);
  expect(feed.connectors.map(({ charger, w }) => [charger, w])).toEqual([
    ['CP-2', 7_400],
    ['CP-10', 2],
  ]);
});

test('a snapshot instead of what was missed has the prices in between asked for again', async () => {
  answers = {
    prices: [prices([aPrice(12)], 'h'), prices([aPrice(12), aPrice(13), aPrice(14)], 'z')],
    station: [whole([])],
  };
  const { feed, socket } = await opened();
  socket.snap(1, 'k', { station, 'CP-1/1': connector('CP-1', 5) });
  await vi.waitFor(() => expect(slots(feed)).toEqual([12, 13, 14]));
  expect(asked.at(-1)).toBe('/api/stations/nord-1/prices?from=144000&limit=1200');
  expect(feed.connectors).toHaveLength(1);
});

test('a history that does not answer leaves the live part working, and says what is missing', async () => {
  const refusal = { ok: false, code: 'history_unavailable', correlation: 'c-1' };
  answers = {
    prices: [{ status: 503, body: refusal }, prices([aPrice(12)], 'h')],
    station: [whole([connector('CP-1', 1)])],
  };
  const { feed, socket } = await opened();
  expect(feed.state.state).toBe('ready');
  expect(feed.pricesRefused?.code).toBe('history_unavailable');
  expect(socket.got[0]).toMatchObject({ cursor: 's' });
  await feed.retryPrices();
  expect(feed.pricesRefused).toBeNull();
  expect(slots(feed)).toEqual([12]);
});

test('a station that does not exist is refused with the code of the server', async () => {
  const refusal = { ok: false, code: 'unknown_station', correlation: 'c-2' };
  answers = { prices: [{ status: 404, body: refusal }], station: [{ status: 404, body: refusal }] };
  const { feed, socket } = await opened();
  expect(feed.state).toMatchObject({ state: 'failed', refused: { code: 'unknown_station', correlation: 'c-2' } });
  expect(socket.got).toEqual([]);
});

test('a page that was left is told nothing any more', async () => {
  answers = { prices: [prices([], 'h')], station: [whole([])] };
  const { feed, socket } = await opened();
  feed.close();
  expect(socket.got.at(-1)).toEqual({ op: 'unsub', id: 1 });
});
