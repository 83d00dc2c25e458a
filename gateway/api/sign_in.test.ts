import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Me } from '../schema/sign_in.ts';
import { password, startTestApi, TestScreen, type TestApi } from './testing.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ lockout: { perEmail: 3, perAddress: 12, windowMs: 60_000 } });
});
afterAll(() => api.close());

const signIn = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  api.app.inject({ method: 'POST', url: '/api/sign-in', payload: body, headers });
const cookieIn = (response: { headers: Record<string, unknown> }) => String(response.headers['set-cookie']);

test('an operator signs in, is known by the cookie, and signs out', async () => {
  const signedIn = await signIn({ email: ' Operator@Demo.Local ', password });
  expect(signedIn.statusCode).toBe(200);
  const header = cookieIn(signedIn);
  expect(header).toMatch(/^gridtick=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  expect(signedIn.json<Me>()).toMatchObject({ user: 'operator', email: 'operator@demo.local', roles: ['operator'] });

  const cookie = header.split(';')[0] as string;
  const me = await api.app.inject({ url: '/api/me', headers: { cookie } });
  expect(me.json<Me>()).toMatchObject({
    user: 'operator',
    rights: ['view_site', 'view_station', 'view_charger', 'view_prices', 'close_session', 'control_charger'],
    actions: { signOut: true },
  });
  expect(me.json<Me>().signedInUntil).toBeGreaterThan(Date.now() + 11 * 3_600_000);

  const out = await api.app.inject({ method: 'POST', url: '/api/sign-out', headers: { cookie } });
  expect(out.statusCode).toBe(200);
  expect(cookieIn(out)).toContain('gridtick=;');
  const after = await api.app.inject({ url: '/api/me', headers: { cookie } });
  expect([after.statusCode, after.json<{ code: string }>().code]).toEqual([401, 'signed_out']);
});

test('Redis holds a hash of the sign-in id, not the id', async () => {
  const cookie = await api.cookieOf('operator');
  const id = cookie.slice('gridtick='.length);
  const keys = await api.redis.keys('signin:*');
  expect(keys.length).toBeGreaterThan(0);
  expect(keys.some((key) => key.includes(id))).toBe(false);
  expect(keys.every((key) => /^signin:[0-9a-f]{64}$/.test(key))).toBe(true);
});

test('a sign-in lapses 12 hours after its last use', async () => {
  const cookie = await api.cookieOf('operator');
  const { signIn: found } = { signIn: await api.signIns.find(cookie.slice('gridtick='.length)) };
  const key = `signin:${found?.hash}`;
  await api.redis.pexpire(key, 5_000);
  await api.app.inject({ url: '/api/me', headers: { cookie } });
  expect(await api.redis.pttl(key)).toBeGreaterThan(11.9 * 3_600_000);
});

test('a wrong password and an unknown e-mail get the same answer', async () => {
  const wrong = await signIn({ email: 'admin@demo.local', password: 'no' });
  const unknown = await signIn({ email: 'nobody@demo.local', password: 'no' });
  expect([wrong.statusCode, unknown.statusCode]).toEqual([401, 401]);
  const { correlation: a, ...first } = wrong.json<Record<string, unknown>>();
  const { correlation: b, ...second } = unknown.json<Record<string, unknown>>();
  expect(first).toEqual(second);
  expect(a).not.toBe(b);
  expect(wrong.headers['set-cookie']).toBeUndefined();
});

test('after three wrong passwords even the right one waits, also when all are tried at once', async () => {
  await api.putUser('guessed', { roles: ['operator'] });
  const tries = await Promise.all(
    Array.from({ length: 5 }, () => signIn({ email: 'guessed@demo.local', password: 'no' })),
  );
  expect(tries.map((t) => t.statusCode).sort()).toEqual([401, 401, 401, 429, 429]);
  const right = await signIn({ email: 'guessed@demo.local', password });
  expect(right.statusCode).toBe(429);
  expect(right.json()).toMatchObject({
    ok: false,
    code: 'locked_out',
    detail: { retryAfterMs: expect.any(Number) as number },
  });
  expect(Number(right.headers['retry-after'])).toBeGreaterThan(50);
  expect(right.headers['set-cookie']).toBeUndefined();
});

test('a user who is disabled loses what is open', async () => {
  await api.putUser('leaver', { roles: ['operator'] });
  const cookie = await api.cookieOf('leaver');
  expect((await api.app.inject({ url: '/api/me', headers: { cookie } })).statusCode).toBe(200);
  await api.putUser('leaver', { roles: ['operator'], value: 'disabled' });
  expect((await api.app.inject({ url: '/api/me', headers: { cookie } })).statusCode).toBe(401);
  expect((await signIn({ email: 'leaver@demo.local', password })).statusCode).toBe(401);
});

test('signing in again ends the former sign-in of that browser', async () => {
  const former = await api.cookieOf('operator');
  const screen = await TestScreen.open(api.base, former);
  await signIn({ email: 'operator@demo.local', password }, { cookie: former });
  expect((await screen.closed).code).toBe(4401);
  expect((await api.app.inject({ url: '/api/me', headers: { cookie: former } })).statusCode).toBe(401);
});

test('until the projection is complete nobody is told that he does not exist', async () => {
  await api.redis.del('projected:3');
  const response = await signIn({ email: 'nobody@demo.local', password: 'x' });
  await api.redis.set('projected:3', '1');
  expect([response.statusCode, response.json<{ code: string }>().code]).toEqual([503, 'starting']);
});
