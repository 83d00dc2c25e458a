import { join } from 'node:path';
import { expect, expectAccessible, expectReflow, openStation, pictures, test } from './operator.ts';

const screens = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1440, height: 1160 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 1160 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const;

for (const { name, colorScheme, viewport } of screens) {
  test(`stations and a station are accessible: ${name}`, async ({ operator: page, station }) => {
    // The first price may take half a minute, and two audits and two pictures are work: on a busy machine more than 45 s.
    test.setTimeout(150_000);
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.goto('/stations');
    await expect(page.getByRole('treeitem').first()).toBeVisible();
    await expectAccessible(page);
    await page.screenshot({ path: join(pictures, `stations-${name}.png`) });

    await openStation(page, station);
    await expect(page.locator('canvas')).toBeVisible();
    await expectAccessible(page);
    await page.screenshot({ path: join(pictures, `station-${name}.png`), fullPage: viewport.width < 768 });
  });
}

for (const width of [320, 390])
  test(`at ${width} px nothing is cut off and nothing scrolls sideways`, async ({ operator: page, station }) => {
    await page.setViewportSize({ width, height: 700 });
    for (const open of [async () => void (await page.goto('/stations')), () => openStation(page, station)]) {
      await open();
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      await expectReflow(page);
    }
  });

test('the theme is chosen once and kept, before the first paint of the next visit', async ({
  operator: page,
  station,
}) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await openStation(page, station);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(await background()).toBe('rgb(246, 247, 249)');
  await page.getByRole('button', { name: /Settings and sign-out/ }).click();
  await page.getByRole('button', { name: 'Dark', exact: true }).click();
  await expect.poll(background).toBe('rgb(12, 17, 22)');
  await page.goto('/stations', { waitUntil: 'commit' });
  await page.waitForFunction(() => document.documentElement.dataset.theme !== undefined);
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
});

test('nothing on the way breaks the content policy or throws', async ({ operator: page, station }) => {
  const problems: string[] = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto('/stations');
  await expect(page.getByRole('tree')).toBeVisible();
  await openStation(page, station);
  await expect(page.locator('canvas')).toBeVisible();
  expect(problems).toEqual([]);
});
