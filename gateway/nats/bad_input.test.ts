/** Everything a program can get wrong: a typed answer, nothing in the log, and the door lives. */
import { randomUUID } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packr } from '#engine/wire';
import { defaultLimits } from './limits.ts';
import { startTestNatsDoor, type Answer, type Caller, type TestNatsDoor } from './testing.ts';

let world: TestNatsDoor;
let acme: Caller;
let shop: Caller;
beforeAll(async () => {
  world = await startTestNatsDoor();
  acme = await world.caller('acme');
  shop = await world.caller('shop');
  await world.openCustomer('anna');
  await world.openCustomer('bo');
});
afterAll(() => world.close());

const id = () => randomUUID();
const deposit = (more: object = {}) => ({
  id: id(),
  type: 'customer.deposit',
  body: { amountE5Sek: 100_000 },
  ...more,
});
const amount = (amountE5Sek: unknown) => deposit({ body: { amountE5Sek } });
const buy = (body: object) => ({
  id: id(),
  type: 'order.buy',
  body: { station: 's', slot: null, energyWh: 1, ...body },
});
const padded = (bytes: number, command: object) => JSON.stringify(command) + ' '.repeat(bytes);
const header = (value: string) => {
  const all = headers();
  all.set('Content-Type', value);
  return all;
};
const msgpack = header('application/msgpack');
const bytes = (...of: number[]) => Uint8Array.from(of);

