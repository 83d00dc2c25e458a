/** Monitoring against a whole installation: what the screens say is what the API says, in every look. */
import { join } from 'node:path';
import type { Locator, Page } from '@playwright/test';
import type { MessagesReply } from '#gateway/schema/history';
import type { ChargersReply } from '#gateway/schema/mod';
import { expect, expectAccessible, expectReflow, pictures, test } from './operator.ts';

const screens = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1440, height: 1160 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 1160 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const;

const rows = (page: Page) => page.locator('tr[data-connector]');
async function chargers(page: Page): Promise<ChargersReply['chargers']> {
  return ((await (await page.request.get('/api/chargers?limit=1000')).json()) as ChargersReply).chargers;
}
/** One with a car that draws power; the simulated day always has one within a minute. */
async function aBusyCharger(page: Page): Promise<ChargersReply['chargers'][number]> {
  let found: ChargersReply['chargers'][number] | undefined;
  await expect
    .poll(async () => (found = (await chargers(page)).find(({ w, connectors }) => w > 0 && connectors[0]?.at)), {
      timeout: 90_000,
    })
    .toBeTruthy();
  if (!found) throw new Error('nothing charges');
  return found;
}
const chargerPath = (id: string) => `/monitoring/chargers/${encodeURIComponent(id)}`;

/** What has no other sign of being drawn. */
const drawn = (card: Locator) => expect(card.locator('canvas')).toBeVisible({ timeout: 20_000 });

async function picturesOf(page: Page, name: string): Promise<void> {
  for (const screen of screens) {
    await page.emulateMedia({ colorScheme: screen.colorScheme });
    await page.setViewportSize(screen.viewport);
    // On a phone it is the same document, narrower.
    if (screen.name !== 'phone') await expectAccessible(page);
    await page.screenshot({
      path: join(pictures, `${name}-${screen.name}.png`),
      animations: 'disabled',
      fullPage: true,
    });
  }
  for (const width of [320, 390]) {
    await page.setViewportSize({ width, height: 700 });
    await expectReflow(page);
  }
  await page.setViewportSize(screens[0].viewport);
}

test('the site with its load against the limit, and every connector, filtered by what stands in the address', async ({
  operator: page,
}) => {
  test.setTimeout(150_000);
  const all = await chargers(page);
  const connectors = all.flatMap((charger) => charger.connectors);
  await page.goto('/monitoring');
  await expect(page.getByRole('treeitem').first()).toBeVisible();
  await expect(page.getByRole('table').last()).toHaveAttribute('aria-rowcount', String(connectors.length + 1));
  const load = page.getByRole('region', { name: 'Load', exact: true });
  await drawn(load);
  await picturesOf(page, 'monitoring');

  await load.getByRole('button', { name: 'Show as table' }).click();
  await expect(load.getByRole('row').nth(1)).toContainText(/\d+\.\d/);

  const [one] = all;
  await page.keyboard.press('/');
  await page.keyboard.type(one?.charger ?? '');
  await expect(rows(page)).toHaveCount(one?.connectors.length ?? 0);
  expect(new URL(page.url()).searchParams.get('q')).toBe(one?.charger);
  await page.reload();
  await expect(rows(page)).toHaveCount(one?.connectors.length ?? 0);
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await expect(rows(page).nth(1)).toBeVisible();
});

test('a charger: its samples, its session, and a command followed up to what came of it', async ({
  operator: page,
}) => {
  test.setTimeout(150_000);
  const { charger: id, protocol } = await aBusyCharger(page);
  const key = protocol === 'ocpp1.6' ? 'HeartbeatInterval' : 'OCPPCommCtrlr.HeartbeatInterval';
  await page.goto('/monitoring');
  await page.getByRole('searchbox').fill(id);
  await page.getByRole('link', { name: id }).first().click();
  await expect(page.getByRole('heading', { name: id, level: 1 })).toBeVisible();
  const connector = page.getByRole('region', { name: 'Connector 1' });
  await expect(connector).toContainText(/Open session.*kWh/s);
  await expect(connector).toContainText(/Register/, { timeout: 30_000 });

  // Reading changes nothing for the other tests.
  await page.getByLabel('Keys to read').fill(key);
  await page.getByRole('button', { name: 'Read', exact: true }).click();
  const command = page.getByRole('group', { name: 'Commands' }).locator('[data-command]').first();
  await expect(command).toContainText(`Read configuration: ${key}`);
  await expect(command).toHaveAttribute('data-state', /done|failed/, { timeout: 45_000 });
  await expect(command.getByRole('list', { name: /^Steps of/ })).toContainText(/Answered\s*\+\d+\.\d s/);
  await expect(page.getByRole('button', { name: 'Reset the charger' })).toBeDisabled();
  await picturesOf(page, 'charger');
});

test('the messages of a charger are found by what they say, and open as JSON', async ({ operator: page }) => {
  test.setTimeout(150_000);
  const { charger: id } = await aBusyCharger(page);
  const path = `/api/chargers/${encodeURIComponent(id)}/messages?limit=100`;
  const known = async () => ((await (await page.request.get(path)).json()) as MessagesReply).rows;
  await expect.poll(async () => (await known()).length, { timeout: 60_000 }).toBeGreaterThan(3);
  await page.goto(`${chargerPath(id)}/messages`);
  const messages = page.locator('[data-message]');
  await expect(messages.nth(2)).toBeVisible({ timeout: 20_000 });
  await messages.nth(1).getByRole('button').click();
  await expect(page.locator('pre')).toContainText(/[{[]/);
  await picturesOf(page, 'messages');

  await page.getByRole('combobox', { name: 'Action' }).selectOption('BootNotification');
  await expect(messages.filter({ hasNotText: 'BootNotification' })).toHaveCount(0);
  await expect(messages.first()).toBeVisible();
  await page.getByRole('button', { name: 'To charger' }).click();
  await expect(messages.and(page.locator('[data-type="call"]'))).toHaveCount(0);
  expect(new URL(page.url()).searchParams.get('direction')).toBe('out');
});
