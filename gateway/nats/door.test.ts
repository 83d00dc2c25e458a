import { randomUUID } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DoorCommand } from '#engine/log/mod';
import { packr, type CommandResult } from '#engine/wire';
import { scopesOf } from './scopes.ts';
import { scopes, startTestNatsDoor, type Caller, type TestNatsDoor } from './testing.ts';

let world: TestNatsDoor;
let acme: Caller;
let shop: Caller;
beforeAll(async () => {
  world = await startTestNatsDoor();
  acme = await world.caller('acme');
  shop = await world.caller('shop');
  for (const customer of ['anna', 'bo', 'carl', 'd.e', 'eve']) await world.openCustomer(customer);
  await world.openStation('north', 'north-1');
});
afterAll(() => world.close());

const sek = (amount: number) => amount * 100_000;
const deposit = (id: string, amount: number) => ({
  id,
  type: 'customer.deposit',
  body: { amountE5Sek: sek(amount) },
});

test('a deposit is answered with the balance once it is committed; sent again it is the same deposit', async () => {
  const command = deposit(randomUUID(), 100);
  const first = await acme.ask('in.acme.customer.anna', command);
  expect(first).toMatchObject({ id: command.id, ok: true, value: { availableE5Sek: sek(100), heldE5Sek: 0 } });
  expect(first.at).toMatch(/^\d+:\d+$/);
  const again = await acme.ask('in.acme.customer.anna', { ...command, id: command.id.toUpperCase() });
  expect(again).toMatchObject({ ok: true, value: first.value });
  const other = await acme.ask('in.acme.customer.anna', deposit(randomUUID(), 1));
  expect(other.value.availableE5Sek).toBe(sek(101));
});

test('a batch is applied in its order, with a result each; one that is refused stops none of the others', async () => {
  const withdraw = (n: number, amount: number) => ({
    id: `till:${n}`,
    type: 'customer.withdraw',
    body: { amountE5Sek: sek(amount) },
  });
  const commands = [deposit('till:1', 10), withdraw(2, 30), deposit('till:3', 20), withdraw(4, 30)];
  const answer = await acme.ask('in.acme.customer.bo', { commands });
  expect(answer.ok).toBe(true);
  expect(answer.results.map((r: CommandResult & { id: string }) => [r.id, r.ok ? r.value : r.code])).toEqual([
    ['till:1', expect.objectContaining({ availableE5Sek: sek(10) })],
    ['till:2', 'insufficient_funds'],
    ['till:3', expect.objectContaining({ availableE5Sek: sek(30) })],
    ['till:4', expect.objectContaining({ availableE5Sek: 0 })],
  ]);
  const again = await acme.ask('in.acme.customer.bo', { commands });
  expect(again.results.map((r: CommandResult) => (r.ok ? r.value : r.code))).toEqual(
    answer.results.map((r: CommandResult) => (r.ok ? r.value : r.code)),
  );
});

test('64 commands of a series are applied once each, whatever else is sent meanwhile', async () => {
  const commands = Array.from({ length: 64 }, (_, i) => deposit(`load:${i + 1}`, 1));
  const [answer] = await Promise.all([
    acme.ask('in.acme.customer.carl', { commands }),
    ...Array.from({ length: 16 }, () => acme.ask('in.acme.customer.carl', deposit(randomUUID(), 1))),
  ]);
  expect(answer.results.filter((r: CommandResult) => r.ok)).toHaveLength(64);
  const last = await acme.ask('in.acme.customer.carl', deposit(randomUUID(), 1));
  expect(last.value.availableE5Sek).toBe(sek(64 + 16 + 1));
});