interface Bad {
  what: string;
  payload: unknown;
  /** @default in.acme.customer.anna */
  subject?: string;
  headers?: ReturnType<typeof headers>;
  code: string;
  detail?: object;
}
const bad: Bad[] = [
  // The request as a whole.
  { what: 'no payload', payload: '', code: 'bad_request', detail: { in: 'payload' } },
  { what: 'half a JSON text', payload: '{"id":"a:1","type":', code: 'bad_request', detail: { in: 'payload' } },
  { what: 'two JSON texts', payload: '{}{}', code: 'bad_request', detail: { in: 'payload' } },
  { what: 'bytes that are no UTF-8', payload: bytes(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d), code: 'bad_request' },
  { what: 'JSON 30,000 deep', payload: '['.repeat(30_000) + ']'.repeat(30_000), code: 'bad_request' },
  { what: 'null', payload: 'null', code: 'bad_request', detail: { reason: 'must be an object' } },
  { what: 'an array', payload: [deposit()], code: 'bad_request', detail: { reason: 'must be an object' } },
  { what: 'text', payload: '"deposit"', code: 'bad_request', detail: { reason: 'must be an object' } },
  {
    what: 'another content type',
    payload: deposit(),
    headers: header('text/xml'),
    code: 'bad_request',
    detail: { in: 'headers' },
  },
  {
    what: 'JSON called MessagePack',
    payload: deposit(),
    headers: msgpack,
    code: 'bad_request',
    detail: { in: 'payload' },
  },
  { what: 'MessagePack called JSON', payload: packr.pack(deposit()), code: 'bad_request', detail: { in: 'payload' } },
  {
    what: 'MessagePack that ends early',
    payload: packr.pack(deposit()).subarray(0, -1),
    headers: msgpack,
    code: 'bad_request',
  },
  {
    what: 'MessagePack that promises 4 billion fields',
    payload: bytes(0xdf, 0xff, 0xff, 0xff, 0xff),
    headers: msgpack,
    code: 'bad_request',
  },
  { what: 'MessagePack with an extension', payload: bytes(0xd4, 0x72, 0x40), headers: msgpack, code: 'bad_request' },
  {
    what: 'a command above 64 KiB',
    payload: padded(64 * 1024, deposit()),
    code: 'too_large',
    detail: { bytesMax: 65_536 },
  },
  {
    what: 'a batch above 256 KiB',
    payload: padded(256 * 1024, { commands: [deposit()] }),
    code: 'too_large',
    detail: { bytesMax: 262_144 },
  },
  { what: 'a batch of none', payload: { commands: [] }, code: 'bad_request', detail: { commands: 0 } },
  {
    what: 'a batch of 65',
    payload: { commands: Array.from({ length: 65 }, () => deposit()) },
    code: 'bad_request',
    detail: { commands: 65 },
  },
  { what: 'a batch that is an object', payload: { commands: { 0: deposit(), length: 1 } }, code: 'bad_request' },
  { what: 'a batch with something beside it', payload: { commands: [deposit()], atomic: true }, code: 'bad_request' },

  // The subject.
  {
    what: 'too few words',
    payload: deposit(),
    subject: 'in.acme.customer',
    code: 'bad_request',
    detail: { in: 'subject' },
  },
  {
    what: 'too many words',
    payload: deposit(),
    subject: 'in.acme.customer.anna.x',
    code: 'bad_request',
    detail: { in: 'subject' },
  },
  {
    what: 'an id written in another way',
    payload: deposit(),
    subject: 'in.acme.customer.=61nna',
    code: 'bad_request',
    detail: { in: 'subject' },
  },
  {
    what: 'an id that is no UTF-8',
    payload: deposit(),
    subject: 'in.acme.customer.=FF',
    code: 'bad_request',
    detail: { in: 'subject' },
  },
  {
    what: 'an id of 129 characters',
    payload: deposit(),
    subject: `in.acme.customer.${'a'.repeat(129)}`,
    code: 'bad_request',
  },
  {
    what: 'another kind',
    payload: deposit(),
    subject: 'in.acme.station.north-1',
    code: 'unknown_command',
    detail: { kind: 'station' },
  },
  {
    what: 'a kind of the engine itself',
    payload: deposit(),
    subject: 'in.acme.account.SEK=3Adeposits',
    code: 'unknown_command',
  },
  {
    what: 'a look-up without a customer',
    payload: {},
    subject: `in.acme.commands.${id()}`,
    code: 'bad_request',
    detail: { field: '/customer' },
  },
  {
    what: 'a look-up of no id',
    payload: { customer: 'anna' },
    subject: 'in.acme.commands.what',
    code: 'bad_request',
    detail: { field: '/id' },
  },

  // The command.
  { what: 'no type', payload: { id: id(), body: {} }, code: 'bad_request', detail: { field: '/type' } },
  { what: 'a type that is a number', payload: deposit({ type: 7 }), code: 'bad_request', detail: { field: '/type' } },
  { what: 'a type that is none', payload: deposit({ type: 'customer.gift' }), code: 'unknown_command' },
  { what: 'a type of every object', payload: deposit({ type: 'constructor' }), code: 'unknown_command' },
  {
    what: 'a command for admins',
    payload: deposit({ type: 'customer.credit', body: { limitE5Sek: 1_000 } }),
    code: 'unknown_command',
  },
  {
    what: 'a command between actors',
    payload: deposit({ type: 'account.post', body: { ledger: 'SEK', name: 'deposits', amount: 1 } }),
    code: 'unknown_command',
  },
  { what: 'no id', payload: deposit({ id: undefined }), code: 'bad_request', detail: { field: '/id' } },
  { what: 'an id that is null', payload: deposit({ id: null }), code: 'bad_request', detail: { field: '/id' } },
  { what: 'an id that is a number', payload: deposit({ id: 1 }), code: 'bad_request', detail: { field: '/id' } },
  { what: 'an id of no form', payload: deposit({ id: 'deposit-1' }), code: 'bad_request', detail: { field: '/id' } },
  { what: 'a series from 0', payload: deposit({ id: 'till:0' }), code: 'bad_request', detail: { field: '/id' } },
  {
    what: 'a series with a leading zero',
    payload: deposit({ id: 'till:01' }),
    code: 'bad_request',
    detail: { field: '/id' },
  },
  {
    what: 'a series with a slash',
    payload: deposit({ id: 'shop/till:1' }),
    code: 'bad_request',
    detail: { field: '/id' },
  },
  {
    what: 'a series too long for the engine',
    payload: deposit({ id: `${'s'.repeat(61)}:1` }),
    code: 'bad_request',
    detail: { field: '/id' },
  },
  { what: 'no body', payload: deposit({ body: undefined }), code: 'bad_request', detail: { field: '/body' } },
  {
    what: 'a body that is an array',
    payload: deposit({ body: [100_000] }),
    code: 'bad_request',
    detail: { field: '/body' },
  },
  { what: 'a field too many', payload: deposit({ deadline: 1 }), code: 'bad_request', detail: { field: '/deadline' } },
  {
    what: 'another address inside',
    payload: deposit({ to: { kind: 'customer', key: 'bo', id: 'bo' } }),
    code: 'bad_request',
    detail: { field: '/to' },
  },
  {
    what: 'to wait for 0 ms',
    payload: deposit({ timeoutMs: 0 }),
    code: 'bad_request',
    detail: { field: '/timeoutMs' },
  },
  {
    what: 'to wait for an hour',
    payload: deposit({ timeoutMs: 3_600_000 }),
    code: 'bad_request',
    detail: { field: '/timeoutMs' },
  },
  {
    what: 'to wait for a word',
    payload: deposit({ timeoutMs: '5' }),
    code: 'bad_request',
    detail: { field: '/timeoutMs' },
  },

  // The body.
  { what: 'an empty body', payload: deposit({ body: {} }), code: 'bad_request', detail: { in: 'body' } },
  {
    what: 'a body with a field too many',
    payload: deposit({ body: { amountE5Sek: 100_000, kind: 'metered' } }),
    code: 'bad_request',
  },
  {
    what: 'a body with a prototype',
    payload: `{"id":"${id()}","type":"customer.deposit","body":{"amountE5Sek":100000,"__proto__":{"a":1}}}`,
    code: 'bad_request',
  },
  { what: 'an amount of 0', payload: amount(0), code: 'bad_amount' },
  { what: 'an amount below 0', payload: amount(-100_000), code: 'bad_amount' },
  { what: 'an amount with a fraction', payload: amount(100_000.5), code: 'bad_amount' },
  { what: 'an amount as text', payload: amount('100.00'), code: 'bad_amount' },
  { what: 'an amount below one öre', payload: amount(999), code: 'bad_amount' },
  { what: 'an amount above 10⁹ SEK', payload: amount(100_000_000_001_000), code: 'bad_amount' },
  {
    what: 'an amount beyond all integers',
    payload: `{"id":"${id()}","type":"customer.deposit","body":{"amountE5Sek":1e400}}`,
    code: 'bad_amount',
  },
  { what: 'an amount of null', payload: amount(null), code: 'bad_amount' },
  { what: 'NaN in MessagePack', payload: packr.pack(amount(NaN)), headers: msgpack, code: 'bad_amount' },
  { what: 'no energy', payload: buy({ energyWh: 0 }), code: 'bad_request', detail: { field: '/energyWh' } },
  { what: 'energy as text', payload: buy({ energyWh: '1000' }), code: 'bad_request', detail: { field: '/energyWh' } },
  {
    what: 'a station without a name',
    payload: buy({ station: '' }),
    code: 'bad_request',
    detail: { field: '/station' },
  },
  {
    what: 'a side that is none',
    payload: { id: id(), type: 'order.cancel', body: { side: 'both', order: null } },
    code: 'bad_request',
  },

  // The rights.
  {
    what: 'a command of a right that is missing',
    payload: deposit(),
    subject: 'in.shop.customer.anna',
    code: 'scope_missing',
    detail: { command: 'customer.deposit' },
  },
  {
    what: "somebody else's customer",
    payload: buy({}),
    subject: 'in.shop.customer.bo',
    code: 'scope_missing',
    detail: { customer: 'bo' },
  },
  {
    what: 'a customer who does not exist, without a right to know',
    payload: buy({}),
    subject: 'in.shop.customer.nobody',
    code: 'scope_missing',
    detail: { customer: 'nobody' },
  },
  {
    what: "a look-up of somebody else's command",
    payload: { customer: 'bo' },
    subject: `in.shop.commands.${id()}`,
    code: 'scope_missing',
  },
];

