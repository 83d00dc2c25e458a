/** What every browser test begins with: the addresses, somebody signed in, and the API's own view of things. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';
import type { PricesReply, SitesReply, StationReply } from '#gateway/schema/mod';
import { endpoints } from './installation.ts';

export const login = (role = 'operator', logins = endpoints().logins) => {
  const found = logins.findLast((one) => one.role === role);
  if (!found) throw new Error(`this installation has no demo ${role}`);
  return found;
};

/** Where pictures are kept after the run, to be looked at. */
export const pictures = join(import.meta.dirname, '../../test-results/pictures');
mkdirSync(pictures, { recursive: true });

export async function signIn(page: Page): Promise<void> {
  const { email, password } = login();
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

interface Fixtures {
  /** Signed in by cookie, so that only the tests of the form go through it. */
  operator: Page;
  /** The first station of the installation. */
  station: { id: string; name: string };
  api: {
    station(id: string): Promise<StationReply>;
    prices(id: string, limit: number): Promise<PricesReply['prices']>;
  };
}

export const test = base.extend<Fixtures>({
  baseURL: async ({}, use) => use(endpoints().dashboard),
  operator: async ({ page }, use) => {
    const { email, password } = login();
    const answer = await page.request.post('/api/sign-in', { data: { email, password } });
    expect(answer.ok(), await answer.text()).toBe(true);
    await use(page);
  },
  station: async ({ operator }, use) => {
    const { sites } = (await (await operator.request.get('/api/sites')).json()) as SitesReply;
    const first = sites.flatMap(({ stations }) => stations)[0];
    if (!first) throw new Error('this installation has no station');
    await use({ id: first.station, name: first.name });
  },
  api: async ({ operator }, use) => {
    const get = async <T>(path: string) => (await (await operator.request.get(path)).json()) as T;
    await use({
      station: (id) => get<StationReply>(`/api/stations/${encodeURIComponent(id)}`),
      prices: async (id, limit) =>
        (await get<PricesReply>(`/api/stations/${encodeURIComponent(id)}/prices?limit=${limit}`)).prices,
    });
  },
});
export { expect };

/** Opens the station's page and waits until it is live with a price. */
export async function openStation(page: Page, { id, name }: { id: string; name: string }): Promise<void> {
  await page.goto(`/stations/${encodeURIComponent(id)}`);
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
  await expect(page.locator('[data-slot]').first()).toBeVisible({ timeout: 30_000 });
  await expect(page.locator('.pill')).toContainText('live');
}

/** No violation of WCAG 2.2 A and AA. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
    .analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  expect(found).toEqual([]);
}

/** Nothing is cut off and nothing scrolls sideways; tables drop columns instead. */
export async function expectReflow(page: Page): Promise<void> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide).toBe(0);
  const cut = await page
    .locator('.scroll')
    .evaluateAll((regions) =>
      regions.map((region) => region.scrollWidth - region.clientWidth).filter((over) => over > 0),
    );
  expect(cut).toEqual([]);
}

/** A newer price than `slot` is in the table; takes a slot at most. */
export async function waitForNextPrice(page: Page): Promise<number> {
  const newest = async () => Number(await page.locator('[data-slot]').first().getAttribute('data-slot'));
  const before = await newest();
  await expect.poll(newest, { timeout: 20_000 }).toBeGreaterThan(before);
  return newest();
}