test('an integrator quotes, holds, commits: at the price of the slot, and a slot that is past is refused', async () => {
  const quote = () => shop.ask('in.shop.customer.anna', { type: 'order.quote', body: { station: 'north-1' } });
  await expect.poll(async () => (await quote()).ok, { timeout: 26_000, interval: 250 }).toBe(true);
  const { value } = await quote();
  expect((await quote()).value).toEqual(value);

  const buy = (slot: number | null) => ({
    id: randomUUID(),
    type: 'order.buy',
    body: { station: 'north-1', slot, energyWh: 1_000 },
  });
  expect(await shop.ask('in.shop.customer.anna', buy(value.slot - 10))).toMatchObject({
    ok: false,
    code: 'price_moved',
    correlation: expect.any(String),
  });
  const held = await shop.ask('in.shop.customer.anna', buy(null));
  expect(held).toMatchObject({ ok: true, value: { side: 'buy', energyWh: 1_000, amountE5Sek: expect.any(Number) } });
  expect(held.value.amountE5Sek).toBeGreaterThan(0);
  const cancel = { id: randomUUID(), type: 'order.cancel', body: { side: 'buy', order: held.value.order } };
  expect(await acme.ask('in.acme.customer.anna', cancel)).toMatchObject({ ok: true, value: { state: 'cancelled' } });
}, 40_000);

test('a customer whose name holds a dot is one token of the subject', async () => {
  const answer = await acme.ask('in.acme.customer.d=2Ee', deposit(randomUUID(), 7));
  expect(answer).toMatchObject({ ok: true, value: { availableE5Sek: sek(7) } });
  expect(await acme.ask('in.acme.customer.d.e', deposit(randomUUID(), 7))).toMatchObject({ code: 'bad_request' });
});

test('MessagePack is answered in MessagePack', async () => {
  const asked = headers();
  asked.set('content-type', 'application/msgpack');
  const commands = [deposit(randomUUID(), 2), { ...deposit(randomUUID(), 2), type: 'customer.gift' }];
  const answer = await acme.nc.request('in.acme.customer.eve', packr.pack({ commands }), {
    timeout: 5_000,
    headers: asked,
  });
  expect(answer.headers?.get('Content-Type')).toBe('application/msgpack');
  expect(packr.unpack(answer.data)).toMatchObject({
    ok: true,
    results: [
      { ok: true, value: { availableE5Sek: sek(2) } },
      { ok: false, code: 'unknown_command', detail: { type: 'customer.gift' }, at: '' },
    ],
  });
});

test('what became of a command can be asked without sending it, by its own integrator only', async () => {
  const id = randomUUID();
  const lookUp = (of: Caller, user: string, customer = 'anna', command: string = id) =>
    of.ask(`in.${user}.commands.${command.replace(':', '=3A')}`, { customer });
  expect(await lookUp(acme, 'acme')).toEqual({ ok: true, id, state: 'unknown' });
  const sent = await acme.ask('in.acme.customer.anna', deposit(id, 3));
  expect(await lookUp(acme, 'acme')).toEqual({ ok: true, id, state: 'done', result: sent });
  expect(await lookUp(shop, 'shop')).toEqual({ ok: true, id, state: 'unknown' });
  expect(await lookUp(acme, 'acme', 'carl')).toEqual({ ok: true, id, state: 'unknown' });
  expect(await lookUp(acme, 'acme', 'bo', 'till:2')).toMatchObject({
    state: 'done',
    result: { id: 'till:2', ok: false, code: 'insufficient_funds' },
  });
  expect(await lookUp(shop, 'shop', 'bo')).toMatchObject({ code: 'scope_missing', detail: { customer: 'bo' } });
  expect(await lookUp(acme, 'acme', 'anna', 'nonsense')).toMatchObject({ code: 'bad_request' });
});

test('ids of two integrators never meet, nor those of the customer itself', async () => {
  const id = 'same:1';
  const own = await acme.ask('in.acme.customer.eve', deposit(id, 1));
  expect(own.ok).toBe(true);
  const body = { amountE5Sek: sek(5) };
  const to = { kind: 'customer', key: 'eve', id: 'eve' };
  const person = await world.door.request({ id, to, type: 'customer.deposit', body });
  expect(person).toMatchObject({ ok: true, value: { availableE5Sek: own.value.availableE5Sek + sek(5) } });
});

