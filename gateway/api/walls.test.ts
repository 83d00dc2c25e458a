/**
 * Nobody gets through a wall: every route there is, asked by two customers, an operator and an admin. The routes are those
 * that were registered; one that is not in the table fails the first test.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RefusalCode } from '#actors/refusals';
import { startTestApi, type TestApi } from './testing.ts';

type Who = 'customer' | 'trader' | 'operator' | 'admin' | 'nobody';
const everyone: Who[] = ['customer', 'trader', 'operator', 'admin', 'nobody'];

/** What each gets: 200, or the code of the refusal; who is not named gets `role_missing`, nobody `signed_out`. */
type Expected = Partial<Record<Who, 200 | RefusalCode>>;
const all: Expected = { customer: 200, trader: 200, operator: 200, admin: 200 };
const anyone: Expected = { ...all, nobody: 200 };
const customers: Expected = { customer: 200, trader: 200 };
const staff: Expected = { operator: 200, admin: 200 };
const admins: Expected = { admin: 200 };

interface Ask {
  expected: Expected;
  url: string;
  body?: () => object;
}
const id = () => randomUUID();

/** By method and pattern: the requests that are made of it. */
const table: Record<string, Ask[]> = {
  'GET /health/live': [{ url: '/health/live', expected: anyone }],
  'GET /health/ready': [{ url: '/health/ready', expected: anyone }],
  'POST /api/sign-in': [
    { url: '/api/sign-in', body: () => ({ email: 'a@b.c', password: 'x' }), expected: everyoneGets('wrong_password') },
  ],
  'GET /api/me': [{ url: '/api/me', expected: all }],
  'GET /api/sites': [{ url: '/api/sites', expected: all }],
  'GET /api/stations/:id': [{ url: '/api/stations/nord-1', expected: all }],
  'GET /api/stations/:id/prices': [{ url: '/api/stations/nord-1/prices', expected: all }],
  'GET /api/chargers': [{ url: '/api/chargers', expected: staff }],
  'GET /api/loads': [{ url: '/api/loads?node=nord-1&from=0&to=1', expected: staff }],
  'GET /api/consumption': [{ url: '/api/consumption?site=demo&from=0&to=1&step=hour', expected: staff }],
  'GET /api/sessions': [{ url: '/api/sessions', expected: staff }],
  // Of the replica's chargers the domain behind the door knows none.
  'GET /api/chargers/:id/commands': [{ url: '/api/chargers/CP-0001/commands', expected: staff }],
  'POST /api/chargers/:id/commands': [
    {
      url: '/api/chargers/CP-0001/commands',
      body: () => ({ id: id(), kind: 'charger.reset', mode: 'soft' }),
      expected: { operator: 'unknown_charger', admin: 'unknown_charger' },
    },
  ],
  'POST /api/chargers/:id/commands/:command/cancel': [
    {
      url: `/api/chargers/CP-0001/commands/c/cancel`,
      body: () => ({ id: id() }),
      expected: { operator: 'unknown_entity', admin: 'unknown_entity' },
    },
  ],
  'GET /api/chargers/:id/messages': [{ url: '/api/chargers/CP-0001/messages', expected: staff }],
  'GET /api/account': [{ url: '/api/account', expected: customers }],
  'GET /api/stations/:id/quote': [{ url: '/api/stations/nord-1/quote', expected: customers }],
  'POST /api/account/deposit': [
    { url: '/api/account/deposit', body: () => ({ id: id(), amount: '0.01' }), expected: customers },
  ],
  'POST /api/account/withdraw': [
    { url: '/api/account/withdraw', body: () => ({ id: id(), amount: '0.01' }), expected: customers },
  ],
  'POST /api/orders': [
    {
      url: '/api/orders',
      body: () => ({ id: id(), side: 'sell', station: 'nord-1', slot: null, energyWh: 1 }),
      expected: customers,
    },
  ],
  // The order of the one is none of the other.
  'POST /api/orders/commit': [
    {
      url: '/api/orders/commit',
      body: () => ({ id: id(), side: 'buy', order: 'trader-1' }),
      expected: { customer: 'unknown_order', trader: 200 },
    },
  ],
  'POST /api/orders/cancel': [
    {
      url: '/api/orders/cancel',
      body: () => ({ id: id(), side: 'buy', order: 'customer-2' }),
      expected: { customer: 200, trader: 'unknown_order' },
    },
  ],
  'POST /api/orders/stop': [
    {
      url: '/api/orders/stop',
      body: () => ({ id: id(), order: 'trader-1' }),
      expected: { customer: 'unknown_order', trader: 200 },
    },
  ],
  'POST /api/commands': [
    {
      url: '/api/commands',
      body: () => ({ commands: [{ id: id(), type: 'customer.deposit', body: { amount: '0.01' } }] }),
      expected: customers,
    },
  ],
  'GET /api/commands/:id': [{ url: '/api/commands/deposits:1', expected: all }],
  ...Object.fromEntries(
    ['trades', 'ledger', 'battery'].map((records) => [
      `GET /api/${records}`,
      [
        { url: `/api/${records}`, expected: { ...customers, admin: 'bad_request' as const } },
        { url: `/api/${records}?customer=trader`, expected: { trader: 200 as const, admin: 200 as const } },
        { url: `/api/${records}?customer=customer`, expected: { customer: 200 as const, admin: 200 as const } },
        { url: `/api/${records}?all=true`, expected: admins },
      ],
    ]),
  ),
  'GET /api/audit/entities/:kind/:id': [
    { url: '/api/audit/entities/customer/trader', expected: admins },
    { url: '/api/audit/entities/customer/nobody?at=0:1', expected: { admin: 'unknown_entity' } },
    { url: '/api/audit/entities/customer/trader?at=yesterday', expected: { admin: 'bad_request' } },
  ],
  'GET /api/audit/dead-letters': [{ url: '/api/audit/dead-letters', expected: admins }],
  'GET /api/audit/dead-letters/:letter': [
    { url: '/api/audit/dead-letters/0:1:0', expected: admins },
    { url: '/api/audit/dead-letters/0:2:0', expected: { admin: 'unknown_letter' } },
  ],
  'POST /api/audit/dead-letters/:letter/retry': [
    { url: '/api/audit/dead-letters/0:1:0/retry', expected: { admin: 'not_retryable' } },
  ],
  'POST /api/audit/dead-letters/:letter/discard': [
    { url: '/api/audit/dead-letters/0:1:0/discard', expected: { admin: 'letter_settled' } },
  ],
  'GET /api/users': [{ url: '/api/users', expected: admins }],
  'GET /api/customers': [{ url: '/api/customers', expected: admins }],
  'PUT /api/customers/:id/credit': ['customer', 'trader'].map((of) => ({
    url: `/api/customers/${of}/credit`,
    body: () => ({ id: id(), limit: '1' }),
    expected: admins,
  })),
  'PUT /api/tags/:tag': [{ url: '/api/tags/TAG-1', body: () => ({ id: id(), customer: null }), expected: admins }],
  // Of the replica's own session the domain behind the door knows nothing.
  'POST /api/sessions/:transaction/close': [
    {
      url: '/api/sessions/7/close',
      body: () => ({ id: id() }),
      expected: { operator: 'unknown_entity', admin: 'unknown_entity' },
    },
  ],
  // Last: it ends the sign-in that the others need.
  'POST /api/sign-out': [{ url: '/api/sign-out', expected: all }],
};

