/** Ids, retries and batches of commands, and looking up what became of one. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BatchReply, CommandStatus } from '../schema/commands.ts';
import { startTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let cookie: string;
let user: string;
const watched: string[] = [];
beforeAll(async () => {
  api = await startTestApi({
    watch: {
      sent: (by, id) => watched.push(`${by} sent ${id}`),
      answered: (by, id, { ok }) => watched.push(`${by} ${ok ? 'got' : 'was refused'} ${id}`),
    },
  });
});
afterAll(() => api.close());
let count = 0;
beforeEach(async () => {
  user = `c-${++count}`;
  await api.putUser(user, { roles: ['customer'] });
  cookie = await api.cookieOf(user);
  watched.length = 0;
});

const post = (url: string, payload: object, as = cookie) =>
  api.app.inject({ method: 'POST', url, payload, headers: { cookie: as } });
const deposit = (id: string, amount = '10', as = cookie) => post('/api/account/deposit', { id, amount }, as);
const batch = async (commands: object[], as = cookie) =>
  (await post('/api/commands', { commands }, as)).json<BatchReply>();
const status = async (id: string, as = cookie) =>
  (await api.app.inject({ url: `/api/commands/${id}`, headers: { cookie: as } })).json<CommandStatus>();
const available = () => api.door.state(user)?.sek.available;

test('a retry gets the stored result and is not applied again', async () => {
  const id = randomUUID();
  const first = await deposit(id);
  const again = await deposit(id);
  expect(first.json()).toEqual({ availableE5Sek: 1_000_000, heldE5Sek: 0, creditLimitE5Sek: 0 });
  expect(again.json()).toEqual(first.json());
  expect((await deposit(id.toUpperCase())).json()).toEqual(first.json());
  expect(await status(id.toUpperCase())).toMatchObject({ id: id.toUpperCase(), state: 'done' });
  expect(available()).toBe(1_000_000);
});

test('a refusal is a result, too: a retry gets it although the money is there by now', async () => {
  const id = randomUUID();
  expect((await post('/api/account/withdraw', { id, amount: '5' })).json()).toMatchObject({
    code: 'insufficient_funds',
  });
  await deposit(randomUUID());
  const again = await post('/api/account/withdraw', { id, amount: '5' });
  expect([again.statusCode, again.json<{ code: string }>().code]).toEqual([409, 'insufficient_funds']);
  expect(available()).toBe(1_000_000);
});

test('the same id for another command is refused and reaches nobody', async () => {
  const id = randomUUID();
  await deposit(id, '10');
  const reached = () => api.door.received.filter((command) => command.id === id).length;
  expect(reached()).toBe(1);
  for (const attempt of [
    () => deposit(id, '11'),
    () => post('/api/account/withdraw', { id, amount: '10' }),
    () => post('/api/orders', { id, side: 'sell', station: 'nord-1', slot: null, energyWh: 10 }),
  ]) {
    const response = await attempt();
    expect([response.statusCode, response.json<{ code: string }>().code]).toEqual([409, 'id_conflict']);
  }
  expect(reached()).toBe(1);
  // The same in other words is the same.
  expect((await deposit(id, '10.00')).statusCode).toBe(200);
  expect(available()).toBe(1_000_000);
});

test('two customers may use the same id: each has a command of its own, and sees only that', async () => {
  const id = randomUUID();
  await api.putUser('other', { roles: ['customer'] });
  const other = await api.cookieOf('other');
  await deposit(id, '10');
  expect(await status(id, other)).toMatchObject({ state: 'unknown' });
  expect((await deposit(id, '20', other)).json()).toMatchObject({ availableE5Sek: 2_000_000 });
  expect(await status(id)).toMatchObject({ state: 'done', result: { ok: true, value: { availableE5Sek: 1_000_000 } } });
  expect(await status(id, other)).toMatchObject({ result: { value: { availableE5Sek: 2_000_000 } } });
});

test('what became of a command: its result, its refusal, or unknown, which makes it safe to send again', async () => {
  const [good, bad, never, lost] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  const response = await deposit(good);
  await post('/api/account/withdraw', { id: bad, amount: '99' });
  expect(await status(good)).toEqual({
    now: expect.any(Number) as number,
    id: good,
    state: 'done',
    result: { id: good, ok: true, value: response.json(), at: response.headers['gridtick-at'] },
  });
  expect(await status(bad)).toMatchObject({
    state: 'done',
    result: { ok: false, code: 'insufficient_funds', detail: { availableE5Sek: 1_000_000 } },
  });
  expect(await status(never)).toMatchObject({ id: never, state: 'unknown' });
  api.door.refusal = 'unavailable';
  expect((await deposit(lost)).statusCode).toBe(503);
  api.door.refusal = null;
  expect(await status(lost)).toMatchObject({ state: 'unknown' });
  expect((await deposit(lost)).json()).toMatchObject({ availableE5Sek: 2_000_000 });
  expect(await status(lost)).toMatchObject({ state: 'done', result: { ok: true } });
});

test('a batch is decided in order, one that fails stops no other, each has its result', async () => {
  const ids = Array.from({ length: 7 }, () => randomUUID());
  const { results } = await batch([
    { id: ids[0], type: 'customer.deposit', body: { amount: '100.00' } },
    { id: ids[1], type: 'order.buy', body: { station: 'nord-1', slot: null, energyWh: 10_000 } },
    { id: ids[2], type: 'order.commit', body: { side: 'buy', order: null } },
    { id: ids[3], type: 'order.cancel', body: { side: 'buy', order: null } },
    { id: ids[4], type: 'customer.deposit', body: { amount: '-1' } },
    { id: ids[5], type: 'order.stop', body: { order: `${user}-1` } },
    { id: ids[6], type: 'customer.withdraw', body: { amount: '100' } },
  ]);
  expect(results.map(({ id }) => id)).toEqual(ids);
  expect(results).toMatchObject([
    { ok: true, value: { availableE5Sek: 10_000_000 } },
    { ok: true, value: { order: `${user}-1`, amountE5Sek: 1_000_000 } },
    { ok: true, value: { state: 'delivering' } },
    { ok: false, code: 'nothing_pending' },
    { ok: false, code: 'bad_amount', at: '' },
    { ok: true, value: { state: 'void', deliveredWh: 0 } },
    { ok: true, value: { availableE5Sek: 0 } },
  ]);
  expect(results.filter(({ at }) => at !== '')).toHaveLength(6);
  expect(watched).toContain(`${user} got ${ids[0]}`);
  expect(watched).toContain(`${user} was refused ${ids[3]}`);
  expect(watched.some((line) => line.includes(ids[4] as string))).toBe(false);
});

test('a batch that is sent again changes nothing; an id that stands twice in it is one command', async () => {
  const [a, b] = [randomUUID(), randomUUID()];
  const commands = [
    { id: a, type: 'customer.deposit', body: { amount: '1' } },
    { id: a, type: 'customer.deposit', body: { amount: '1' } },
    { id: a, type: 'customer.deposit', body: { amount: '2' } },
    { id: b, type: 'customer.deposit', body: { amount: '3' } },
  ];
  const first = await batch(commands);
  expect(first.results).toMatchObject([
    { ok: true, value: { availableE5Sek: 100_000 } },
    { ok: true, value: { availableE5Sek: 100_000 } },
    { ok: false, code: 'id_conflict' },
    { ok: true, value: { availableE5Sek: 400_000 } },
  ]);
  const again = await batch(commands);
  expect(again.results.map(({ ok, value }) => ({ ok, value }))).toEqual(
    first.results.map(({ ok, value }) => ({ ok, value })),
  );
  expect(available()).toBe(400_000);
});

test('64 commands are one batch; ids of a series need no UUIDs, and a gap in it is refused', async () => {
  const series = Array.from({ length: 64 }, (_, i) => ({
    id: `till:${i + 1}`,
    type: 'customer.deposit',
    body: { amount: '0.01' },
  }));
  const { results } = await batch(series);
  expect(results.every(({ ok }) => ok)).toBe(true);
  expect(available()).toBe(64_000);
  expect((await deposit('till:66', '1')).json()).toMatchObject({ code: 'series_gap' });
  expect((await deposit('till:64', '0.01')).json()).toMatchObject({ availableE5Sek: 64_000 });
});

test('a note of a command holds no amount and no name of a user', async () => {
  const id = randomUUID();
  await deposit(id, '77.77');
  const keys = await api.redis.keys('command:*');
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) {
    expect(key).toMatch(/^command:[0-9a-f]{64}$/);
    expect(await api.redis.get(key)).not.toContain('7777');
    expect(await api.redis.pttl(key)).toBeGreaterThan(23 * 3_600_000);
  }
});
