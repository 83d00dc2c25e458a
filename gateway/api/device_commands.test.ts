/** Commands to chargers through the API: the domain decides, screens follow, and bad requests change nothing. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusals, type RefusalCode } from '#actors/refusals';
import type { DeviceCommandState, DeviceCommandView } from '#actors/schema/device_commands';
import { TestCharger } from '#actors/testing';
import { TestCommands } from '#actors/testing_device_commands';
import type { ChargerData } from '../schema/live.ts';
import { startTestApi, TestScreen, type TestApi } from './testing.ts';

let api: TestApi;
let charger: TestCharger;
let other: TestCharger;
let commands: TestCommands;
const cookies = { operator: '', admin: '', customer: '' };
type Who = keyof typeof cookies;

beforeAll(async () => {
  api = await startTestApi();
  for (const who of ['operator', 'admin', 'customer'] as const) cookies[who] = await api.cookieOf(who);
  const { world } = api.door;
  [charger, other] = ['CP-2', 'CP-3'].map((id) => {
    const registered = new TestCharger(world, 'demo', id);
    registered.register({ connectors: 2 });
    registered.connect();
    registered.boot();
    return registered;
  }) as [TestCharger, TestCharger];
  commands = new TestCommands(charger);
  world.advance(1_000);
  show();
});
afterAll(() => api.close());

/** What the domain holds becomes live state. */
function show(): void {
  const { world } = api.door;
  const partition = world.partitionOf('demo');
  const known = (kind: string) =>
    partition
      .images()
      .filter(([name]) => name.startsWith(`${kind}|`))
      .map(([name]) => name.slice(kind.length + 1));
  const changes = ['charger', 'device_command'].flatMap((kind) =>
    known(kind).map((id) => {
      const { value, context } = partition.get<DeviceCommandState>(kind, id)!;
      return { kind, id, value, context };
    }),
  );
  api.replica.commit('demo', changes);
}

const post = async (path: string, body: unknown, as: Who = 'operator') => {
  const answer = await api.app.inject({
    method: 'POST',
    url: `/api/chargers/${path}`,
    headers: { cookie: cookies[as], 'content-type': 'application/json' },
    payload: JSON.stringify(body),
  });
  show();
  return answer;
};
const list = (path: string, as: Who = 'operator') =>
  api.app.inject({ url: `/api/chargers${path.startsWith('?') ? '' : '/'}${path}`, headers: { cookie: cookies[as] } });

test.each(['operator', 'admin'] as const)('an %s starts a session; a retry is the same command', async (who) => {
  // Two of the same millisecond have no order.
  api.door.world.advance(1);
  const id = randomUUID().toUpperCase();
  const body = { id, kind: 'session.requestStart', connector: 2, tag: 'TAG-1' };
  const answers = [await post('CP-2/commands', body, who), await post('CP-2/commands', body, who)];
  for (const answer of answers) {
    expect(answer.statusCode).toBe(202);
    expect(answer.headers['gridtick-at']).toMatch(/^\d+:\d+$/);
    expect(answer.json()).toMatchObject({
      ...{ command: id.toLowerCase(), charger: 'CP-2', kind: 'session.requestStart', state: 'queued' },
      ...{ arguments: { connector: 2, tag: 'TAG-1' }, requestedBy: who, attempts: 0, result: null },
    });
  }
  const [write, ...more] = commands.writes();
  expect([write!.command, more]).toEqual([id.toLowerCase(), []]);
  commands.take(write!, { outcome: 'rejected', status: 'Rejected' });
  show();
  const [newest] = (await list('CP-2/commands?limit=1')).json<{ rows: DeviceCommandView[] }>().rows;
  expect(newest).toMatchObject({ command: id.toLowerCase(), state: 'failed', reason: 'rejected' });
});

