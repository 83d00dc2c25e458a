/** Bad input to the writing routes: a typed error each, and nothing changes, in the domain or in what is remembered of it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { refusals, type RefusalCode } from '#actors/refusals';
import type { BatchReply } from '../schema/commands.ts';
import { startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let cookies: Record<'customer' | 'admin', string>;

beforeAll(async () => {
  api = await startTestApi();
  cookies = { customer: await api.cookieOf('customer'), admin: await api.cookieOf('admin') };
  await send('POST', '/api/account/deposit', { id: 'used:1', amount: '100' });
  await send('POST', '/api/orders', { id: 'used:2', side: 'buy', station: 'nord-1', slot: null, energyWh: 1_000 });
  await send('POST', '/api/orders/cancel', { id: 'used:3', side: 'buy', order: null });
});
afterAll(() => api.close());

const send = (method: 'POST' | 'PUT' | 'GET', url: string, payload?: unknown, as: 'customer' | 'admin' = 'customer') =>
  api.app.inject({
    method,
    url,
    headers: { cookie: cookies[as], 'content-type': 'application/json' },
    ...(payload === undefined ? {} : { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) }),
  });

let id: string;
beforeEach(() => {
  id = randomUUID();
});

type Case = [name: string, request: () => [url: string, body: unknown], code: RefusalCode];
const deposit = (name: string, amount: unknown, code: RefusalCode = 'bad_amount'): Case => [
  `a deposit of ${name}`,
  () => ['/api/account/deposit', { id, amount }],
  code,
];
const order = (name: string, changes: object, code: RefusalCode): Case => [
  `an order with ${name}`,
  () => ['/api/orders', { id, side: 'buy', station: 'nord-1', slot: null, energyWh: 1_000, ...changes }],
  code,
];
const withId = (name: string, bad: unknown): Case => [
  `an id that is ${name}`,
  () => ['/api/account/deposit', { id: bad, amount: '1' }],
  'bad_request',
];
const pick = (name: string, body: object, code: RefusalCode, what = 'commit'): Case => [
  `a ${what} of ${name}`,
  () => [`/api/orders/${what}`, { id, side: 'buy', order: null, ...body }],
  code,
];
const batch = (name: string, commands: () => unknown, code: RefusalCode = 'bad_request'): Case => [
  `a batch ${name}`,
  () => ['/api/commands', { commands: commands() }],
  code,
];
const one = (changes: object = {}) => ({
  id: randomUUID(),
  type: 'customer.deposit',
  body: { amount: '1' },
  ...changes,
});

const cases: Case[] = [
  deposit('nothing', ''),
  deposit('zero', '0'),
  deposit('zero with decimals', '0.00'),
  deposit('a negative amount', '-5'),
  deposit('an amount with a plus', '+5'),
  deposit('three decimals', '0.001'),
  deposit('an exponent', '1e9'),
  deposit('NaN', 'NaN'),
  deposit('infinity', 'Infinity'),
  deposit('a comma', '1,00'),
  deposit('a space', ' 1'),
  deposit('more than 10⁹', '1000000000.01'),
  deposit('a thousand digits', '9'.repeat(1_000)),
  deposit('a number', 100),
  deposit('a negative number', -1),
  deposit('null', null),
  deposit('a list', ['1']),
  ['a deposit without an amount', () => ['/api/account/deposit', { id }], 'bad_request'],
  [
    'a deposit for somebody else',
    () => ['/api/account/deposit', { id, amount: '1', customer: 'trader' }],
    'bad_request',
  ],
  ['a deposit in integers of our own', () => ['/api/account/deposit', { id, amountE5Sek: 1 }], 'bad_request'],
  [
    'a withdrawal of more than there is',
    () => ['/api/account/withdraw', { id, amount: '100.01' }],
    'insufficient_funds',
  ],
  ['a withdrawal of nothing', () => ['/api/account/withdraw', { id, amount: '0.0' }], 'bad_amount'],
  ['a deposit without an id', () => ['/api/account/deposit', { amount: '1' }], 'bad_request'],
  withId('empty', ''),
  withId('null', null),
  withId('a number', 7),
  withId('no UUID', '6f1c2c9e-4c0b-4b7e-9a51'),
  withId('of our own series', '=open:2'),
  withId('a series with leading zero', 'used:01'),
  withId('a series that begins at 0', 'used:0'),
  withId('a series with a line break', 'used\n:1'),
  withId('endless', `${'a'.repeat(65)}:1`),
  [
    'an id that was used with another amount',
    () => ['/api/account/deposit', { id: 'used:1', amount: '99' }],
    'id_conflict',
  ],
  [
    'an id that was used for another command',
    () => ['/api/account/withdraw', { id: 'used:1', amount: '100' }],
    'id_conflict',
  ],
  ['an id of a series with a gap', () => ['/api/account/deposit', { id: 'used:9', amount: '1' }], 'series_gap'],
  order('an unknown station', { station: 'nope' }, 'unknown_station'),
  order('a station that is a number', { station: 7 }, 'bad_request'),
  order('a price that is long gone', { slot: 1 }, 'price_moved'),
  order('a price of the future', { slot: 4_000_000_000 }, 'price_moved'),
  order('a slot that is text', { slot: '1' }, 'bad_request'),
  order('a negative slot', { slot: -1 }, 'bad_request'),
  order('a price of its own', { priceE5SekPerKwh: 1 }, 'bad_request'),
  order('no energy', { energyWh: 0 }, 'bad_request'),
  order('negative energy', { energyWh: -1_000 }, 'bad_request'),
  order('half a Wh', { energyWh: 0.5 }, 'bad_request'),
  order('more energy than a GWh', { energyWh: 1_000_000_001 }, 'bad_request'),
  order('energy as text', { energyWh: '1000' }, 'bad_request'),
  order('more than the battery takes', { energyWh: 50_001 }, 'battery_full'),
  order('more to sell than is above the floor', { side: 'sell', energyWh: 30_001 }, 'battery_low'),
  order('a side that is none', { side: 'give' }, 'bad_request'),
  pick('nothing that is held', {}, 'nothing_pending'),
  pick('an order that has ended', { order: 'customer-1' }, 'order_ended'),
  pick('an order of somebody else', { order: 'trader-1' }, 'unknown_order'),
  pick('an order that never was', { order: 'customer-77' }, 'unknown_order'),
  pick('an order that is empty', { order: '' }, 'bad_request'),
  pick('nothing that is held', { side: 'sell' }, 'nothing_pending', 'cancel'),
  ['a stop of an order that never was', () => ['/api/orders/stop', { id, order: 'customer-99' }], 'unknown_order'],
  ['a stop without an order', () => ['/api/orders/stop', { id, order: null }], 'bad_request'],
  batch('of none', () => []),
  batch('of 65', () => Array.from({ length: 65 }, () => one())),
  batch('that is no list', () => one()),
  batch('with an unknown type', () => [one(), one({ type: 'customer.open' })]),
  batch('with a command of admins', () => [one({ type: 'customer.credit', body: { limitE5Sek: 1 } })]),
  batch('with a command of our own', () => [one({ type: 'account.post' })]),
  batch('with a type of the object prototype', () => [one({ type: 'constructor' })]),
  batch('with a bad id', () => [one(), one({ id: 'x' })]),
  batch('addressed to somebody else', () => [one({ to: { kind: 'customer', key: 'trader', id: 'trader' } })]),
  batch('whose body is text', () => [one({ body: 'amount=1' })]),
  batch('of more than 64 KiB', () => [one({ body: { amount: '1'.repeat(70_000) } })], 'too_large'),
  [
    'a deposit of more than 16 KiB',
    () => ['/api/account/deposit', { id, amount: '1', x: 'x'.repeat(17_000) }],
    'too_large',
  ],
  [
    'prototype poisoning',
    () => ['/api/account/deposit', `{"id":"used:4","amount":"1","__proto__":{"x":1}}`],
    'bad_request',
  ],
  ['broken JSON', () => ['/api/account/deposit', '{"id":'], 'bad_request'],
];

/** All that could have changed. */
const state = () => api.door.images();