test('the table is long enough to mean something', () => {
  expect(bad.length).toBeGreaterThanOrEqual(60);
  expect(new Set(bad.map(({ what }) => what)).size).toBe(bad.length);
});

test.each(bad)('$what: $code, and nothing reaches the log', async ({ payload, subject, headers, code, detail }) => {
  const { subject: asked = 'in.acme.customer.anna' } = { ...(subject === undefined ? {} : { subject }) };
  const before = await world.ends();
  const caller = asked.startsWith('in.shop.') ? shop : acme;
  const raw = typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload);
  const answered = await caller.nc.request(asked, raw, { timeout: 5_000, ...(headers && { headers }) });
  const inMsgpack = answered.headers?.get('Content-Type') === 'application/msgpack';
  const answer = inMsgpack ? packr.unpack(answered.data) : answered.json();
  expect(answer).toMatchObject({ ok: false, code, correlation: expect.stringMatching(/^[\da-f-]{36}$/) });
  if (detail) expect(answer.detail).toMatchObject(detail);
  expect((await world.ends()).map(([log]) => log)).toEqual(before.map(([log]) => log));
  expect(world.served.stats().inWork).toBe(0);
});

test('in a batch each bad one is refused by itself, and the good ones are applied', async () => {
  const commands = [amount(0), deposit(), 'a deposit', { ...deposit(), type: 'x' }, deposit()];
  const { ok, results } = await acme.ask('in.acme.customer.anna', { commands });
  expect(ok).toBe(true);
  expect(results.map((r: Answer) => r.code ?? r.value.availableE5Sek)).toEqual([
    'bad_amount',
    100_000,
    'bad_request',
    'unknown_command',
    200_000,
  ]);
  expect(results.map((r: Answer) => r.id)).toEqual(commands.map((c) => (typeof c === 'string' ? null : c.id)));
});

