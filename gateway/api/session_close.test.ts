/** Sessions that nobody ends, through the API: the domain decides, the replica knows where each session is. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusals, type RefusalCode } from '#actors/refusals';
import { TestCharger } from '#actors/testing';
import { startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
const cookies = { operator: '', admin: '', customer: '' };

beforeAll(async () => {
  api = await startTestApi();
  for (const who of ['operator', 'admin', 'customer'] as const) cookies[who] = await api.cookieOf(who);
});
afterAll(() => api.close());

/** A session that drew 300 Wh a minute ago, also known to the replica. */
function running(): number {
  const { world } = api.door;
  const charger = new TestCharger(world, 'demo', 'CP-1');
  const { transaction } = charger.start({ at: world.now });
  world.advance(60_000);
  charger.meter(transaction, { w: 11_000, wh: 180 });
  world.advance(60_000);
  const { value, context } = charger.session(transaction)!;
  api.replica.commit('demo', [{ kind: 'session', id: String(transaction), value, context }]);
  return transaction;
}
const close = (transaction: number | string, body: unknown, as: keyof typeof cookies = 'operator') =>
  api.app.inject({
    method: 'POST',
    url: `/api/sessions/${transaction}/close`,
    headers: { cookie: cookies[as], 'content-type': 'application/json' },
    payload: JSON.stringify(body),
  });

test.each(['operator', 'admin'] as const)(
  'an %s ends a session at its last sample; a retry is told the same',
  async (who) => {
    const transaction = running();
    const id = randomUUID();
    const answers = [await close(transaction, { id }, who), await close(transaction, { id }, who)];
    for (const answer of answers) {
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toEqual({ transaction, endAt: api.door.world.now - 60_000 });
      expect(answer.headers['gridtick-at']).toMatch(/^\d+:\d+$/);
    }
    expect(api.door.world.payloads('session').filter((one) => one.transaction === transaction)).toMatchObject([
      { state: 'started' },
      { state: 'ended', reason: 'Operator', energyWh: 180 },
    ]);
    expect((await close(transaction, { id: randomUUID() }, who)).json()).toMatchObject({ code: 'session_ended' });
  },
);

const cases: [what: string, transaction: () => number | string, body: unknown, code: RefusalCode][] = [
  ['that nobody began', () => 4_711, { id: randomUUID() }, 'unknown_session'],
  ['of the object prototype', () => '__proto__', { id: randomUUID() }, 'bad_request'],
  ['numbered 0', () => 0, { id: randomUUID() }, 'bad_request'],
  ['numbered beyond int32', () => 2 ** 31, { id: randomUUID() }, 'bad_request'],
  ['without an id of the command', running, {}, 'bad_request'],
  ['with an id that is none', running, { id: 'x' }, 'bad_request'],
  ['with an end of its own', running, { id: randomUUID(), endAt: 1 }, 'bad_request'],
];
test.each(cases)('closing a session %s is refused and changes nothing', async (_what, transaction, body, code) => {
  const which = transaction();
  const before = api.door.images();
  const response = await close(which, body);
  expect([response.statusCode, response.json()]).toMatchObject([refusals[code].status, { ok: false, code }]);
  expect(api.door.images()).toBe(before);
});

test('a customer closes nothing', async () => {
  const transaction = running();
  const before = api.door.images();
  expect((await close(transaction, { id: randomUUID() }, 'customer')).json()).toMatchObject({ code: 'role_missing' });
  expect(api.door.images()).toBe(before);
});
