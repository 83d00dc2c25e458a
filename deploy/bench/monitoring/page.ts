/** One browser with the Monitoring page open, and what the page itself sees of its smoothness. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type CDPSession, type Page } from '@playwright/test';
import { treeOf } from './usage.ts';

const readyMs = 90_000;

/** Runs in the page: counts frames as they come and tasks above 50 ms. */
const counters = `
  const fresh = () => ({ frames: 0, longestGapMs: 0, longTasks: 0, longestTaskMs: 0 });
  let seen = fresh();
  let lastAt = performance.now();
  const frame = (at) => {
    seen.frames += 1;
    seen.longestGapMs = Math.max(seen.longestGapMs, at - lastAt);
    lastAt = at;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      seen.longTasks += 1;
      seen.longestTaskMs = Math.max(seen.longestTaskMs, duration);
    }
  }).observe({ type: 'longtask' });
  window.smoothness = { reset: () => void (seen = fresh()), read: () => seen };
`;

export interface Smoothness {
  frames: number;
  longestGapMs: number;
  /** Above 50 ms. */
  longTasks: number;
  longestTaskMs: number;
}

export interface Login {
  email: string;
  password: string;
}

/**
 * Unfolds the tree from its top to its end, since only rows near what is seen are in the document, and returns how many rows
 * its height has room for.
 */
const unfoldAll = `(async () => {
  const tree = document.querySelector('[role=tree]');
  const region = tree.closest('.scroll');
  const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (region.scrollTop = 0; ; await drawn()) {
    const folded = tree.querySelectorAll('[aria-expanded=false] .twist');
    for (const twist of folded) twist.click();
    if (folded.length > 0) continue;
    if (region.scrollTop + region.clientHeight >= region.scrollHeight - 1) break;
    region.scrollTop += region.clientHeight / 2;
  }
  region.scrollTop = 0;
  await drawn();
  const row = tree.querySelector('.charger') ?? tree.querySelector('.row');
  return Math.ceil(tree.offsetHeight / row.offsetHeight);
})()`;

export class MonitoringPage {
  readonly #browser: Browser;
  readonly #page: Page;
  readonly #devtools: CDPSession;
  readonly pid: number;
  /** What the page threw or wrote as an error. */
  readonly problems: string[] = [];

  private constructor(browser: Browser, page: Page, devtools: CDPSession, pid: number) {
    this.#browser = browser;
    this.#page = page;
    this.#devtools = devtools;
    this.pid = pid;
    page.on('pageerror', (error) => this.problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && this.problems.push(message.text()));
  }

  /** Opens it on a site with its charts of the last hour, the tree unfolded down to `nodes` rows and `connectors` listed. */
  static async open(dashboard: string, login: Login, wanted: { site: string; nodes: number; connectors: number }) {
    const before = new Set(treeOf(process.pid));
    const browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: [
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
      ],
    });
    try {
      const pid = treeOf(process.pid).find((one) => !before.has(one));
      if (pid === undefined) throw new Error('the browser is no child of this process');
      const context = await browser.newContext({
        baseURL: dashboard,
        viewport: { width: 1_440, height: 1_160 },
        locale: 'en-GB',
      });
      const page = await context.newPage();
      await page.addInitScript({ content: counters });
      const devtools = await context.newCDPSession(page);
      await devtools.send('Performance.enable');
      const opened = new MonitoringPage(browser, page, devtools, pid);
      await opened.#signIn(login);
      await opened.#show(wanted);
      return opened;
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  /** The user was made a moment ago; until the gateway knows it, it is refused like any stranger. */
  async #signIn(data: Login): Promise<void> {
    const deadline = Date.now() + readyMs;
    for (;;) {
      const answer = await this.#page.request.post('/api/sign-in', { data });
      if (answer.ok()) return;
      if (Date.now() > deadline) throw new Error(`sign-in: ${await answer.text()}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  async #show({ site, nodes, connectors }: { site: string; nodes: number; connectors: number }): Promise<void> {
    const page = this.#page;
    await page.goto(`/monitoring?range=1h&node=${encodeURIComponent(`site:${site}`)}`);
    await page.locator(`table[aria-rowcount="${connectors + 1}"]`).waitFor({ timeout: readyMs });
    const deadline = Date.now() + readyMs;
    for (;;) {
      const rows = await page.evaluate<number>(unfoldAll);
      if (rows >= nodes) break;
      if (Date.now() > deadline) throw new Error(`the tree shows ${rows} of ${nodes} nodes`);
    }
    const load = page.getByRole('region', { name: 'Load', exact: true });
    await load
      .locator('canvas')
      .waitFor({ timeout: readyMs })
      .catch(async () => {
        const said = await load.innerText({ timeout: 5_000 }).catch(() => 'nothing');
        throw new Error(
          `no chart of the load after ${readyMs} ms; its card: ${said}; errors: ${this.problems.join('; ')}`,
        );
      });
    await page.locator('tr[data-connector]').first().scrollIntoViewIfNeeded();
  }

  async reset(): Promise<void> {
    await this.#page.evaluate('smoothness.reset()');
  }
  read(): Promise<Smoothness> {
    return this.#page.evaluate<Smoothness>('smoothness.read()');
  }

  /** MiB of JavaScript objects that are in use: what can be collected is collected first. */
  async heapMib(): Promise<number> {
    await this.#devtools.send('HeapProfiler.collectGarbage');
    const { metrics } = await this.#devtools.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? 0) / 1_048_576;
  }

  /** What the page says of its connection. */
  async connection(): Promise<string> {
    return (await this.#page.locator('.pill').first().innerText()).trim();
  }
  screenshot(path: string): Promise<unknown> {
    return this.#page.screenshot({ path });
  }
  close(): Promise<void> {
    return this.#browser.close();
  }
}

/** The browser of the machine, by name or from the path; nothing is downloaded. */
function chromiumPath(): string {
  const named = process.env['GRIDTICK_CHROMIUM'] || process.env['PLAYWRIGHT_CHROMIUM'];
  const paths = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'));
  return named || (paths.find((path) => existsSync(path)) ?? '/usr/bin/chromium');
}
