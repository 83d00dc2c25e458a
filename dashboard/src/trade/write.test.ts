import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { newId, write } from './write.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Answers one after the other; `null` is a connection that breaks. */
function server(...answers: ({ status: number; body: unknown } | null)[]): Record<string, unknown>[] {
  const heard: Record<string, unknown>[] = [];
  vi.stubGlobal('fetch', async (_: string, init: { body: string }) => {
    heard.push(JSON.parse(init.body) as Record<string, unknown>);
    const answer = answers.shift();
    if (answer === null || answer === undefined) throw new TypeError('connection lost');
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  });
  return heard;
}
const request = { path: '/api/account/deposit', body: { id: 'a', amount: '50.00' } };
const refusal = (code: string) => ({ ok: false, code, correlation: 'c' });
async function written() {
  const answer = write(request);
  await vi.runAllTimersAsync();
  return answer;
}

test('an answer that was lost is asked for again under the same id', async () => {
  const heard = server(null, { status: 503, body: refusal('unavailable') }, { status: 200, body: { ok: 1 } });
  expect(await written()).toEqual({ ok: true, value: { ok: 1 } });
  expect(heard).toEqual([request.body, request.body, request.body]);
});

test('a refusal is an answer: nothing is sent again', async () => {
  const heard = server({ status: 409, body: refusal('insufficient_funds') });
  expect(await written()).toMatchObject({ ok: false, code: 'insufficient_funds' });
  expect(heard).toHaveLength(1);
});

test('it gives up in the end, and says that nobody knows', async () => {
  const heard = server();
  expect(await written()).toEqual({ ok: false, code: 'unreachable' });
  expect(heard).toHaveLength(5);
});

test('ids are UUIDs, also on a page without randomUUID', () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(newId()).toMatch(uuid);
  vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) });
  expect(newId()).toMatch(uuid);
  expect(newId()).not.toBe(newId());
});