/** Post-images so far, the latest of each entity. */
async function images(): Promise<Record<string, unknown>> {
  const entities = (await world.records()).flatMap(({ record }) => record.entities);
  return Object.fromEntries(
    entities.filter(({ kind }) => ['customer', 'account'].includes(kind)).map((e) => [`${e.kind}/${e.id}`, e.image]),
  );
}

test.each([
  ['a customer who does not exist', 'in.acme.customer.nobody', deposit(), 'unknown_entity'],
  ['a station that does not exist', 'in.acme.customer.bo', buy({}), 'unknown_station'],
  ['a slot that never was', 'in.acme.customer.bo', buy({ slot: 1 }), 'unknown_station'],
  ['more than there is', 'in.acme.customer.bo', { ...amount(1_000), type: 'customer.withdraw' }, 'insufficient_funds'],
  ['a gap in a series', 'in.acme.customer.bo', deposit({ id: 'gap:2' }), 'series_gap'],
  [
    'nothing held',
    'in.acme.customer.bo',
    { id: id(), type: 'order.commit', body: { side: 'buy', order: null } },
    'nothing_pending',
  ],
  [
    'an order that is none',
    'in.acme.customer.bo',
    { id: id(), type: 'order.stop', body: { order: 'bo-9' } },
    'unknown_order',
  ],
])('%s: the actor refuses, and no state changes', async (_, subject, command, code) => {
  const before = await images();
  expect(await acme.ask(subject, command)).toMatchObject({
    id: command.id,
    ok: false,
    code,
    at: expect.stringMatching(/^\d+:\d+$/),
  });
  expect(await images()).toEqual(before);
});

test('the same id with another body is the first command, whatever comes under it', async () => {
  const command = deposit();
  const first = await acme.ask('in.acme.customer.bo', command);
  const before = await images();
  for (const other of [
    { ...command, body: { amountE5Sek: 900_000 } },
    { ...command, type: 'customer.withdraw' },
  ])
    expect(await acme.ask('in.acme.customer.bo', other)).toMatchObject({ ok: true, value: first.value });
  expect(await images()).toEqual(before);
});

