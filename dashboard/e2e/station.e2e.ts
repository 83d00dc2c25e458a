import type { Page } from '@playwright/test';
import { expect, openStation, test, waitForNextPrice } from './operator.ts';

/** As the page writes prices. */
const sek = (e5: number) => (e5 / 100_000).toFixed(2);

const priceCells = (page: Page, slot: number) => page.locator(`[data-slot="${slot}"] td`);

test('gauge, price and price rows are what the API says', async ({ operator: page, station, api }) => {
  await openStation(page, station);
  // The page and the API are asked at two moments; within one slot both must come to agree.
  await expect(async () => {
    const { station: now } = await api.station(station.id);
    const gauge = await page.getByRole('img', { name: /^Load .* of capacity/ }).getAttribute('aria-label');
    expect(gauge).toContain(`${(now.liveW / 1_000).toFixed(1)} kW of ${(now.capacityW / 1_000).toFixed(1)} kW`);
    expect(now.priceE5SekPerKwh).not.toBeNull();
    await expect(page.getByTestId('price-now')).toContainText(sek(now.priceE5SekPerKwh as number), { timeout: 500 });
  }).toPass({ timeout: 20_000 });

  for (const price of await api.prices(station.id, 3)) {
    const cells = priceCells(page, price.slot);
    await expect(cells.nth(1)).toContainText(sek(price.priceE5SekPerKwh));
    await expect(cells.nth(2)).toContainText(price.tier === 'capped' ? 'curtailing' : price.tier);
    await expect(cells.nth(3)).toHaveText((price.loadW / 1_000).toFixed(1));
  }
});

test('every connector of the API has a row with its state', async ({ operator: page, station, api }) => {
  await openStation(page, station);
  const { connectors } = await api.station(station.id);
  await expect(page.locator('[data-connector]')).toHaveCount(connectors.length);
});

test('the next price appears by itself, without a reload, and none is missing between', async ({
  operator: page,
  station,
  api,
}) => {
  await openStation(page, station);
  const slot = await waitForNextPrice(page);
  const [price] = (await api.prices(station.id, 2)).filter((p) => p.slot === slot);
  expect(price).toBeDefined();
  await expect(priceCells(page, slot).nth(1)).toContainText(sek(price?.priceE5SekPerKwh as number));
  const shown = await page
    .locator('[data-slot]')
    .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-slot'))));
  expect(new Set(shown).size).toBe(shown.length);
  expect(shown).toEqual(
    (await api.prices(station.id, 300))
      .map((p) => p.slot)
      .reverse()
      .slice(0, shown.length),
  );
});

test('pause stops everything that moves, and says so', async ({ operator: page, station }) => {
  await openStation(page, station);
  await page.keyboard.press('p');
  await expect(page.getByText(/^Paused at/)).toBeVisible();
  const gauge = page.getByRole('img', { name: /^Load .* of capacity/ });
  const before = await gauge.getAttribute('aria-label');
  const age = await page.locator('[data-slot] .age').first().textContent();
  await page.waitForTimeout(2_500);
  expect(await gauge.getAttribute('aria-label')).toBe(before);
  expect(await page.locator('[data-slot] .age').first().textContent()).toBe(age);
  await page.getByRole('button', { name: 'Resume' }).first().click();
  await expect(page.locator('[data-slot] .age').first()).not.toHaveText(age as string);
});

test('the chart draws within its card and can be read as a table', async ({ operator: page, station, api }) => {
  await openStation(page, station);
  await expect(page.getByRole('img', { name: /^Load between/ })).toBeVisible();
  await expect(page.locator('canvas')).toBeVisible();
  await page.getByRole('button', { name: 'Show as table' }).click();
  const [newest] = (await api.prices(station.id, 1)).slice(-1);
  await expect(page.getByRole('group', { name: 'Load and price' })).toContainText(
    sek(newest?.priceE5SekPerKwh as number),
  );
});

test('a station that does not exist says so, with the code and a reference to quote', async ({ operator: page }) => {
  await page.goto('/stations/nowhere');
  const alert = page.getByRole('alert').first();
  await expect(alert).toContainText('There is no such station.');
  await expect(alert).toContainText('unknown_station');
  await expect(alert.getByText(/[0-9a-f]{8}-[0-9a-f]{4}/)).toBeVisible();
});

test('who lacks the right is told which one', async ({ operator: page, station }) => {
  // The demo has nobody without rights; the server's refusal is given as it would be.
  const refusal = { ok: false, code: 'role_missing', detail: { right: 'view_station' }, correlation: 'c-1' };
  await page.route('**/api/stations/**', (route) => route.fulfill({ status: 403, json: refusal }));
  await page.goto(`/stations/${station.id}`);
  await expect(page.getByText('You may not see this').first()).toBeVisible();
  await expect(page.getByText(/the right to view stations/).first()).toBeVisible();
});

test('history that cannot be read is named while the rest stays live', async ({ operator: page, station }) => {
  const refusal = { ok: false, code: 'history_unavailable', correlation: 'c-2' };
  await page.route('**/prices?*', (route) => route.fulfill({ status: 503, json: refusal }));
  await page.goto(`/stations/${station.id}`);
  await expect(page.getByText('Older prices could not be loaded').first()).toBeVisible();
  await expect(page.getByRole('img', { name: /^Load .* of capacity/ })).toBeVisible();
  await page.unroute('**/prices?*');
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await expect(page.getByText('Older prices could not be loaded')).toHaveCount(0);
});