function everyoneGets(code: RefusalCode): Expected {
  return Object.fromEntries(everyone.map((who) => [who, code]));
}

/** The pages that describe the API: for everybody, and about nobody. */
const aboutNobody = /^GET \/api\/docs(\/|$)/;

const registered = new Set<string>();
let api: TestApi;
const cookies = new Map<Who, string>();
/** What would give the other customer away, in whatever field it came. */
const secrets = { customer: ['1234567', 'customer-', '…g-1'], trader: ['7654321', 'trader-', '…g-2'] } as const;

beforeAll(async () => {
  api = await startTestApi({
    onRoute: ({ method, url }) => {
      for (const one of [method].flat()) if (one !== 'HEAD') registered.add(`${one} ${url}`);
    },
  });
  for (const who of everyone) if (who !== 'nobody') cookies.set(who, await api.cookieOf(who));
  const put = (method: 'POST' | 'PUT', url: string, payload: object, as: Who) =>
    api.app.inject({ method, url, payload, headers: { cookie: cookies.get(as) as string } });
  for (const [who, amount, tag] of [
    ['customer', '1234567.89', 'TAG-1'],
    ['trader', '7654321.98', 'TAG-2'],
  ] as const) {
    expect((await put('POST', '/api/account/deposit', { id: 'deposits:1', amount }, who)).statusCode).toBe(200);
    for (let n = 0; n < 2; n++) {
      const body = { id: id(), side: 'buy', station: 'nord-1', slot: null, energyWh: 100 };
      expect((await put('POST', '/api/orders', body, who)).statusCode).toBe(200);
    }
    expect((await put('PUT', `/api/tags/${tag}`, { id: id(), customer: who }, 'admin')).statusCode).toBe(200);
  }
  api.door.advance(5_000);
});
afterAll(() => api.close());

