import type { Page, WebSocketRoute } from '@playwright/test';
import { expect, openStation, test, waitForNextPrice } from './operator.ts';

interface Line {
  /** Frames of the server for which this is true are not let through. */
  withhold: (frame: { op: string }) => boolean;
  /** `sub` frames the page sent, over all its sockets. */
  subscriptions: { topic: string; cursor?: string }[];
  cut(): Promise<void>;
}

/** Stands between the page and the real server: withholds frames, cuts the line. */
async function tap(page: Page): Promise<Line> {
  let current: WebSocketRoute | null = null;
  const line: Line = { withhold: () => false, subscriptions: [], cut: async () => current?.close({ code: 4000 }) };
  await page.routeWebSocket('**/live', (socket) => {
    current = socket;
    const server = socket.connectToServer();
    socket.onMessage((text) => {
      const frame = JSON.parse(String(text)) as { op: string; topic: string; cursor?: string };
      if (frame.op === 'sub') line.subscriptions.push(frame);
      server.send(text);
    });
    server.onMessage((text) => {
      if (!line.withhold(JSON.parse(String(text)) as { op: string })) socket.send(text);
    });
  });
  return line;
}

test('without a network the last values stay, greyed, and all of it comes back by itself', async ({
  operator: page,
  station,
  context,
}) => {
  await openStation(page, station);
  await context.setOffline(true);
  await expect(page.locator('.pill')).toContainText('offline');
  await expect(page.getByText(/^Offline since/)).toBeVisible();
  await expect(page.getByTestId('price-now')).toBeVisible();
  await expect(page.locator('section.offline')).not.toHaveCount(0);

  await context.setOffline(false);
  await expect(page.locator('.pill')).toContainText(/caught up|live/i, { timeout: 15_000 });
  await expect(page.getByText(/^Offline since/)).toBeHidden();
  await expect(page.locator('section.offline')).toHaveCount(0);
  await waitForNextPrice(page);
});

test('a line that was cut resumes from the cursor, and no price is missing or double', async ({
  operator: page,
  station,
  api,
}) => {
  const line = await tap(page);
  await openStation(page, station);
  await line.cut();
  await expect.poll(() => line.subscriptions.length, { timeout: 15_000 }).toBeGreaterThan(1);
  expect(line.subscriptions.at(-1)?.cursor).toBeTruthy();
  await waitForNextPrice(page);
  const shown = await page
    .locator('[data-slot]')
    .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-slot'))));
  expect(shown).toEqual(
    (await api.prices(station.id, 300))
      .map((p) => p.slot)
      .reverse()
      .slice(0, shown.length),
  );
});

test('a change that was lost on the way is noticed and asked for again', async ({ operator: page, station }) => {
  const line = await tap(page);
  await openStation(page, station);
  let lost = 0;
  line.withhold = ({ op }) => op === 'delta' && lost++ === 0;
  await expect.poll(() => line.subscriptions.length, { timeout: 20_000 }).toBe(2);
  expect(line.subscriptions[1]).toMatchObject({ topic: `station:${station.id}` });
  expect(line.subscriptions[1]?.cursor).toBeTruthy();
  await expect(page.locator('.pill')).toContainText('live');
});

test('a price that is not followed by another is shown as stale, by itself', async ({ operator: page, station }) => {
  const line = await tap(page);
  await openStation(page, station);
  line.withhold = ({ op }) => ['delta', 'event', 'snap'].includes(op);
  await expect(page.locator('section.stale').first()).toBeVisible({ timeout: 40_000 });
  await expect(page.locator('section.stale').first()).toContainText(/\d+ s ago/);
  await expect(page.getByText('lapsed')).toBeVisible();
});
