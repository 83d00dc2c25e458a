import { afterEach, expect, test, vi } from 'vitest';
import { pageChanged } from './page_version.ts';

afterEach(() => void vi.unstubAllGlobals());
const serves = (text: string, status = 200) => vi.stubGlobal('fetch', async () => new Response(text, { status }));
const page = (program: string) =>
  `<!doctype html><head><link rel="modulepreload" href="/assets/x.js"><script type="module" crossorigin src="${program}"></script></head>`;

test('a page with another program is another version', async () => {
  serves(page('/assets/index-B2.js'));
  expect(await pageChanged('/assets/index-A1.js')).toBe(true);
  expect(await pageChanged('/assets/index-B2.js')).toBe(false);
});

test('while nobody says what the page is, it counts as the same', async () => {
  serves('{"ok":false,"code":"overloaded"}', 503);
  expect(await pageChanged('/assets/index-A1.js')).toBe(false);
  serves(page('/assets/index-B2.js'), 503);
  expect(await pageChanged('/assets/index-A1.js')).toBe(false);
  serves(page('/assets/index-B2.js'));
  expect(await pageChanged(null)).toBe(false);
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('network')));
  expect(await pageChanged('/assets/index-A1.js')).toBe(false);
});