test('commands of an offline charger wait; newest first; until they are sent they can be taken back', async () => {
  charger.disconnect();
  api.door.world.advance(1);
  show();
  const bodies = [
    { id: randomUUID(), kind: 'charger.reset', mode: 'soft' },
    { id: randomUUID(), kind: 'config.set', key: 'HeartbeatInterval', value: '60' },
    { id: randomUUID(), kind: 'config.get', keys: ['HeartbeatInterval', 'ConnectionTimeOut'] },
  ];
  for (const body of bodies) {
    expect((await post('CP-2/commands', body)).statusCode).toBe(202);
    api.door.world.advance(1_000);
  }
  const { rows } = (await list('CP-2/commands?limit=3')).json<{ rows: DeviceCommandView[] }>();
  expect(rows.map(({ command }) => command)).toEqual(bodies.map(({ id }) => id).reverse());
  expect(rows.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued']);

  const cancel = await post(`CP-2/commands/${bodies[0]!.id}/cancel`, { id: randomUUID() });
  expect([cancel.statusCode, cancel.json()]).toMatchObject([200, { command: bodies[0]!.id, state: 'cancelled' }]);
  charger.connect();
  charger.boot();
  api.door.world.advance(1_000);
  show();
  const sent = commands.writes()[0]!;
  expect(sent.command).toBe(bodies[1]!.id);
  const late = await post(`CP-2/commands/${sent.command}/cancel`, { id: randomUUID() });
  expect([late.statusCode, late.json()]).toMatchObject([409, { code: 'already_sent' }]);
  commands.take(sent, { outcome: 'rejected' });
  commands.take(commands.writes()[0]!);
  show();
});

test('a screen of the charger shows its commands as they go on', async () => {
  const screen = await TestScreen.open(api.base, cookies.operator);
  screen.send({ op: 'sub', id: 1, topic: 'charger:CP-2' });
  const snap = await screen.next('snap');
  const known = Object.keys(snap.data).filter((key) => key.startsWith('command:'));
  expect(known.length).toBeGreaterThan(0);
  const id = randomUUID();
  await post('CP-2/commands', { id, kind: 'config.get', keys: ['A'] });
  const told = async () => (await screen.next('delta')).set as unknown as ChargerData;
  expect((await told())[`command:${id}`]).toMatchObject({ command: id, state: 'sent', kind: 'config.get' });
  const values = [{ key: 'A', value: '1', readonly: true }];
  commands.take(commands.writes()[0]!, { values });
  show();
  expect((await told())[`command:${id}`]).toMatchObject({ state: 'done', attempts: 1, result: { values } });
  await screen.close();
});

const reset = (more: object = {}) => ({ id: randomUUID(), kind: 'charger.reset', mode: 'soft', ...more });
const start = (more: object = {}) => ({
  ...reset(),
  mode: undefined,
  kind: 'session.requestStart',
  connector: 1,
  tag: 'TAG-1',
  ...more,
});
const set = (more: object = {}) => ({ ...reset(), mode: undefined, kind: 'config.set', key: 'A', value: '1', ...more });
const get = (keys: unknown) => ({ id: randomUUID(), kind: 'config.get', keys });
const stop = (transaction: unknown) => ({ id: randomUUID(), kind: 'session.requestStop', transaction });

const bad: [what: string, body: () => unknown, code: RefusalCode, field?: string][] = [
  ['nothing', () => null, 'bad_request'],
  ['a list', () => [reset()], 'bad_request'],
  ['no kind', () => ({ id: randomUUID() }), 'bad_request', '/kind'],
  ['a kind nobody knows', () => reset({ kind: 'charger.explode' }), 'bad_request', '/kind'],
  ['a kind of the object prototype', () => reset({ kind: '__proto__' }), 'bad_request', '/kind'],
  ['no id', () => reset({ id: undefined }), 'bad_request'],
  ['an id that is no UUID', () => reset({ id: 'till-3:17' }), 'bad_request', '/id'],
  ['a mode nobody knows', () => reset({ mode: 'gentle' }), 'bad_request', '/mode'],
  ['more than it takes', () => reset({ connector: 1 }), 'bad_request'],
  ['who asks', () => reset({ requestedBy: 'admin' }), 'bad_request'],
  ['connector 0', () => start({ connector: 0 }), 'bad_request', '/connector'],
  ['a connector as text', () => start({ connector: '1' }), 'bad_request', '/connector'],
  ['a connector it does not have', () => start({ connector: 3 }), 'unknown_connector'],
  ['a tag nobody has', () => start({ tag: 'NOBODY' }), 'tag_not_accepted'],
  ['a tag longer than OCPP 1.6 takes', () => start({ tag: 'x'.repeat(21) }), 'bad_request', '/tag'],
  ['a session that is none', () => stop(4_711), 'unknown_session'],
  ['a session numbered beyond int32', () => stop(2 ** 31), 'bad_request', '/transaction'],
  ['the session of another charger', () => stop(elsewhere()), 'other_charger'],
  ['no keys', () => get([]), 'bad_request', '/keys'],
  ['eleven keys', () => get([...'ABCDEFGHIJK']), 'bad_request', '/keys'],
  ['a key twice', () => get(['A', 'A']), 'bad_request', '/keys'],
  ['a key with a line break', () => get(['A\n']), 'bad_request', '/keys/0'],
  ['a key longer than OCPP 1.6 has', () => get(['A', 'x'.repeat(51)]), 'bad_key', '/keys/1'],
  ['a password', () => set({ key: 'AuthorizationKey' }), 'bad_key', '/key'],
  ['a value longer than OCPP 1.6 takes', () => set({ value: 'x'.repeat(501) }), 'bad_request', '/value'],
  ['a value that is a number', () => set({ value: 1 }), 'bad_request', '/value'],
];

const elsewhere = () => other.start().transaction;

test.each(bad)('%s: refused, nothing is sent, nothing changes', async (_what, body, code, field) => {
  const payload = body();
  commands.writes();
  const before = api.door.images();
  const answer = await post('CP-2/commands', payload);
  const { code: told, detail } = answer.json<{ code: string; detail?: { field?: string } }>();
  expect([told, answer.statusCode]).toEqual([code, refusals[code].status]);
  if (field !== undefined) expect(detail?.field).toBe(field);
  expect([api.door.images() === before, commands.writes()]).toEqual([true, []]);
});

test('unknown chargers and commands, and other sites, are refused', async () => {
  expect((await post('CP-9/commands', reset())).json()).toMatchObject({ code: 'unknown_charger' });
  expect((await post('__proto__/commands', reset())).json()).toMatchObject({ code: 'unknown_charger' });
  expect((await list('CP-9/commands')).json()).toMatchObject({ code: 'unknown_charger' });
  expect((await list('CP-2/commands?limit=0')).json()).toMatchObject({ code: 'bad_request' });
  expect((await list('CP-2/commands?limit=201')).json()).toMatchObject({ code: 'bad_request' });
  const id = randomUUID();
  expect((await post(`CP-2/commands/${id}/cancel`, { id })).json()).toMatchObject({ code: 'unknown_entity' });
  expect((await post('CP-2/commands/x/cancel', {})).json()).toMatchObject({ code: 'bad_request' });
  // One charger's command is not another's to cancel.
  const body = reset();
  charger.disconnect();
  await post('CP-2/commands', body);
  const refused = await post(`CP-3/commands/${body.id}/cancel`, { id: randomUUID() });
  expect(refused.json()).toMatchObject({ code: 'unknown_entity' });
  expect(commands.stateOf(body.id)).toBe('queued');
});

test('an id stands for one command of one user', async () => {
  const body = reset();
  expect((await post('CP-2/commands', body)).statusCode).toBe(202);
  expect((await post('CP-2/commands', { ...body, mode: 'hard' })).json()).toMatchObject({ code: 'id_conflict' });
  expect((await post('CP-3/commands', body)).json()).toMatchObject({ code: 'id_conflict' });
  expect((await post('CP-2/commands', body, 'admin')).json()).toMatchObject({ code: 'id_conflict' });
  expect((await post('CP-2/commands', { ...body, mode: 'hard' }, 'admin')).json()).toMatchObject({
    code: 'id_conflict',
  });
});

test('customers neither send nor see commands', async () => {
  const images = api.door.images();
  for (const answer of [
    await post('CP-2/commands', reset(), 'customer'),
    await post(`CP-2/commands/${randomUUID()}/cancel`, { id: randomUUID() }, 'customer'),
    await list('CP-2/commands', 'customer'),
  ])
    expect([answer.statusCode, answer.json()]).toMatchObject([403, { code: 'role_missing' }]);
  expect(api.door.images()).toBe(images);
  const { chargers } = (await list('?site=demo')).json<{ chargers: { actions: Record<string, unknown> }[] }>();
  expect(chargers[0]!.actions).toMatchObject({ 'session.requestStart': true, 'charger.reset': true });
});