test('every registered route is asked', () => {
  expect([...registered].filter((route) => !aboutNobody.test(route)).sort()).toEqual(Object.keys(table).sort());
});

describe.each(Object.entries(table))('%s', (route, asks) => {
  const method = route.split(' ')[0] as 'GET' | 'POST' | 'PUT';
  test.each(asks.flatMap(({ expected, ...ask }) => everyone.map((who) => ({ ...ask, who, expected: expected[who] }))))(
    '$who asks $url',
    async ({ who, url, body, expected = who === 'nobody' ? 'signed_out' : 'role_missing' }) => {
      const before = api.door.images();
      const response = await api.app.inject({
        method,
        url,
        ...(body && { payload: body() }),
        headers: { cookie: cookies.get(who) ?? '' },
      });
      const got = response.statusCode === 200 ? 200 : response.json<{ code: string }>().code;
      expect(got).toBe(expected);
      if (got !== 200) expect(api.door.images()).toBe(before);
      if (who !== 'admin') {
        for (const [owner, words] of Object.entries(secrets))
          // A refusal may repeat what was asked for.
          if (owner !== who && got === 200) for (const word of words) expect(response.body).not.toContain(word);
      }
      // Whatever was done, it was done to one's own account.
      for (const owner of ['customer', 'trader'])
        if (who !== 'admin' && who !== owner) expect(imageOf(owner, api.door.images())).toBe(imageOf(owner, before));
    },
  );
});

/** That customer's state, as text. */
function imageOf(customer: string, images: string): string {
  const found = (JSON.parse(images) as [string, unknown][][]).flat().find(([name]) => name === `customer|${customer}`);
  if (found === undefined) throw new Error(`${customer} has no account`);
  return JSON.stringify(found);
}

test('what must not be seen by others is seen by its owner', async () => {
  for (const who of ['customer', 'trader'] as const) {
    const cookie = await api.cookieOf(who);
    const [account, trades] = await Promise.all(
      ['/api/account', '/api/trades'].map((url) => api.app.inject({ url, headers: { cookie } })),
    );
    for (const word of secrets[who]) expect(`${account?.body}${trades?.body}`).toContain(word);
  }
});

test('what an operator sees tells nothing of wallets, and no other route does', async () => {
  const cookie = await api.cookieOf('operator');
  const me = await api.app.inject({ url: '/api/me', headers: { cookie } });
  expect(me.json<{ rights: string[] }>().rights).not.toEqual(expect.arrayContaining(['view_people']));
  for (const url of ['/api/account', '/api/customers', '/api/ledger?customer=customer', '/api/trades?all=true']) {
    const response = await api.app.inject({ url, headers: { cookie } });
    expect([url, response.statusCode]).toEqual([url, 403]);
  }
});