test.each(cases)('%s', async (_name, request, code) => {
  const before = state();
  const [url, body] = request();
  const response = await send('POST', url, body);
  expect(response.json()).toMatchObject({ ok: false, code });
  expect(response.statusCode).toBe(refusals[code].status);
  expect(state()).toBe(before);
});

const adminCases: [name: string, url: string, body: object, code: RefusalCode][] = [
  ['a negative limit of credit', '/api/customers/customer/credit', { limit: '-1' }, 'bad_amount'],
  ['a limit of credit with three decimals', '/api/customers/customer/credit', { limit: '0.001' }, 'bad_amount'],
  ['a limit of credit that is a number', '/api/customers/customer/credit', { limit: 5 }, 'bad_amount'],
  ['credit for nobody', '/api/customers/nobody/credit', { limit: '1' }, 'unknown_customer'],
  ['credit for the object prototype', '/api/customers/__proto__/credit', { limit: '1' }, 'unknown_customer'],
  ['a tag for nobody', '/api/tags/TAG-1', { customer: 'nobody' }, 'unknown_customer'],
  ['a tag without a customer', '/api/tags/TAG-1', {}, 'bad_request'],
  ['a tag in a state there is none', '/api/tags/TAG-1', { customer: null, status: 'Maybe' }, 'bad_request'],
  ['a tag with a line break', '/api/tags/TAG%0A1', { customer: null }, 'bad_request'],
];
test.each(adminCases)('an admin sends %s', async (_name, url, body, code) => {
  const before = state();
  const response = await send('PUT', url, { id, ...body }, 'admin');
  expect(response.json()).toMatchObject({ ok: false, code });
  expect(response.statusCode).toBe(refusals[code].status);
  expect(state()).toBe(before);
});

