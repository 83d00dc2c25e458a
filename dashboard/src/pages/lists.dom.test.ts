import { cleanup, configure, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

vi.setConfig({ testTimeout: 30_000 });
configure({ asyncUtilTimeout: 5_000 });
vi.hoisted(() => {
  const Observer = class {
    observe() {}
    disconnect() {}
  };
  Object.assign(globalThis, { IntersectionObserver: Observer, scrollTo: () => {} });
});
const { default: Trades } = await import('./Trades.svelte');
const { default: Users } = await import('./Users.svelte');

type Answer = { status: number; body: Record<string, unknown> };
/** By path without the query; a function sees the query. */
let answers: Record<string, Answer | ((query: URLSearchParams) => Answer)>;
let asked: string[];
beforeEach(() => {
  asked = [];
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    const [route = '', query] = path.split('?');
    const answer = answers[route];
    const { status, body } = (typeof answer === 'function' ? answer(new URLSearchParams(query)) : answer) ?? {
      status: 404,
      body: { ok: false, code: 'not_found', correlation: 'c' },
    };
    return new Response(JSON.stringify(body), { status });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  history.replaceState(null, '', '/');
});

const refused = (code: string, status: number, detail = {}): Answer => ({
  status,
  body: { ok: false, code, detail, correlation: 'c-7' },
});
const user = (id: string, name: string) => ({
  ...{ user: id, name, email: `${id}@demo.local`, roles: ['customer', 'admin'], state: 'active', createdAt: 1 },
});
const trade = (n: number, customer = 'ann') => ({
  ...{ customer, order: `${customer}-${n}`, side: 'buy', state: 'completed', at: n, site: 'demo', station: 'nord-1' },
  ...{ slot: 1, energyWh: 10_000, priceE5SekPerKwh: 300_000, amountE5Sek: 3_000_000, deliveredWh: 10_000 },
  ...{ settledE5Sek: 3_000_000, expiresAt: 2 },
});
const page = (rows: unknown[], cursor: string | null): Answer => ({ status: 200, body: { now: 0, rows, cursor } });
const customers = { status: 200, body: { now: 0, customers: [{ customer: 'ann', name: 'Ann' }], next: null } };
const trades = () => [...document.querySelectorAll('[data-trade]')].map((row) => row.getAttribute('data-trade'));

test('users are read page by page, with roles and state in words, and can be filtered', async () => {
  answers = {
    '/api/users': (query) =>
      query.get('after') === null
        ? { status: 200, body: { now: 0, users: [user('ann', 'Ann')], next: 'ann' } }
        : { status: 200, body: { now: 0, users: [user('bob', 'Bob')], next: null } },
  };
  render(Users);
  const row = await screen.findByRole('row', { name: /Ann/ });
  expect(row.textContent).toMatch(/ann@demo\.local.*Customer, Administrator.*Active/s);
  await fireEvent.click(screen.getByRole('button', { name: 'Show more' }));
  await screen.findByRole('row', { name: /Bob/ });
  expect(asked.at(-1)).toBe('/api/users?after=ann&limit=200');
  await fireEvent.input(screen.getByRole('searchbox'), { target: { value: 'nobody' } });
  expect(screen.getByText(/Nobody matches “nobody”/)).toBeTruthy();
});

test('who may not see users is told which right is missing', async () => {
  answers = { '/api/users': refused('role_missing', 403, { right: 'view_people' }) };
  render(Users);
  await screen.findByText(/the right to view users and customers/);
});

test('trades of everybody, page by page by cursor, under the names of the customers', async () => {
  answers = {
    '/api/customers': customers,
    '/api/trades': (query) => (query.get('cursor') === null ? page([trade(2)], 'k') : page([trade(1)], null)),
  };
  render(Trades);
  await screen.findByText('Ann', { selector: 'td' });
  await fireEvent.click(screen.getByRole('button', { name: 'Show older trades' }));
  await waitFor(() => expect(trades()).toEqual(['ann-2', 'ann-1']));
  expect(asked).toContain('/api/trades?all=true&limit=100&cursor=k');
  expect(screen.queryByRole('button', { name: 'Show older trades' })).toBeNull();
});

test('the customer that is chosen stands in the address and is asked for', async () => {
  answers = {
    '/api/customers': customers,
    '/api/trades': (query) => (query.get('customer') === null ? page([trade(3, 'bob')], null) : page([], null)),
  };
  render(Trades);
  await screen.findByRole('option', { name: 'Ann' });
  await fireEvent.change(screen.getByLabelText('Customer'), { target: { value: 'ann' } });
  await screen.findByText('This customer has not placed an order yet.');
  expect(location.search).toBe('?customer=ann');
  await fireEvent.click(screen.getByRole('button', { name: 'Show all customers' }));
  await waitFor(() => expect(trades()).toEqual(['bob-3']));
});

test('a history that does not answer is an error with its code; names that do not come are named as missing', async () => {
  answers = { '/api/customers': refused('starting', 503), '/api/trades': refused('history_unavailable', 503) };
  render(Trades);
  await screen.findByText('history_unavailable');
  answers['/api/trades'] = page([trade(1)], null);
  await fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  await screen.findByText('Names of customers could not be loaded');
  expect(trades()).toEqual(['ann-1']);
});
