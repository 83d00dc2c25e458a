/**
 * A new customer, from the deposit to a sale at three times the price, in a browser against an installation of its own: its
 * chargers are this test's, so the load and with it the price is what the test makes it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from '@playwright/test';
import type { Account, Battery, Trade } from '#gateway/schema/mod';
import { Chargers } from './chargers.ts';
import { startInstallation, type Endpoints } from './installation.ts';
import { expect, expectAccessible, expectReflow, login, pictures, test as base } from './operator.ts';

interface Own {
  own: { endpoints: Endpoints; chargers: Chargers };
}
const test = base.extend<object, Own>({
  own: [
    async ({}, use) => {
      const { file, stop } = await startInstallation(['--no-simulator']);
      const endpoints = JSON.parse(readFileSync(file, 'utf8')) as Endpoints;
      const chargers = new Chargers(endpoints.ocpp);
      await use({ endpoints, chargers });
      chargers.close();
      await stop();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
});
test.describe.configure({ mode: 'serial' });
test.use({ baseURL: async ({ own }, use) => use(own.endpoints.dashboard) });

const oneKr = 100_000;
/** Two slots and a half: what the price of a new load takes at most. */
const priceLimitMs = 45_000;
const screens = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const;

async function signIn(page: Page, { logins }: Endpoints, role: string): Promise<void> {
  const { email, password } = login(role, logins);
  await page.goto('/');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** The API's own view of the account: what the screen says must be this. */
const account = async (page: Page) => (await (await page.request.get('/api/account')).json()) as Account;
const rows = async <T>(page: Page, path: string) =>
  ((await (await page.request.get(path)).json()) as { rows: T[] }).rows;

/** Screen and API agree on the balances, to the öre. */
async function expectBalances(page: Page, availableE5Sek: number, heldE5Sek: number): Promise<void> {
  await expect(page.getByTestId('available')).toHaveText(`${(availableE5Sek / oneKr).toFixed(2)}SEK`);
  await expect(page.getByTestId('held')).toHaveText(`${(heldE5Sek / oneKr).toFixed(2)}SEK`);
  expect(await account(page)).toMatchObject({ availableE5Sek, heldE5Sek });
}
const energy = (page: Page) => page.getByLabel('Energy', { exact: true });
const reserveButton = (page: Page) => page.getByRole('button', { name: /^Reserve: / });
const reservation = (page: Page) => page.getByRole('region', { name: /^Reserved: / });
const order = (page: Page, words: RegExp): Locator =>
  page.getByRole('group', { name: 'Open orders' }).getByRole('listitem').filter({ hasText: words });
const expectPrice = (page: Page, price: string) =>
  expect(page.getByTestId('ticket-price')).toContainText(price, { timeout: priceLimitMs });
const gauge = (page: Page) => page.getByRole('img', { name: /^Battery at/ });

/** On a small desktop all that acts is in view, with a reservation up. */
async function expectNoScrolling(page: Page): Promise<void> {
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.screenshot({ path: join(pictures, 'trader-1280.png'), animations: 'disabled' });
  for (const seen of [page.getByRole('group', { name: 'Open orders' }), gauge(page), reservation(page)]) {
    const box = await seen.boundingBox();
    expect((box?.y ?? Infinity) + (box?.height ?? 0)).toBeLessThanOrEqual(800);
  }
  await page.setViewportSize(screens[0].viewport);
}

async function picturesOf(page: Page, name: string): Promise<void> {
  for (const screen of screens) {
    await page.emulateMedia({ colorScheme: screen.colorScheme });
    await page.setViewportSize(screen.viewport);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expectAccessible(page);
    await page.screenshot({
      path: join(pictures, `${name}-${screen.name}.png`),
      animations: 'disabled',
    });
  }
  await page.setViewportSize({ width: 320, height: 700 });
  await expectReflow(page);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(screens[0].viewport);
}

test('a new customer deposits, buys at ×1 and sells at ×3, and every öre is where it belongs', async ({
  page,
  own,
}) => {
  test.setTimeout(480_000);
  await own.chargers.atLeast(4);
  await signIn(page, own.endpoints, 'customer');
  await expect(page.getByRole('heading', { name: 'Trade', level: 1 })).toBeVisible();

  await test.step('50 kWh and no money', async () => {
    await expectBalances(page, 0, 0);
    await expect(gauge(page)).toHaveAccessibleName('Battery at 50.0 %: 50.000 of 100 kWh, at rest');
    await expectPrice(page, '1.00');
    await expect(page.getByText('No money is available. Deposit first.')).toBeVisible();
  });
  await test.step('a deposit of 100', async () => {
    await page.getByRole('button', { name: 'Deposit 100 SEK' }).click();
    await expectBalances(page, 100 * oneKr, 0);
  });
  await test.step('one reservation lapses: nothing is charged, and it is on offer again', async () => {
    await energy(page).fill('10');
    await expect(page.getByTestId('ticket-total')).toHaveText('10.00SEK');
    await reserveButton(page).click();
    await expect(reservation(page)).toContainText('10.00SEK');
    await expectBalances(page, 90 * oneKr, 10 * oneKr);
    await expectNoScrolling(page);
    await picturesOf(page, 'trader-reserved');
    await expect(page.getByText('Lapsed, nothing was charged')).toBeVisible({ timeout: 90_000 });
    await expectBalances(page, 100 * oneKr, 0);
  });
  await test.step('one is cancelled by key', async () => {
    await page.getByRole('button', { name: 'Offer again: Buy 10.00 kWh' }).click();
    await reserveButton(page).click();
    await expect(reservation(page)).toBeVisible();
    await expectBalances(page, 90 * oneKr, 10 * oneKr);
    await page.keyboard.press('x');
    await expect(reservation(page)).toBeHidden();
    await expectBalances(page, 100 * oneKr, 0);
  });
  await test.step('one is committed; the battery rises at 11 kW, in samples of 5 s', async () => {
    await energy(page).fill('10');
    await energy(page).press('Enter');
    await expect(reservation(page)).toBeVisible();
    // The guard against a double Enter is over.
    await page.waitForTimeout(400);
    await page.keyboard.press('c');
    await expect(order(page, /Buy 10\.00 ?kWh/)).toHaveAttribute('data-state', 'delivering');
    await expect(gauge(page)).toHaveAccessibleName(/charging at 11\.0 kW$/);
    const sampled = async () =>
      (await rows<Battery>(page, '/api/battery?limit=20')).filter(({ powerW }) => powerW === 11_000).reverse();
    await expect.poll(async () => (await sampled()).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(4);
    const samples = await sampled();
    for (const [i, { slot, energyWh }] of samples.entries()) {
      const before = samples[i - 1];
      if (before === undefined) continue;
      expect(slot - before.slot).toBe(1);
      expect([15, 16]).toContain(energyWh - before.energyWh);
    }
    const { heldE5Sek, availableE5Sek, orders } = await account(page);
    expect(availableE5Sek).toBe(90 * oneKr);
    expect(heldE5Sek + (orders[0]?.settledE5Sek ?? 0)).toBe(10 * oneKr);
  });
  await test.step('a sale of 10 kWh at three times the price', async () => {
    await own.chargers.atLeast(13);
    await page.keyboard.press('s');
    await expectPrice(page, '3.00');
    await energy(page).fill('10');
    await expect(page.getByTestId('ticket-total')).toHaveText('30.00SEK');
    await reserveButton(page).click();
    await expect(reservation(page)).toContainText('30.00SEK');
    await reservation(page)
      .getByRole('button', { name: /^Commit/ })
      .click();
    const sale = order(page, /Sell 10\.00 ?kWh/);
    await expect(sale).toHaveAttribute('data-state', 'delivering');
    // What comes in by the purchase goes out by the sale.
    await expect(gauge(page)).toHaveAccessibleName(/at rest$/);
    await expect(sale.getByTestId('delivered')).not.toContainText(/^\s*0\.00 of/, { timeout: 30_000 });
    await picturesOf(page, 'trader');
  });
  await test.step('stopped, what was delivered is settled at its own price and the rest comes back', async () => {
    await page.getByRole('button', { name: /^Stop: Sell 10\.00 kWh/ }).click();
    await expect(order(page, /Sell 10\.00 ?kWh/)).toBeHidden();
    await page.getByRole('button', { name: /^Stop: Buy 10\.00 kWh/ }).click();
    await expect(order(page, /Buy 10\.00 ?kWh/)).toBeHidden();
    const ended = async (side: string) =>
      (await rows<Trade>(page, '/api/trades?limit=50')).find(
        (trade) => trade.side === side && trade.state === 'partial',
      );
    await expect.poll(async () => ((await ended('buy')) && (await ended('sell'))) !== undefined).toBe(true);
    const [bought, sold] = [await ended('buy'), await ended('sell')];
    // 1 Wh at 1.00 SEK/kWh is 100 · 10⁻⁵ SEK.
    expect(bought?.settledE5Sek).toBe((bought?.deliveredWh ?? 0) * 100);
    expect(sold?.settledE5Sek).toBe((sold?.deliveredWh ?? 0) * 300);
    expect(sold?.deliveredWh).toBeGreaterThan(0);
    await expectBalances(page, 100 * oneKr - (bought?.settledE5Sek ?? 0) + (sold?.settledE5Sek ?? 0), 0);
    expect((await account(page)).battery.energyWh).toBe(50_000 + (bought?.deliveredWh ?? 0) - (sold?.deliveredWh ?? 0));
  });
  await test.step('a small order runs to its end', async () => {
    const before = await account(page);
    await page.keyboard.press('b');
    await expectPrice(page, '3.00');
    await energy(page).fill('0,02');
    await reserveButton(page).click();
    await reservation(page)
      .getByRole('button', { name: /^Commit/ })
      .click();
    await expect(page.locator('tr[data-state="completed"]')).toBeVisible({ timeout: 40_000 });
    await expectBalances(page, before.availableE5Sek - 6_000, 0);
    expect((await account(page)).battery.energyWh).toBe(before.battery.energyWh + 20);
  });
  await test.step('the list says what became of each', async () => {
    const states = await page
      .locator('tr[data-trade]')
      .evaluateAll((found) => found.map((row) => row.getAttribute('data-state')));
    expect(states).toEqual(['completed', 'partial', 'partial', 'cancelled', 'expired']);
  });
});

test('on a phone the ticket is a sheet within reach of the thumb', async ({ page, own }) => {
  test.setTimeout(120_000);
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn(page, own.endpoints, 'customer');
  const bar = page.getByRole('button', { name: /^Buy or sell/ });
  await bar.click();
  const sheet = page.getByRole('dialog', { name: 'Ticket' });
  await expect(sheet).toBeFocused();
  await expectPrice(page, '3.00');
  await energy(page).fill('1');
  await reserveButton(page).click();
  await expect(reservation(page)).toBeVisible();
  await expectAccessible(page);
  await page.screenshot({ path: join(pictures, 'trader-sheet-phone.png'), animations: 'disabled' });
  await page.emulateMedia({ colorScheme: 'dark' });
  await expectAccessible(page);
  await page.screenshot({ path: join(pictures, 'trader-sheet-phone-dark.png'), animations: 'disabled' });
  await reservation(page)
    .getByRole('button', { name: /^Cancel/ })
    .click();
  await expect(reservation(page)).toBeHidden();
  await page.keyboard.press('Escape');
  await expect(bar).toBeFocused();
});

test('a customer is led to trading and stations only; users and trades say which right they need', async ({
  page,
  own,
}) => {
  await signIn(page, own.endpoints, 'customer');
  await expect(page.getByRole('heading', { name: 'Trade', level: 1 })).toBeVisible();
  const menu = page.getByRole('navigation', { name: 'Menu' }).getByRole('link');
  await expect(menu).toHaveText(['Gridtick', 'Trade', 'Stations']);
  await menu.getByText('Stations').click();
  await page
    .getByRole('treeitem', { name: /Nord 1/ })
    .getByRole('link')
    .click();
  await expect(page.getByRole('img', { name: /^Load .* of capacity/ })).toBeVisible();
  await expect(page.getByText(/the right to view chargers/)).toBeVisible();
  for (const path of ['/users', '/trades']) {
    await page.goto(path);
    await expect(page.getByText(/the right to view users and customers/)).toBeVisible();
  }
});

test('an administrator sees users and the trades of everybody, and filters them', async ({ page, own }) => {
  test.setTimeout(120_000);
  await signIn(page, own.endpoints, 'admin');
  const menu = page.getByRole('navigation', { name: 'Menu' });
  await menu.getByRole('link', { name: 'Users' }).click();
  await expect(page.getByRole('row', { name: /trader@demo\.local.*Customer.*Active/ })).toBeVisible();
  await picturesOf(page, 'users');
  await menu.getByRole('link', { name: 'Trades' }).click();
  await expect(page.locator('tr[data-state="expired"]')).toBeVisible();
  await picturesOf(page, 'trades');
  await page.getByRole('combobox', { name: 'Customer' }).selectOption({ label: 'Demo customer' });
  await expect(page.getByText('This customer has not placed an order yet.')).toBeVisible();
  expect(new URL(page.url()).searchParams.get('customer')).toBe('customer');
  await page.getByRole('button', { name: 'Show all customers' }).click();
  await expect(page.locator('tr[data-state="completed"]').first()).toBeVisible();
});
