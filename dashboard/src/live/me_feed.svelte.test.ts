import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BatteryNow, OrderView, Trade, Wallet } from '#gateway/schema/mod';
import { FakeSocket } from './fake_server.ts';
import { LiveClient } from './live.ts';
import { tradesMax } from './trades.ts';

// The page's own socket is made when the module is read; these tests bring theirs.
vi.mock('./connection.svelte.ts', () => ({ live: null }));
const { MeFeed } = await import('./me_feed.svelte.ts');

const wallet: Wallet = { availableE5Sek: 10_000_000, heldE5Sek: 0, creditLimitE5Sek: 0 };
const battery: BatteryNow = { energyWh: 50_000, capacityWh: 100_000, levelBp: 5_000, powerW: 0, at: 1 };
const order = (id: string, heldAt: number): OrderView => ({
  ...{ order: id, side: 'buy', state: 'held', site: 'demo', station: 'nord-1', slot: 5, energyWh: 1_000 },
  ...{ priceE5SekPerKwh: 100_000, amountE5Sek: 100_000, deliveredWh: 0, settledE5Sek: 0 },
  ...{ heldAt, expiresAt: heldAt + 60_000, committedAt: null },
});
const trade = (id: string, state: Trade['state'], at: number): Trade => ({
  ...{ customer: 'anna', order: id, side: 'buy', state, at, site: 'demo', station: 'nord-1', slot: 5 },
  ...{ energyWh: 1_000, priceE5SekPerKwh: 100_000, amountE5Sek: 100_000, deliveredWh: 0, settledE5Sek: 0 },
  expiresAt: at + 60_000,
});

/** What the history answers, the newest first; null: it is away. */
let history: Trade[] | null;
let asked: string[];
beforeEach(() => {
  history = [];
  asked = [];
  vi.stubGlobal('requestAnimationFrame', () => 0);
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    return history === null
      ? new Response('{"ok":false,"code":"history_unavailable","correlation":"c-1"}', { status: 503 })
      : new Response(JSON.stringify({ now: 0, rows: history, cursor: null }));
  });
});
afterEach(() => void vi.unstubAllGlobals());

function opened() {
  const socket = new FakeSocket();
  const client = new LiveClient({ open: () => socket });
  client.connect();
  socket.accept();
  const me = new MeFeed(client);
  const told: string[] = [];
  me.onTrade(({ order, state }) => told.push(`${order} ${state}`));
  return { me, socket, told };
}
const steps = (me: InstanceType<typeof MeFeed>) => me.trades.map(({ order, state }) => `${order} ${state}`);

test('wallet, battery and orders are there with the snapshot and follow every change', () => {
  const { me, socket } = opened();
  expect([me.ready, me.wallet]).toEqual([false, undefined]);
  expect(socket.got).toEqual([{ op: 'sub', id: 1, topic: 'me' }]);
  socket.snap(1, 'a', { wallet, battery, 'order:anna-2': order('anna-2', 2), 'order:anna-10': order('anna-10', 2) });
  expect(me.ready).toBe(true);
  expect(me.wallet).toEqual(wallet);
  expect(me.battery?.energyWh).toBe(50_000);
  expect(me.orders.map(({ order }) => order)).toEqual(['anna-10', 'anna-2']);
  socket.delta(1, 'a', 'b', { battery: { ...battery, energyWh: 50_015 }, 'order:anna-11': order('anna-11', 3) }, [
    'order:anna-2',
  ]);
  expect(me.battery?.energyWh).toBe(50_015);
  expect(me.orders.map(({ order }) => order)).toEqual(['anna-11', 'anna-10']);
});

test('a trade is told once as it happens, also when its frame comes twice', () => {
  const { me, socket, told } = opened();
  socket.snap(1, 'a', { wallet, battery });
  const held = trade('anna-1', 'held', 5);
  // Two steps of one record: the first does not move the cursor, so that its frame applies again.
  socket.event(1, 'a', 'a', { kind: 'trade', ...held });
  socket.event(1, 'a', 'a', { kind: 'trade', ...held });
  socket.event(1, 'a', 'b', { kind: 'trade', ...trade('anna-2', 'held', 5) });
  expect(told).toEqual(['anna-1 held', 'anna-2 held']);
  expect(steps(me)).toEqual(['anna-2 held', 'anna-1 held']);
});

test('earlier trades come from the history, joined without doubles and told to nobody', async () => {
  history = [trade('anna-2', 'held', 20), trade('anna-1', 'completed', 20), trade('anna-1', 'held', 5)];
  const { me, socket, told } = opened();
  socket.snap(1, 'a', { wallet, battery });
  socket.event(1, 'a', 'b', { kind: 'trade', ...trade('anna-2', 'held', 20) });
  await vi.waitFor(() => expect(steps(me)).toHaveLength(3));
  expect(new Set(steps(me))).toEqual(new Set(['anna-2 held', 'anna-1 completed', 'anna-1 held']));
  expect(steps(me).at(-1)).toBe('anna-1 held');
  expect(told).toEqual(['anna-2 held']);
  expect(asked).toEqual(['/api/trades?limit=50']);
});

test('a snapshot instead of what was missed has the trades in between read', async () => {
  const { me, socket } = opened();
  socket.snap(1, 'a', { wallet, battery });
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  history = [trade('anna-1', 'expired', 9)];
  socket.snap(1, 'k', { wallet, battery });
  await vi.waitFor(() => expect(steps(me)).toEqual(['anna-1 expired']));
});

test('a history that does not answer says so and leaves the account working', async () => {
  history = null;
  const { me, socket } = opened();
  socket.snap(1, 'a', { wallet, battery });
  await vi.waitFor(() => expect(me.tradesRefused?.code).toBe('history_unavailable'));
  expect(me.wallet).toEqual(wallet);
  history = [trade('anna-1', 'held', 5)];
  await me.loadTrades();
  expect(me.tradesRefused).toBeNull();
  expect(steps(me)).toEqual(['anna-1 held']);
});

test('a refusal is kept with its code; a feed that was closed hears nothing more', () => {
  const { me, socket, told } = opened();
  socket.snap(1, 'a', { wallet, battery });
  me.close();
  socket.event(1, 'a', 'b', { kind: 'trade', ...trade('anna-1', 'held', 5) });
  expect(told).toEqual([]);
  const other = opened();
  other.socket.say({ op: 'refuse', id: 1, code: 'role_missing', detail: { right: 'trade' }, now: 0 });
  expect(other.me.refused).toEqual({ ok: false, code: 'role_missing', detail: { right: 'trade' } });
});

test('only the newest trades are kept', () => {
  const { me, socket } = opened();
  socket.snap(1, 'a', { wallet, battery });
  for (let i = 0; i < tradesMax + 7; i++)
    socket.event(1, 'a', 'a', { kind: 'trade', ...trade(`anna-${i}`, 'held', i) });
  expect(me.trades).toHaveLength(tradesMax);
  expect(me.trades[0]?.order).toBe(`anna-${tradesMax + 6}`);
});
