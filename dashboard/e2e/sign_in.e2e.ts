import { expect, expectAccessible, login, signIn, test } from './operator.ts';

test('a wrong password is refused with one neutral sentence, the right one leads to the page asked for', async ({
  page,
}) => {
  await page.goto('/stations/nord-1');
  await page.getByLabel('E-mail').fill(login().email);
  await page.getByLabel('Password', { exact: true }).fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toHaveText('E-mail or password is wrong.');
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused();

  await signIn(page);
  await expect(page.locator('.pill')).toContainText('live');
  expect(new URL(page.url()).pathname).toBe('/stations/nord-1');
});

test('signing in and finding a station needs no mouse', async ({ page }) => {
  const { email, password } = login();
  await page.goto('/');
  await expect(page.getByLabel('E-mail')).toBeFocused();
  await page.keyboard.type(email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');

  const tree = page.getByRole('tree');
  await expect(tree).toBeVisible();
  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await page.keyboard.press('Tab');
  const current = page.locator('[role=treeitem]:focus');
  await expect(current).toHaveAttribute('aria-level', '1');
  await page.keyboard.press('ArrowLeft');
  await expect(current).toHaveAttribute('aria-expanded', 'false');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  await expect(current).toHaveAttribute('aria-level', '2');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/stations\/.+/);

  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await expect(tree).toBeVisible();
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
});

test('signing out ends the page at once, also in another tab', async ({ operator, context }) => {
  await operator.goto('/stations');
  await expect(operator.getByRole('tree')).toBeVisible();
  const other = await context.newPage();
  await other.goto('/stations');
  await expect(other.getByRole('tree')).toBeVisible();
  await operator.getByRole('button', { name: /Settings and sign-out/ }).click();
  await operator.getByRole('button', { name: 'Sign out' }).click();
  await expect(operator.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await expect(other.getByText('You were signed out. Sign in to go on where you were.')).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the sign-in page is accessible in ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.goto('/');
    await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
    await expectAccessible(page);
  });
}
