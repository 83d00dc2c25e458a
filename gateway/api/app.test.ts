import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openApiFile, openApiText } from './openapi_file.ts';
import { inlineScriptHashes } from './security.ts';
import { startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let home: string;
let engineDown = false;
const page =
  '<!doctype html><title>Gridtick</title><script>theme()</script><script type="module" src="/assets/index-Ab12Cd34.js"></script>';

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'gridtick-dashboard-'));
  mkdirSync(join(home, 'assets'));
  writeFileSync(join(home, 'index.html'), page);
  writeFileSync(join(home, 'assets', 'index-Ab12Cd34.js'), 'export {}');
  api = await startTestApi({
    dashboardDir: home,
    probes: {
      engine: async () => {
        if (engineDown) throw new Error('no engine is heard for partitions 3');
      },
    },
  });
});
afterAll(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

test('every page of the dashboard is served, and asked for anew each time', async () => {
  for (const url of ['/', '/stations/nord-1', '/sign-in?next=%2F']) {
    const response = await api.app.inject({ url, headers: { accept: 'text/html' } });
    expect([response.statusCode, response.body]).toEqual([200, page]);
    expect(response.headers['cache-control']).toBe('no-cache');
  }
});

test('built files are kept by the browser for ever', async () => {
  const response = await api.app.inject('/assets/index-Ab12Cd34.js');
  expect(response.headers['content-type']).toContain('javascript');
  expect(response.headers['cache-control']).toContain('immutable');
});

test('only scripts of the built page run', async () => {
  const { headers } = await api.app.inject('/');
  const policy = String(headers['content-security-policy']);
  expect(inlineScriptHashes(page)).toHaveLength(1);
  expect(policy).toContain(`script-src 'self' ${inlineScriptHashes(page)[0]};`);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('upgrade-insecure-requests');
  expect(headers['x-content-type-options']).toBe('nosniff');
});

test('API answers are not cached and carry a correlation id', async () => {
  const { headers } = await api.app.inject({ url: '/api/me', headers: { cookie: await api.cookieOf('operator') } });
  expect(headers['cache-control']).toBe('no-store');
  expect(headers['x-correlation-id']).toMatch(/^[\da-f-]{36}$/);
});

test('it is ready when all its parts are, and names the one that is not', async () => {
  expect((await api.app.inject('/health/live')).statusCode).toBe(200);
  expect((await api.app.inject('/health/ready')).json()).toMatchObject({
    ok: true,
    checks: { nats: { ok: true }, engine: { ok: true } },
  });
  engineDown = true;
  const response = await api.app.inject('/health/ready');
  engineDown = false;
  expect(response.statusCode).toBe(503);
  expect(response.json()).toMatchObject({
    ok: false,
    code: 'starting',
    detail: { checks: { redis: { ok: true }, engine: { ok: false, reason: 'no engine is heard for partitions 3' } } },
  });
});

test('the OpenAPI file is what the routes say', async () => {
  const text = await openApiText();
  // By meaning: the file is formatted like all others.
  expect(JSON.parse(text), 'run: node --import tsx --conditions=source gateway/api/openapi_file.ts').toEqual(
    JSON.parse(readFileSync(openApiFile, 'utf8')),
  );
  const document = JSON.parse(text) as { paths: object; components: { schemas: object } };
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining(['/api/account', '/api/orders', '/api/commands/{id}', '/api/tags/{tag}', '/health/ready']),
  );
  expect(Object.keys(document.components.schemas)).toEqual(
    expect.arrayContaining(['Station', 'Price', 'Refusal', 'LiveDelta', 'Account', 'OrderView', 'BatchReply']),
  );
  expect(text).not.toContain('def-0');
});

test('the documentation page loads under the content policy', async () => {
  const response = await api.app.inject('/api/docs/');
  expect(response.statusCode).toBe(200);
  expect(
    inlineScriptHashes(response.body).filter(
      (hash) => !String(response.headers['content-security-policy']).includes(hash),
    ),
  ).toEqual([]);
});
