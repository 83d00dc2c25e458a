/** What the audit routes add to the search below: one at a time, a limit of time, refusals that name what they are about. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EntityThen } from '#engine/partition/time_travel';
import { Refusal } from '#engine/refusal';
import type { AuditDeps } from './routes/audit.ts';
import { startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let cookie: string;
const audit: Partial<AuditDeps> = {};
beforeAll(async () => {
  api = await startTestApi({ audit });
  cookie = await api.cookieOf('admin');
});
afterAll(() => api.close());

const at = { sequence: 9, time: 1_000 };
const tag: EntityThen = {
  ...{
    kind: 'tag',
    id: 'a b',
    key: '@3',
    partition: 3,
    at,
    changed: null,
    version: 2,
    removed: false,
    value: 'listed',
  },
  state: { status: 'Accepted' },
};

/** Asks as an admin, over parts that stand in for the log. */
function audited(parts: Partial<AuditDeps>) {
  Object.assign(audit, parts);
  return async (url: string, method: 'GET' | 'POST' = 'GET') => api.app.inject({ method, url, headers: { cookie } });
}

test('an entity is looked for where it is known to live, at the moment that was named, and shown as it is found', async () => {
  const asked: unknown[] = [];
  const get = audited({
    locate: async (kind, id) => (kind === 'tag' && id === 'a b' ? 3 : undefined),
    travel: { find: async ({ kind, id, at, partition }) => (asked.push({ kind, id, at, partition }), [tag]) },
  });
  const response = await get('/api/audit/entities/tag/a%20b?at=3:9');
  expect([response.statusCode, response.json<{ entities: unknown }>().entities]).toEqual([200, [tag]]);
  expect(asked).toEqual([{ kind: 'tag', id: 'a b', at: { partition: 3, sequence: 9 }, partition: 3 }]);
});

test('one search at a time; one that takes too long is ended with its code, and the next one may begin', async () => {
  const get = audited({
    searchMs: 300,
    travel: {
      find: (_wanted, { signal } = {}) =>
        new Promise((_, reject) =>
          signal?.addEventListener('abort', () => reject(new Refusal('took_too_long', 'it took too long'))),
        ),
    },
  });
  const codeOf = async (charger: string) =>
    (await get(`/api/audit/entities/charger/${charger}`)).json<{ code: string }>().code;
  expect((await Promise.all([codeOf('CP-1'), codeOf('CP-2')])).sort()).toEqual(['overloaded', 'took_too_long']);
  expect(await codeOf('CP-3')).toBe('took_too_long');
});

test('what lies outside of the window is 410, with the window', async () => {
  const window = { partition: 0, from: { sequence: 5, time: 1 }, to: { sequence: 9, time: 2 } };
  const get = audited({
    travel: { find: () => Promise.reject(new Refusal('outside_window', '0:1 lies outside', { window })) },
  });
  const response = await get('/api/audit/entities/charger/CP-1?at=0:1');
  expect([response.statusCode, response.json()]).toMatchObject([410, { code: 'outside_window', detail: { window } }]);
});

test('a retry tells what the command came to; a partition that does not answer is no result', async () => {
  let result: Awaited<ReturnType<AuditDeps['letters']['retry']>> = { ok: true, value: { n: 1 }, at: '0:9' };
  const never = () => Promise.reject(new Error('not asked'));
  const get = audited({ letters: { list: never, show: never, discard: never, retry: async () => result } });
  const retry = async () => (await get('/api/audit/dead-letters/0:1:0/retry', 'POST')).json<object>();
  expect(await retry()).toEqual({ accepted: true, value: { n: 1 }, at: '0:9' });
  result = { ok: false, code: 'bad_request', detail: { path: '/a' }, at: '0:10' };
  expect(await retry()).toEqual({ accepted: false, refusal: 'bad_request', detail: { path: '/a' }, at: '0:10' });
  result = { ok: false, code: 'unavailable', at: '' };
  expect(await retry()).toMatchObject({ ok: false, code: 'unavailable' });
});
