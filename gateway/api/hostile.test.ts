/** Bad input over HTTP and the live socket: a typed error each, and nothing changes. */
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusals, type RefusalCode } from '#actors/refusals';
import type { Refusal } from '../schema/refusal.ts';
import { refusedUpgrade, startTestApi, TestScreen, type TestApi } from './testing.ts';

let api: TestApi;
let cookie: string;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'gridtick-dashboard-'));
  const dashboardDir = join(home, 'dashboard');
  mkdirSync(join(dashboardDir, 'assets'), { recursive: true });
  writeFileSync(join(home, 'secret.txt'), 'secret');
  writeFileSync(join(dashboardDir, '.env'), 'secret');
  writeFileSync(
    join(dashboardDir, 'index.html'),
    '<!doctype html><script>theme()</script><script type="module" src="/assets/a.js"></script>',
  );
  api = await startTestApi({ dashboardDir });
  cookie = await api.cookieOf('operator');
});
afterAll(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

/** All that bad input could have changed. */
const state = async () =>
  JSON.stringify([
    (await api.redis.keys('*')).filter((key) => !/^(rate:|lockout:)/.test(key)).sort(),
    api.replica.position(0),
    [...api.replica.all('charger')],
  ]);

interface Case {
  name: string;
  method?: string;
  path: string;
  body?: string | Buffer;
  headers?: Record<string, string>;
  code: RefusalCode;
  signedIn?: boolean;
}
const json = { 'content-type': 'application/json' };
const signIn = (
  name: string,
  body: string,
  code: RefusalCode = 'bad_request',
  headers: Record<string, string> = json,
): Case => ({ name, method: 'POST', path: '/api/sign-in', body, headers, code });
const read = (path: string, code: RefusalCode): Case => ({
  name: `GET ${path.slice(0, 60)}`,
  path,
  code,
  signedIn: true,
});

const cases: Case[] = [
  { name: 'no cookie', path: '/api/me', code: 'signed_out' },
  { name: 'no cookie, chargers', path: '/api/chargers', code: 'signed_out' },
  { name: 'a made-up cookie', path: '/api/me', headers: { cookie: `gridtick=${'A'.repeat(43)}` }, code: 'signed_out' },
  { name: 'a cookie that is a Redis pattern', path: '/api/me', headers: { cookie: 'gridtick=*' }, code: 'signed_out' },
  {
    name: 'an endless cookie',
    path: '/api/me',
    headers: { cookie: `gridtick=${'A'.repeat(8_000)}` },
    code: 'signed_out',
  },
  { name: 'headers without end', path: '/api/me', headers: { x: 'A'.repeat(20_000) }, code: 'too_large' },
  {
    name: 'sign-in from another origin',
    method: 'POST',
    path: '/api/sign-in',
    body: '{"email":"a@b","password":"x"}',
    headers: { ...json, origin: 'http://evil.example' },
    code: 'bad_origin',
  },
  {
    name: 'sign-out from another origin',
    method: 'POST',
    path: '/api/sign-out',
    headers: { origin: 'null' },
    code: 'bad_origin',
    signedIn: true,
  },
  { name: 'sign-out without a sign-in', method: 'POST', path: '/api/sign-out', code: 'signed_out' },
  signIn('broken JSON', '{"email":'),
  signIn('an empty body', ''),
  signIn('an array', '[]'),
  signIn('null', 'null'),
  signIn('a number for an e-mail', '{"email":7,"password":"x"}'),
  signIn('no password', '{"email":"a@b"}'),
  signIn('an unknown field', '{"email":"a@b.c","password":"x","admin":true}'),
  signIn('prototype poisoning', '{"email":"a@b.c","password":"x","__proto__":{"roles":["admin"]}}'),
  signIn('a password of 1,025 characters', JSON.stringify({ email: 'a@b.c', password: 'x'.repeat(1_025) })),
  signIn('a body over 16 KiB', JSON.stringify({ email: 'a@b.c', password: 'x'.repeat(20_000) }), 'too_large'),
  signIn('a form', 'email=a&password=b', 'bad_request', { 'content-type': 'application/x-www-form-urlencoded' }),
  signIn('text', 'hello', 'bad_request', { 'content-type': 'text/plain' }),
  signIn('a wrong password', '{"email":"operator@demo.local","password":"no"}', 'wrong_password'),
  { name: 'GET where only POST is', path: '/api/sign-in', code: 'not_found' },
  { name: 'DELETE of a station', method: 'DELETE', path: '/api/stations/nord-1', code: 'not_found', signedIn: true },
  {
    name: 'PUT of chargers',
    method: 'PUT',
    path: '/api/chargers',
    body: '{}',
    headers: json,
    code: 'not_found',
    signedIn: true,
  },
  { name: 'TRACE', method: 'OPTIONS', path: '/api/me', code: 'not_found', signedIn: true },
  read('/api/nothing', 'not_found'),
  read('/api/', 'not_found'),
  read('/api/stations/nope', 'unknown_station'),
  read('/api/stations/__proto__', 'unknown_station'),
  read('/api/stations/%00', 'bad_request'),
  read(`/api/stations/${'x'.repeat(200)}`, 'bad_request'),
  read(`/api/stations/${'x'.repeat(500)}`, 'not_found'),
  read('/api/stations/%zz', 'bad_request'),
  read('/api/stations/nope/prices', 'unknown_station'),
  read('/api/stations/nord-1/prices?limit=5001', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=0', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=-1', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=1e3', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=99999999999999999999', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=', 'bad_request'),
  read('/api/stations/nord-1/prices?limit=1&limit=2', 'bad_request'),
  read('/api/stations/nord-1/prices?from=yesterday', 'bad_request'),
  read('/api/stations/nord-1/prices?from=-1', 'bad_request'),
  read('/api/stations/nord-1/prices?to=99999999999999', 'bad_request'),
  read('/api/stations/nord-1/prices?from=10&to=10', 'bad_request'),
  read('/api/stations/nord-1/prices?station=other', 'bad_request'),
  read('/api/chargers?site=nope', 'unknown_site'),
  read('/api/chargers?station=nope', 'unknown_station'),
  read('/api/chargers?limit=1001', 'bad_request'),
  read("/api/chargers?site=demo'%20OR%201=1", 'unknown_site'),
  read('/../secret.txt', 'not_found'),
  read('/..%2fsecret.txt', 'not_found'),
  read('/assets/..%2f..%2fsecret.txt', 'not_found'),
  read('/%2e%2e/secret.txt', 'not_found'),
  read('/.env', 'not_found'),
  read('/assets/missing.js', 'not_found'),
  read('/live', 'not_found'),
];

describe('over HTTP', () => {
  test.each(cases)('$name → $code', async ({ method = 'GET', path, body, headers, code, signedIn }) => {
    const before = await state();
    const response = await rawRequest({ method, path, body, headers: { ...(signedIn ? { cookie } : {}), ...headers } });
    expect(response.status).toBe(refusals[code].status);
    expect(response.body).toMatchObject({ ok: false, code });
    expect(response.body.correlation).toMatch(/^[\da-f-]{36}$/);
    expect(await state()).toBe(before);
  });

  test('bytes that are not HTTP are answered and the process lives', async () => {
    const socket = connect(Number(new URL(api.base).port), '127.0.0.1');
    socket.write('\x16\x03\x01 hello\r\n\r\n');
    expect(await textOf(socket)).toContain('"code":"bad_request"');
    expect((await fetch(`${api.base}/health/live`)).status).toBe(200);
  });

  test('too many requests are refused with the time to wait', async () => {
    const busy = await startTestApi({ requestsPerMinute: 3 });
    const as = { cookie: await busy.cookieOf('operator') };
    const responses = [];
    for (let i = 0; i < 4; i++) responses.push(await busy.app.inject({ url: '/api/me', headers: as }));
    await busy.close();
    expect(responses.map((r) => r.statusCode)).toEqual([200, 200, 200, 429]);
    expect(responses[3]?.json()).toMatchObject({
      ok: false,
      code: 'rate_limited',
      detail: { retryAfterMs: expect.any(Number) as number },
    });
  });
});

describe('upgrades', () => {
  const live = () => `${api.base}/live`;
  test.each<[string, () => Parameters<typeof refusedUpgrade>, number, RefusalCode]>([
    ['no cookie', () => [live(), { origin: api.base }], 401, 'signed_out'],
    [
      'a made-up cookie',
      () => [live(), { origin: api.base, headers: { cookie: `gridtick=${'B'.repeat(43)}` } }],
      401,
      'signed_out',
    ],
    ['another origin', () => [live(), { origin: 'http://evil.example', headers: { cookie } }], 403, 'bad_origin'],
    ['the origin "null"', () => [live(), { origin: 'null', headers: { cookie } }], 403, 'bad_origin'],
    ['another port', () => [live(), { origin: 'http://127.0.0.1:1', headers: { cookie } }], 403, 'bad_origin'],
    ['another path', () => [`${api.base}/live/x`, { origin: api.base, headers: { cookie } }], 404, 'not_found'],
    ['an API path', () => [`${api.base}/api/me`, { origin: api.base, headers: { cookie } }], 404, 'not_found'],
  ])('%s', async (_name, make, status, code) => {
    const [url, options] = make();
    const refused = await refusedUpgrade(url, options);
    expect(refused.status).toBe(status);
    expect(refused.body).toMatchObject({ ok: false, code });
    expect(api.hub.size).toBe(0);
  });

  test.each([
    [
      'no key',
      'GET /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n',
    ],
    [
      'an old version',
      'GET /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n',
    ],
    ['another protocol', 'GET /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n'],
    [
      'POST',
      'POST /live HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n',
    ],
  ])('a handshake with %s', async (_name, head) => {
    const socket = connect(Number(new URL(api.base).port), '127.0.0.1');
    socket.write(`${head}Cookie: ${cookie}\r\n\r\n`);
    const text = await textOf(socket);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toContain('"code":"bad_request"');
  });

  test('while live state is being loaded', async () => {
    api.replica.ready = false;
    const refused = await refusedUpgrade(live(), { origin: api.base, headers: { cookie } });
    api.replica.ready = true;
    expect(refused).toMatchObject({ status: 503, body: { code: 'starting' } });
  });
});

describe('on the live socket', () => {
  const sub = (changes: Record<string, unknown>) =>
    JSON.stringify({ op: 'sub', id: 3, topic: 'station:nord-1', ...changes });
  test.each<[string, string, number | null, RefusalCode]>([
    ['broken JSON', '{"op":', null, 'bad_request'],
    ['an empty frame', '', null, 'bad_request'],
    ['a number', '7', null, 'bad_request'],
    ['null', 'null', null, 'bad_request'],
    ['an array', '[1,2]', null, 'bad_request'],
    ['no op', '{"id":1}', 1, 'bad_request'],
    ['an unknown op', '{"op":"exec","id":1}', 1, 'bad_request'],
    ['an op of the object prototype', '{"op":"constructor","id":1}', 1, 'bad_request'],
    ['no id', '{"op":"sub","topic":"station:nord-1"}', null, 'bad_request'],
    ['a text id', sub({ id: '3' }), null, 'bad_request'],
    ['a negative id', sub({ id: -1 }), null, 'bad_request'],
    ['a fractional id', sub({ id: 1.5 }), null, 'bad_request'],
    ['a number as topic', sub({ topic: 7 }), 3, 'bad_request'],
    ['an unknown field', sub({ role: 'admin' }), 3, 'bad_request'],
    ['an empty topic', sub({ topic: '' }), 3, 'bad_request'],
    ['a topic of 161 characters', sub({ topic: `station:${'x'.repeat(153)}` }), 3, 'bad_request'],
    ['a topic without kind', sub({ topic: 'nord-1' }), 3, 'unknown_topic'],
    ['a topic without id', sub({ topic: 'station:' }), 3, 'unknown_topic'],
    ['an unknown kind of topic', sub({ topic: 'wallet:me' }), 3, 'unknown_topic'],
    ['a kind of the object prototype', sub({ topic: 'toString:x' }), 3, 'unknown_topic'],
    ['a wildcard', sub({ topic: 'station:*' }), 3, 'unknown_topic'],
    ['an unknown station', sub({ topic: 'station:nope' }), 3, 'unknown_topic'],
    ['a cursor that is none', sub({ cursor: 'xyz' }), 3, 'bad_request'],
    [
      'a cursor with a negative sequence',
      sub({ cursor: Buffer.from('0:-1:0').toString('base64url') }),
      3,
      'bad_request',
    ],
    ['an endless cursor', sub({ cursor: 'A'.repeat(129) }), 3, 'bad_request'],
    ['unsub of what is not subscribed', '{"op":"unsub","id":9}', 9, 'unknown_topic'],
    ['a view that is no boolean', '{"op":"view","hidden":"yes"}', null, 'bad_request'],
    ['a ping with a text', '{"op":"ping","t":"now"}', null, 'bad_request'],
  ])('%s', async (_name, text, id, code) => {
    const before = await state();
    const screen = await TestScreen.open(api.base, cookie);
    screen.ws.send(text);
    expect(await screen.next('refuse')).toMatchObject({ id, code });
    screen.send({ op: 'ping' });
    await screen.next('pong');
    await screen.close();
    expect(await state()).toBe(before);
  });

  test.each<[string, (screen: TestScreen) => void, number]>([
    ['a binary frame', ({ ws }) => ws.send(Buffer.from('{"op":"ping"}')), 1003],
    ['a frame over 16 KiB', ({ ws }) => ws.send(`{"op":"ping","x":"${'x'.repeat(17_000)}"}`), 1009],
    ['text that is not UTF-8', ({ ws }) => ws.send(Buffer.from([0xc3, 0x28]), { binary: false }), 1007],
    [
      'one bad frame after the other',
      ({ ws }) => {
        for (let i = 0; i < 40; i++) ws.send('{}');
      },
      1008,
    ],
    [
      'the 65th topic',
      (screen) => {
        for (let id = 0; id < 65; id++) screen.send({ op: 'sub', id, topic: 'station:nord-1' });
      },
      4429,
    ],
    [
      'a flood',
      (screen) => {
        for (let i = 0; i < 400; i++) screen.send({ op: 'ping' });
      },
      1008,
    ],
  ])('%s closes it', async (_name, act, code) => {
    const screen = await TestScreen.open(api.base, cookie);
    act(screen);
    expect((await screen.closed).code).toBe(code);
  });

  test('the same id cannot stand for two topics', async () => {
    const screen = await TestScreen.open(api.base, cookie);
    screen.send({ op: 'sub', id: 3, topic: 'station:nord-1' });
    await screen.next('snap');
    screen.send({ op: 'sub', id: 3, topic: 'tree:demo' });
    expect(await screen.next('refuse')).toMatchObject({ id: 3, code: 'bad_request', detail: { field: '/id' } });
    await screen.close();
  });
});

interface Answer {
  status: number;
  body: Refusal;
}

/** Node's own clients refuse to send half of these, so the bytes are written by hand. */
async function rawRequest({
  method,
  path,
  body,
  headers,
}: {
  method: string;
  path: string;
  body: string | Buffer | undefined;
  headers: Record<string, string>;
}): Promise<Answer> {
  const { host, port } = new URL(api.base);
  const socket = connect(Number(port), '127.0.0.1');
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    ...Object.entries(headers).map(([k, v]) => `${k}: ${v}`),
  ];
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (body !== undefined) socket.write(body);
  const text = await textOf(socket);
  const [head, rest] = text.split('\r\n\r\n', 2) as [string, string];
  return { status: Number(head.split(' ')[1]), body: JSON.parse(rest) as Refusal };
}

async function textOf(socket: ReturnType<typeof connect>): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.on('error', () => {});
  await once(socket, 'close');
  return text;
}
