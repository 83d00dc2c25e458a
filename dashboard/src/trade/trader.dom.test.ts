import { cleanup, configure, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeExchange, refusedWith } from './fake_exchange.ts';

// The whole page, on a machine that may be busy.
vi.setConfig({ testTimeout: 30_000 });
configure({ asyncUtilTimeout: 5_000 });

// Canvas is the browser's; what is drawn has tests of its own.
vi.mock('../chart/charts.ts', () => ({ LoadPriceChart: () => ({}) }));
vi.hoisted(() => {
  globalThis.matchMedia = ((query: string) => ({
    matches: false,
    media: query,
    addEventListener: () => {},
    removeEventListener: () => {},
  })) as unknown as typeof matchMedia;
  const Observer = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  globalThis.scrollTo = () => {};
  Object.assign(globalThis, { IntersectionObserver: Observer, ResizeObserver: Observer });
});

const { session } = await import('../session.svelte.ts');
const { live, serverClock } = await import('../live/connection.svelte.ts');
const { navigate } = await import('../routes.ts');
const { Router } = await import('sv-router');

let exchange: FakeExchange;
beforeEach(() => {
  exchange = new FakeExchange();
  exchange.install();
  localStorage.clear();
});
afterEach(() => {
  cleanup();
  live.disconnect();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** The whole page of somebody who is signed in, with one money in the account. */
async function opened(availableSek = 100) {
  exchange.wallet.availableE5Sek = availableSek * 100_000;
  await session.check();
  await navigate('/trade');
  render(Router);
  await screen.findByTestId('available');
  await waitFor(() => expect(screen.getByTestId('ticket-price').textContent).toContain('1.00'));
  await waitFor(() => expect(quick(25)).toBeTruthy());
}
const quick = (percent: number) =>
  screen.getByRole('button', { name: new RegExp(`^${percent} % of what is possible`) });
const energy = () => screen.getByLabelText<HTMLInputElement>('Energy');
const type = (kwh: string) => fireEvent.input(energy(), { target: { value: kwh } });
const submit = () => screen.getByRole<HTMLButtonElement>('button', { name: /^(Reserve|Reserving)/ });
const press = (key: string, target: Element = document.body) => fireEvent.keyDown(target, { key });
const available = () => screen.getByTestId('available').textContent?.trim();
const held = () => screen.getByTestId('held').textContent?.trim();
const writes = (end: string) => exchange.heard.filter(({ method, path }) => method === 'POST' && path.endsWith(end));
const reservation = () => screen.findByRole('region', { name: /^Reserved:/ });
/** Time enough for the guard. */
const later = () => vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_000);

async function reserved(kwh = '10') {
  await type(kwh);
  await fireEvent.click(submit());
  return reservation();
}

test('a deposit by button and by typing, with comma or dot, and nothing before the answer', async () => {
  await opened(0);
  await fireEvent.click(screen.getByRole('button', { name: 'Deposit 50 SEK' }));
  await waitFor(() => expect(available()).toBe('50.00SEK'));
  const amount = screen.getByLabelText('Another amount, SEK');
  await fireEvent.input(amount, { target: { value: '12,5' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Deposit' }));
  await waitFor(() => expect(available()).toBe('62.50SEK'));
  expect(writes('/deposit').map(({ body }) => body['amount'])).toEqual(['50.00', '12.50']);
  await fireEvent.input(amount, { target: { value: '1.000,00' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Deposit' }));
  expect(screen.getByText('Leave out marks between thousands.')).toBeTruthy();
  expect(writes('/deposit')).toHaveLength(2);
});

test('reserving holds the money at the price of the slot; committing starts the delivery, with progress', async () => {
  await opened();
  const card = await reserved('10');
  expect(writes('/orders')[0]?.body).toMatchObject({
    side: 'buy',
    station: 'nord-1',
    slot: exchange.slot,
    energyWh: 10_000,
  });
  expect(card.textContent).toMatch(/(01:00|00:5\d).*10\.00SEK.*10\.00kWh.*at 1\.00 SEK\/kWh/s);
  expect([available(), held()]).toEqual(['90.00SEK', '10.00SEK']);

  exchange.tick(300_000);
  await within(card).findByText('Price now 3.00; yours stays');
  await fireEvent.click(within(card).getByRole('button', { name: /^Commit/ }), { detail: 1 });
  const bar = await screen.findByRole('progressbar');
  exchange.deliver('ann-1', 2_500);
  await waitFor(() => expect(bar.getAttribute('aria-valuetext')).toBe('Buy 10.00 kWh: 2.50 of 10.00 kWh delivered'));
  expect(screen.getByTestId('delivered').textContent).toContain('2.50 SEK paid');
  await fireEvent.click(screen.getByRole('button', { name: /^Stop: Buy 10\.00/ }));
  await waitFor(() => expect(available()).toBe('97.50SEK'));
  expect(held()).toBe('0.00SEK');
  expect(screen.getAllByText(/^Stopped: Buy 10\.00 kWh/)).toBeTruthy();
});

test('a reservation that is cancelled gives everything back, one that lapses too and is on offer again', async () => {
  await opened();
  await reserved('10');
  await press('x');
  await waitFor(() => expect(available()).toBe('100.00SEK'));
  expect(writes('/orders/cancel')[0]?.body).toMatchObject({ side: 'buy', order: 'ann-1' });

  await reserved('4');
  exchange.expire('ann-2');
  await screen.findByText('Lapsed, nothing was charged');
  expect(available()).toBe('100.00SEK');
  await fireEvent.click(screen.getByRole('button', { name: 'Offer again: Buy 4.00 kWh' }));
  expect(energy().value).toBe('4.00');
  expect(screen.queryByText('Lapsed, nothing was charged')).toBeNull();
});

test('a double Enter never buys: commit hears no key for 300 ms, and Enter does not commit at all', async () => {
  await opened();
  const still = vi.spyOn(performance, 'now').mockReturnValue(10_000);
  await type('5');
  await fireEvent.submit(screen.getByRole('form', { name: 'Ticket' }));
  const card = await reservation();
  await press('Enter');
  await press('c');
  await fireEvent.click(within(card).getByRole('button', { name: /^Commit/ }), { detail: 0 });
  expect([writes('/orders').length, writes('/orders/commit').length]).toEqual([1, 0]);
  still.mockReturnValue(10_301);
  await press('c');
  await waitFor(() => expect(writes('/orders/commit')).toHaveLength(1));
});

test('b and s choose the side, and no key fires inside the field', async () => {
  await opened();
  await press('s');
  expect(screen.getByRole('button', { name: /^Sell/, pressed: true })).toBeTruthy();
  await press('b', energy());
  expect(screen.getByRole('button', { name: /^Sell/, pressed: true })).toBeTruthy();
  await press('b');
  expect(screen.getByRole('button', { name: /^Buy/, pressed: true })).toBeTruthy();
});

test('an answer that is lost is asked for again with the same id, and is done once', async () => {
  await opened();
  exchange.losing = 1;
  await type('10');
  await fireEvent.click(submit());
  await waitFor(() => expect(writes('/orders')).toHaveLength(2), { timeout: 3_000 });
  expect(new Set(writes('/orders').map(({ body }) => body['id'])).size).toBe(1);
  expect([available(), held()]).toEqual(['90.00SEK', '10.00SEK']);
  expect(exchange.orders.size).toBe(1);
});

test('a refusal changes nothing and is told in words with its code', async () => {
  await opened();
  exchange.instead.set('/orders', refusedWith('station_capped'));
  await type('10');
  await fireEvent.click(submit());
  await screen.findByText(/takes no new purchases/);
  expect(screen.getByText('station_capped')).toBeTruthy();
  expect([available(), energy().value]).toEqual(['100.00SEK', '10']);
});

test('a price that moved is shown before anything is tried again', async () => {
  await opened();
  exchange.slot += 1;
  exchange.priceE5 = 200_000;
  await type('10');
  await fireEvent.click(submit());
  await screen.findByText(/The price has changed/);
  await waitFor(() => expect(screen.getByTestId('ticket-price').textContent).toContain('2.00'));
  expect(screen.getByTestId('ticket-total').textContent).toContain('20.00');
});

test('more than is possible is refused in the field, which names the bound', async () => {
  await opened(20);
  await type('20.001');
  expect(screen.getByText('At most 20.00 kWh for the 20.00 SEK that are available.')).toBeTruthy();
  expect(submit().disabled).toBe(true);
  await press('s');
  await type('30.01');
  expect(screen.getByText(/At most 30\.00 kWh: that is what the battery can give/)).toBeTruthy();
  await fireEvent.click(quick(50));
  expect(energy().value).toBe('15.00');
});

test('a price that lapsed shuts the ticket, and says so', async () => {
  await opened();
  await type('10');
  vi.spyOn(serverClock, 'now').mockReturnValue(exchange.price.validUntil + 3_000);
  await screen.findByText(/The price lapsed 3 s ago/, undefined, { timeout: 3_000 });
  expect(submit().disabled).toBe(true);
  await press('Enter');
  expect(writes('/orders')).toHaveLength(0);
});

test('without a connection the last values stay and nothing can be ordered', async () => {
  await opened();
  const card = await reserved('10');
  vi.stubGlobal(
    'WebSocket',
    class {
      close() {}
    },
  );
  exchange.socket?.drop();
  await screen.findByText(/^Offline: nothing can be ordered/);
  expect(available()).toBe('90.00SEK');
  expect(within(card).getByRole<HTMLButtonElement>('button', { name: /^Commit/ }).disabled).toBe(true);
  later();
  await press('c');
  expect(writes('/orders/commit')).toHaveLength(0);
});

test('several reservations stand; the ticket acts on the newest, the list on any', async () => {
  await opened();
  await reserved('10');
  later();
  await type('5');
  await fireEvent.click(submit());
  await waitFor(() => expect(document.querySelectorAll('li[data-order]')).toHaveLength(2));
  expect((await reservation()).getAttribute('data-order')).toBe('ann-2');
  expect(screen.getByText('2 reservations')).toBeTruthy();
  await fireEvent.click(screen.getByRole('button', { name: 'Cancel: Buy 10.00 kWh' }));
  await waitFor(() => expect(available()).toBe('95.00SEK'));
  later();
  await press('c');
  await waitFor(() => expect(writes('/orders/commit')[0]?.body).toMatchObject({ order: 'ann-2' }));
});

test('who is no customer is told which right is missing, and is not led there', async () => {
  exchange.rights = ['view_site', 'view_charger'];
  await session.check();
  await navigate('/trade');
  render(Router);
  await screen.findByText(/the right to trade on an account of your own/);
  const names = screen.getAllByRole('link').map((link) => link.textContent?.trim());
  expect(names).toContain('Stations');
  expect(names).not.toContain('Trade');
  expect(names).not.toContain('Users');
});