test('more UUIDs than an account remembers are refused until the oldest may be forgotten', async () => {
  await world.openCustomer('hasty');
  const commands = () => Array.from({ length: 64 }, () => deposit());
  const first = await acme.ask('in.acme.customer.hasty', { commands: commands() });
  expect(first.results.every((r: Answer) => r.ok)).toBe(true);
  expect(await acme.ask('in.acme.customer.hasty', deposit())).toMatchObject({ code: 'too_many_recent_commands' });
});

/** Reply addresses that would write where nobody of the core may be made to write. */
test.each([
  'j.3',
  'c.0',
  'pub.price.nord-1',
  'pos.PRICE',
  '$JS.API.STREAM.PURGE.J_3',
  '_INBOX',
  'in.acme.customer.anna',
  '',
])('a request of the core account with the reply address %j is not answered and does nothing', async (reply) => {
  const before = await world.ends();
  const { unanswerable } = world.served.stats().counters;
  world.core.publish('in.acme.customer.anna', JSON.stringify(deposit()), reply === '' ? {} : { reply });
  await expect.poll(() => world.served.stats().counters.unanswerable, { timeout: 10_000 }).toBe(unanswerable + 1);
  expect((await acme.ask('in.acme.customer.anna', {})).code).toBe('bad_request');
  expect(await world.ends()).toEqual(before);
});

test('from the account of an integrator the same address reaches nobody: the server puts its own in its place', async () => {
  const before = await world.ends();
  const { unanswerable } = world.served.stats().counters;
  acme.nc.publish('in.acme.customer.anna', '{}', { reply: 'j.3' });
  expect((await acme.ask('in.acme.customer.anna', {})).code).toBe('bad_request');
  expect(world.served.stats().counters.unanswerable).toBe(unanswerable);
  expect(await world.ends()).toEqual(before);
});

test('an integrator that has no rights, or is unknown to the gateway, is told so', async () => {
  const ears = await world.caller('ears');
  expect(await ears.ask('in.ears.customer.anna', deposit())).toMatchObject({ code: 'scope_missing' });
  const answer = await world.core.request('in.ghost.customer.anna', JSON.stringify(deposit()), { timeout: 5_000 });
  expect(answer.json()).toMatchObject({ code: 'scope_missing', detail: { integrator: 'ghost' } });
});

test('more than may wait is refused at once, and one integrator leaves room for another', async () => {
  await world.served.close();
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const small = await world.open({
    limits: { ...defaultLimits, inWorkMax: 96, inWorkOfOneMax: 64 },
    door: { partitions: 4, request: (command) => held.then(() => world.door.request(command)) },
  });
  const batch = { commands: Array.from({ length: 64 }, (_, i) => deposit({ id: `busy:${i + 1}` })) };
  const waiting = acme.ask('in.acme.customer.anna', batch);
  await expect.poll(() => small.stats().inWork, { timeout: 10_000 }).toBe(64);
  expect(await acme.ask('in.acme.customer.anna', deposit())).toMatchObject({ ok: false, code: 'overloaded' });
  const other = shop.ask('in.shop.customer.anna', { type: 'order.quote', body: { station: 's' } });
  await expect.poll(() => small.stats().inWork, { timeout: 10_000 }).toBe(65);
  release();
  expect((await waiting).results.every((r: Answer) => r.ok)).toBe(true);
  expect(await other).toMatchObject({ code: 'unknown_station' });
  await small.close();
});

test('a partition that is behind refuses, and says so', async () => {
  const late = await startTestNatsDoor({ door: { lagMax: { commands: 0, ms: 0 } } });
  const caller = await late.caller('acme');
  const before = await late.ends();
  expect(await caller.ask('in.acme.customer.anna', deposit())).toMatchObject({ ok: false, code: 'overloaded', at: '' });
  expect(await late.ends()).toEqual(before);
  await late.close();
});