test('each request is answered by one of several gateways', async () => {
  const second = await world.open();
  const ids = Array.from({ length: 40 }, () => randomUUID());
  const before = (await acme.ask('in.acme.customer.carl', deposit(randomUUID(), 1))).value.availableE5Sek as number;
  const answers = await Promise.all(ids.map((id) => acme.ask('in.acme.customer.carl', deposit(id, 1))));
  expect(answers.filter(({ ok }) => ok)).toHaveLength(40);
  expect(Math.max(...answers.map(({ value }) => value.availableE5Sek as number))).toBe(before + sek(40));
  expect(second.stats().counters.requests).toBeGreaterThan(0);
  expect(second.stats().counters.requests).toBeLessThan(40);
  await second.close();
  expect((await acme.ask('in.acme.customer.carl', deposit(randomUUID(), 1))).ok).toBe(true);
});

test('what is in work when the door closes is answered, what comes then is not taken', async () => {
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const sent: DoorCommand[] = [];
  await world.served.close();
  const only = await world.open({
    door: {
      partitions: world.door.partitions,
      request: async (command) => {
        sent.push(command);
        await held;
        return world.door.request(command);
      },
    },
  });
  const waiting = acme.ask('in.acme.customer.anna', deposit(randomUUID(), 1));
  await expect.poll(() => sent.length, { timeout: 10_000 }).toBe(1);
  expect(only.stats().inWork).toBe(1);
  const closed = only.close();
  await world.core.flush();
  const late = JSON.stringify(deposit(randomUUID(), 1));
  await expect(acme.nc.request('in.acme.customer.anna', late, { timeout: 200 })).rejects.toThrow('timeout');
  release();
  expect((await waiting).ok).toBe(true);
  await closed;
  expect(only.stats().inWork).toBe(0);
  expect(sent).toHaveLength(1);
  await world.open();
});

test('nats-server is killed under load: every command sent again under its id is applied once', async () => {
  const customers = Array.from({ length: 16 }, (_, i) => `fay-${i}`);
  for (const customer of customers) await world.openCustomer(customer);
  /** Until there is an answer, as a program that must not lose a command does. */
  const insist = async (customer: string, command = deposit(randomUUID(), 1)): Promise<number> => {
    const payload = JSON.stringify({ ...command, timeoutMs: 2_000 });
    for (;;) {
      const answer = await acme.nc.request(`in.acme.customer.${customer}`, payload, { timeout: 3_000 }).then(
        (message) => message.json<{ ok: boolean; value: { availableE5Sek: number } }>(),
        () => null,
      );
      if (answer?.ok) return answer.value.availableE5Sek;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  let answered = 0;
  const all = customers.flatMap((customer) =>
    Array.from({ length: 50 }, () => insist(customer).then(() => void (answered += 1))),
  );
  await expect.poll(() => answered, { interval: 1, timeout: 20_000 }).toBeGreaterThan(0);
  await world.nats.kill9();
  await world.nats.restart();
  await Promise.all(all);
  for (const customer of customers) expect(await insist(customer), customer).toBe(sek(50 + 1));
}, 60_000);

test('rights that the operator changes count at the next request', async () => {
  let present = scopesOf(scopes);
  const changing = await world.open({ scopes: { of: (user) => present.of(user), close: () => undefined } });
  present = scopesOf(scopes.map((scope) => (scope.user === 'shop' ? { ...scope, customers: ['bo'] } : scope)));
  const asked = () => shop.ask('in.shop.customer.bo', { type: 'order.quote', body: { station: 'nowhere' } });
  // The other door still has the old ones; sooner or later the new one is asked.
  await expect.poll(async () => (await asked()).code, { timeout: 10_000 }).toBe('unknown_station');
  await changing.close();
  expect(await asked()).toMatchObject({ code: 'scope_missing' });
});
