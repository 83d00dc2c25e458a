/** What a customer does by HTTP, decided by the real domain. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HeldReply, OrderReply, QuoteReply } from '#actors/schema/customer_commands';
import type { Account } from '../schema/commands.ts';
import type { CustomersReply, LedgerEntry, UsersReply } from '../schema/records.ts';
import { password, startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let cookie: string;
beforeEach(async () => {
  api = await startTestApi();
  cookie = await api.cookieOf('customer');
});
afterEach(() => api.close());

const get = (url: string, as = cookie) => api.app.inject({ url, headers: { cookie: as } });
const account = async (as = cookie) => (await get('/api/account', as)).json<Account>();
const write = (method: 'POST' | 'PUT', url: string, body: object, as = cookie) =>
  api.app.inject({ method, url, payload: { id: randomUUID(), ...body }, headers: { cookie: as } });
const post = (url: string, body: object, as = cookie) => write('POST', url, body, as);
const hold = (side: 'buy' | 'sell', energyWh: number) =>
  post('/api/orders', { side, station: 'nord-1', slot: null, energyWh });

test('the first sign-in of a customer opens the account: 0 SEK and half a battery; the next one changes nothing', async () => {
  const signIn = () =>
    api.app.inject({ method: 'POST', url: '/api/sign-in', payload: { email: 'trader@demo.local', password } });
  expect(api.door.state('trader')).toBeUndefined();
  expect((await signIn()).statusCode).toBe(200);
  const opened = api.door.state('trader');
  expect(opened).toMatchObject({ name: 'trader', sek: { available: 0, pending: 0 } });
  const trader = await api.cookieOf('trader');
  await post('/api/account/deposit', { amount: '5' }, trader);
  expect((await signIn()).statusCode).toBe(200);
  expect(await account(trader)).toMatchObject({
    customer: 'trader',
    availableE5Sek: 500_000,
    battery: { energyWh: 50_000, capacityWh: 100_000, levelBp: 5_000, powerW: 0 },
  });
  expect(api.door.received.filter(({ type }) => type === 'customer.open')).toHaveLength(1);
});

test('an operator who signs in gets no account', async () => {
  await api.app.inject({ method: 'POST', url: '/api/sign-in', payload: { email: 'operator@demo.local', password } });
  expect(api.door.received).toEqual([]);
});

test('a sign-in succeeds while accounts cannot be opened; the first use opens it then', async () => {
  api.door.refusal = 'unavailable';
  const signedIn = await api.app.inject({
    method: 'POST',
    url: '/api/sign-in',
    payload: { email: 'customer@demo.local', password },
  });
  expect(signedIn.statusCode).toBe(200);
  const closed = await get('/api/account');
  expect([closed.statusCode, closed.json<{ code: string }>().code]).toEqual([503, 'unavailable']);
  api.door.refusal = null;
  expect(await account()).toMatchObject({ availableE5Sek: 0, battery: { energyWh: 50_000 } });
});

test('deposit 100, buy 10 kWh at ×1, commit: 90 SEK are left when it is paid, the battery rises at 11 kW', async () => {
  const deposited = await post('/api/account/deposit', { amount: '100.00' });
  expect(deposited.json()).toEqual({ availableE5Sek: 10_000_000, heldE5Sek: 0, creditLimitE5Sek: 0 });
  expect(deposited.headers['gridtick-at']).toMatch(/^\d+:\d+$/);

  const quote = (await get('/api/stations/nord-1/quote')).json<QuoteReply>();
  expect(quote).toMatchObject({ station: 'nord-1', tier: 'normal', buyE5SekPerKwh: 100_000, sellE5SekPerKwh: 100_000 });

  const held = (
    await post('/api/orders', { side: 'buy', station: 'nord-1', slot: quote.slot, energyWh: 10_000 })
  ).json<HeldReply>();
  expect(held).toMatchObject({ side: 'buy', energyWh: 10_000, priceE5SekPerKwh: 100_000, amountE5Sek: 1_000_000 });
  expect(await account()).toMatchObject({
    availableE5Sek: 9_000_000,
    heldE5Sek: 1_000_000,
    orders: [
      { order: held.order, state: 'held', amountE5Sek: 1_000_000, expiresAt: held.expiresAt, committedAt: null },
    ],
  });

  const committed = (await post('/api/orders/commit', { side: 'buy', order: null })).json<OrderReply>();
  expect(committed).toMatchObject({ order: held.order, state: 'delivering', deliveredWh: 0 });
  expect((await account()).battery.powerW).toBe(11_000);

  // 10 kWh at 11 kW are 54.5 min.
  api.door.advance(55 * 60_000);
  const after = await account();
  expect(after).toMatchObject({ availableE5Sek: 9_000_000, heldE5Sek: 0, orders: [] });
  expect(after.battery).toMatchObject({ energyWh: 60_000, powerW: 0 });
});

test('a held order is cancelled, another one expires after 60 s; all the money comes back', async () => {
  await post('/api/account/deposit', { amount: '50' });
  const first = (await hold('buy', 2_000)).json<HeldReply>();
  await hold('buy', 3_000);
  const cancelled = (await post('/api/orders/cancel', { side: 'buy', order: first.order })).json<OrderReply>();
  expect(cancelled).toMatchObject({ order: first.order, state: 'cancelled', settledE5Sek: 0 });
  expect(await account()).toMatchObject({ availableE5Sek: 4_700_000, heldE5Sek: 300_000 });
  api.door.advance(60_001);
  expect(await account()).toMatchObject({ availableE5Sek: 5_000_000, heldE5Sek: 0, orders: [] });
});

test('a sale that is stopped on the way pays for what has flowed', async () => {
  const held = (await hold('sell', 10_000)).json<HeldReply>();
  await post('/api/orders/commit', { side: 'sell', order: held.order });
  api.door.advance(6 * 60_000);
  const stopped = (await post('/api/orders/stop', { order: held.order })).json<OrderReply>();
  expect(stopped).toMatchObject({ state: 'partial', deliveredWh: 1_100, settledE5Sek: 110_000 });
  expect(await account()).toMatchObject({ availableE5Sek: 110_000, orders: [], battery: { energyWh: 48_900 } });
});

test('what was written is shown by the next read, also when the live state is late', async () => {
  await account();
  api.door.shows = false;
  await post('/api/account/deposit', { amount: '1' });
  const reading = account();
  await new Promise((resolve) => setImmediate(resolve));
  api.door.showNow();
  expect((await reading).availableE5Sek).toBe(100_000);
});

test('a live state that stays behind is waited for a second, not for ever', async () => {
  await account();
  api.door.shows = false;
  await post('/api/account/deposit', { amount: '1' });
  const startedAt = performance.now();
  expect((await account()).availableE5Sek).toBe(0);
  const tookMs = performance.now() - startedAt;
  expect(tookMs).toBeGreaterThan(950);
  expect(tookMs).toBeLessThan(10_000);
});

test('trades, postings and samples are one’s own, in pages; an admin sees those of one customer or of all', async () => {
  const trader = await api.cookieOf('trader');
  await post('/api/account/deposit', { amount: '10' });
  await post('/api/account/deposit', { amount: '20' }, trader);
  await hold('buy', 2_000);
  const trades = (await get('/api/trades')).json<{ rows: { customer: string; state: string }[] }>();
  expect(trades.rows).toMatchObject([{ customer: 'customer', state: 'held' }]);
  const first = (await get('/api/ledger?limit=1')).json<{ rows: LedgerEntry[]; cursor: string | null }>();
  expect(first.rows).toMatchObject([{ customer: 'customer', kind: 'hold', ledger: 'SEK' }]);
  const rest = (await get(`/api/ledger?limit=100&cursor=${first.cursor}`)).json<{ rows: LedgerEntry[] }>();
  expect(new Set(rest.rows.map(({ customer }) => customer))).toEqual(new Set(['customer']));
  expect(rest.rows.some(({ kind, amount }) => kind === 'deposit' && amount === 1_000_000)).toBe(true);

  const admin = await api.cookieOf('admin');
  const ledgerOf = async (query: string) =>
    (await get(`/api/ledger?${query}`, admin)).json<{ rows: LedgerEntry[] }>().rows.map(({ customer }) => customer);
  expect(new Set(await ledgerOf('customer=trader'))).toEqual(new Set(['trader']));
  expect(new Set(await ledgerOf('all=true'))).toEqual(new Set(['customer', 'trader']));
  expect((await get('/api/battery')).json()).toMatchObject({ rows: [], cursor: null });
});

test('an admin lists users and customers in pages, without a password hash', async () => {
  const admin = await api.cookieOf('admin');
  await account();
  await account(await api.cookieOf('trader'));
  const users = (await get('/api/users?limit=3', admin)).json<UsersReply>();
  expect(users.users.map(({ user }) => user)).toEqual(['admin', 'customer', 'operator']);
  expect(users.next).toBe('operator');
  const last = await get('/api/users?limit=3&after=operator', admin);
  expect(last.json<UsersReply>()).toMatchObject({
    users: [{ user: 'trader', email: 'trader@demo.local', roles: ['customer'], state: 'active' }],
    next: null,
  });
  expect(last.body).not.toContain('scrypt');
  const customers = (await get('/api/customers', admin)).json<CustomersReply>();
  expect(customers.customers).toMatchObject([
    { customer: 'customer', availableE5Sek: 0, energyWh: 50_000, credit: 'empty' },
    { customer: 'trader', openOrders: 0 },
  ]);
});

test('an admin sets a limit of credit and says who pays for a tag', async () => {
  const admin = await api.cookieOf('admin');
  await account();
  const limited = await write('PUT', '/api/customers/customer/credit', { limit: '20' }, admin);
  expect(limited.json()).toMatchObject({ creditLimitE5Sek: 2_000_000 });
  expect((await hold('buy', 20_000)).statusCode).toBe(200);
  expect(await account()).toMatchObject({ availableE5Sek: -2_000_000, creditLimitE5Sek: 2_000_000 });

  const tagged = await write('PUT', '/api/tags/Tag-1', { customer: 'customer' }, admin);
  expect(tagged.json()).toEqual({ tag: 'tag-1' });
  api.door.advance(0);
  expect((await account()).tags).toEqual(['…g-1']);
  await write('PUT', '/api/tags/TAG-1', { customer: null, status: 'Blocked' }, admin);
  api.door.advance(0);
  expect((await account()).tags).toEqual([]);
});

test('sending too many commands is refused per user, with the time to wait; a batch counts what it holds', async () => {
  const strict = await startTestApi({ commandsPerMinute: 5 });
  const as = { cookie: await strict.cookieOf('customer') };
  const deposits = (n: number) =>
    Array.from({ length: n }, () => ({ id: randomUUID(), type: 'customer.deposit', body: { amount: '1' } }));
  const batch = (n: number, headers = as) =>
    strict.app.inject({ method: 'POST', url: '/api/commands', payload: { commands: deposits(n) }, headers });
  expect((await batch(4)).statusCode).toBe(200);
  const refused = await batch(2);
  const other = await batch(4, { cookie: await strict.cookieOf('trader') });
  const balance = strict.door.state('customer')?.sek.available;
  await strict.close();
  expect(refused.statusCode).toBe(429);
  expect(refused.json()).toMatchObject({
    code: 'rate_limited',
    detail: { retryAfterMs: expect.any(Number) as number },
  });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(balance).toBe(400_000);
  expect(other.statusCode).toBe(200);
});