test.each([
  ['/api/commands/x', 'bad_request'],
  [`/api/commands/${'a'.repeat(200)}`, 'bad_request'],
  ['/api/stations/nope/quote', 'unknown_station'],
  ['/api/trades?limit=0', 'bad_request'],
  ['/api/trades?limit=1001', 'bad_request'],
  ['/api/trades?cursor=made-up', 'bad_request'],
  ['/api/trades?from=5&to=5', 'bad_request'],
  ['/api/trades?all=yes', 'bad_request'],
  ['/api/ledger?customer=trader', 'role_missing'],
  ["/api/battery?customer=customer'%20OR%201=1", 'role_missing'],
  ['/api/battery?from=yesterday', 'bad_request'],
] as const)('GET %s → %s', async (url, code) => {
  const before = state();
  const response = await send('GET', url);
  expect(response.json()).toMatchObject({ ok: false, code });
  expect(response.statusCode).toBe(refusals[code].status);
  expect(state()).toBe(before);
});

test('bad bodies inside a batch are refused one by one, the good one is applied', async () => {
  const before = api.door.state('customer')?.sek.available as number;
  const bodies: [body: object, type: string, code: RefusalCode][] = [
    [{ amount: 1 }, 'customer.deposit', 'bad_amount'],
    [{ amount: '0' }, 'customer.withdraw', 'bad_amount'],
    [{ amountE5Sek: 5 }, 'customer.deposit', 'bad_request'],
    [{ id: 'x:1', amount: '1' }, 'customer.deposit', 'bad_request'],
    [{ station: 'nord-1', energyWh: 1 }, 'order.buy', 'bad_request'],
    [{ side: 'buy' }, 'order.commit', 'bad_request'],
    [{ order: 7 }, 'order.stop', 'bad_request'],
  ];
  const commands = [...bodies.map(([body, type]) => one({ type, body })), one()];
  const { results } = (await send('POST', '/api/commands', { commands })).json<BatchReply>();
  expect(results.map(({ code }) => code)).toEqual([...bodies.map(([, , code]) => code), undefined]);
  expect(results.at(-1)).toMatchObject({ ok: true });
  expect(api.door.state('customer')?.sek.available).toBe(before + 100_000);
});

test('the price of the slot before the newest is taken for 3 s, then it has moved; without new slots all are stale', async () => {
  const quote = (await send('GET', '/api/stations/nord-1/quote')).json<{ slot: number }>();
  const buy = async () =>
    (
      await send('POST', '/api/orders', {
        id: randomUUID(),
        side: 'buy',
        station: 'nord-1',
        slot: quote.slot,
        energyWh: 10,
      })
    ).json<{ code?: string; order?: string }>();
  const toBorder = 12_000 - (api.door.world.now % 12_000);
  api.door.advance(toBorder + 3_000);
  expect((await buy()).order).toMatch(/^customer-/);
  api.door.advance(1);
  const before = state();
  expect(await buy()).toMatchObject({ code: 'price_moved' });
  expect(state()).toBe(before);

  // No slot is produced any more, as if the partition of the site were away.
  for (const partition of api.door.world.partitions) partition.slotsDue.clear();
  api.door.advance(24_001);
  const later = state();
  expect(await buy()).toMatchObject({ code: 'quote_stale' });
  expect((await send('GET', '/api/stations/nord-1/quote')).json()).toMatchObject({ code: 'quote_stale' });
  expect(state()).toBe(later);
});

test('a write from another origin, or without a sign-in, changes nothing', async () => {
  const before = state();
  const payload = { id, amount: '1' };
  const foreign = await api.app.inject({
    method: 'POST',
    url: '/api/account/deposit',
    payload,
    headers: { cookie: cookies.customer, origin: 'http://evil.example' },
  });
  expect(foreign.json()).toMatchObject({ code: 'bad_origin' });
  const unknown = await api.app.inject({ method: 'POST', url: '/api/account/deposit', payload });
  expect(unknown.json()).toMatchObject({ code: 'signed_out' });
  expect(state()).toBe(before);
});
