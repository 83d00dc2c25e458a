import { beforeEach, expect, test } from 'vitest';
import { customerAddress, nameAddress } from './addresses.ts';
import { sessionHoldE5Sek } from './customer_sessions.ts';
import { tagsMax } from './customer_tags.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type { MeteredPart } from './schema/customer_internal.ts';
import { checkBooks, sekE5, systemBalance, tellPrice, TestCustomer } from './testing_customers.ts';
import { TestWorld } from './testing.ts';

let world: TestWorld;
let ada: TestCustomer;
let batch: number;

beforeEach(() => {
  world = new TestWorld({ partitions: 3, compare: true });
  tellPrice(world);
  ada = new TestCustomer(world);
  batch = 0;
});

const session = { site: 'demo', station: 'nord-1', transaction: 7, tag: 'card-1' };
const start = (customer: string, transaction = 7) =>
  world.ask(customerAddress(customer), 'credit.hold', { ...session, transaction });
const bill = (customer: string, parts: MeteredPart[], final = false, transaction = 7) =>
  world.ask(customerAddress(customer), 'energy.metered', {
    ...session,
    charger: 'CP-1',
    transaction,
    batch: `session-${transaction}-${++batch}`,
    from: 0,
    to: 0,
    parts,
    final,
  });
const at1 = (energyWh: number): MeteredPart => ({ energyWh, priceE5SekPerKwh: 100_000 });

test('a session sets 20 SEK aside, uses it up, fills it again and gives it back at its end', () => {
  ada.deposit(30);
  start('ada');
  expect(ada.sek).toEqual({ available: 1_000_000, pending: sessionHoldE5Sek });
  bill('ada', [at1(4_000)]);
  expect(ada.sek).toEqual({ available: 600_000, pending: sessionHoldE5Sek });
  bill('ada', [at1(8_000)]);
  expect(ada.sek).toEqual({ available: 0, pending: 1_800_000 });
  expect(ada.state.sessions).toEqual([
    { site: 'demo', transaction: 7, held: 1_800_000, billedWh: 12_000, billedE5Sek: 1_200_000 },
  ]);
  bill('ada', [at1(1_000)], true);
  expect(ada.sek).toEqual({ available: 1_700_000, pending: 0 });
  expect(ada.state.sessions).toEqual([]);
  expect(systemBalance(world, 'SEK', 'revenue')).toBe(1_300_000);
  expect(systemBalance(world, 'Wh', 'delivered')).toBe(13_000);
  checkBooks(world);
});

test('parts at several prices are one amount, rounded once; a correction gives back', () => {
  ada.deposit(30);
  start('ada');
  bill('ada', [
    { energyWh: 1, priceE5SekPerKwh: 400 },
    { energyWh: 1, priceE5SekPerKwh: 400 },
  ]);
  expect(ada.state.sessions[0]!.billedE5Sek).toBe(1);
  bill('ada', [
    { energyWh: -500, priceE5SekPerKwh: 300_000 },
    { energyWh: 500, priceE5SekPerKwh: 100_000 },
  ]);
  expect(ada.sek.available + ada.sek.pending).toBe(3_000_000 - 1 + 100_000);
  checkBooks(world);
});

test('energy that was taken is billed whatever is left; then nothing more is held until the debt is paid', () => {
  ada.deposit(5);
  start('ada');
  expect(ada.sek).toEqual({ available: 0, pending: 500_000 });
  bill('ada', [at1(20_000)], true);
  expect(ada.sek).toEqual({ available: -1_500_000, pending: 0 });
  expect(ada.state.credit).toBe('empty');
  expect(ada.refused('order.buy', { station: 'nord-1', slot: null, energyWh: 1 })).toBe('credit_used_up');
  expect(ada.refused('customer.withdraw', { amountE5Sek: 1 })).toBe('insufficient_funds');
  ada.deposit(15);
  expect(ada.state.credit).toBe('empty');
  ada.deposit(1);
  expect(ada.state.credit).toBe('ok');
  checkBooks(world);
});

test('a start without money is refused, and what it takes is billed all the same', () => {
  start('ada');
  expect(ada.state.sessions).toEqual([{ site: 'demo', transaction: 7, held: 0, billedWh: 0, billedE5Sek: 0 }]);
  bill('ada', [at1(1_000)], true);
  expect(ada.sek).toEqual({ available: -100_000, pending: 0 });
  expect(ada.state.sessions).toEqual([]);
  checkBooks(world);
});

test('a start that is told twice holds once', () => {
  ada.deposit(100);
  start('ada');
  start('ada');
  expect(ada.sek.pending).toBe(sessionHoldE5Sek);
  expect(ada.state.sessions).toHaveLength(1);
});

test('a credit limit lets a session begin without money', () => {
  ada.ask('customer.credit', { limitE5Sek: 10 * sekE5 });
  start('ada');
  expect(ada.sek).toEqual({ available: -1_000_000, pending: 1_000_000 });
  checkBooks(world);
});

test('a running session keeps the battery sampled', () => {
  ada.deposit(100);
  start('ada');
  world.advance(10_000);
  bill('ada', [], true);
  world.advance(10_000);
  expect(world.payloads('battery')).toHaveLength(2);
});

test('who is billed before the account was opened has one, and its name when it comes', () => {
  start('bob');
  bill('bob', [at1(1_000)], true);
  const bob = new TestCustomer(world, 'bob');
  expect(bob.state.name).toBe('bob');
  expect(bob.sek.available).toBe(-100_000);
  expect(bob.energyWh).toBe(50_000);
  checkBooks(world);
});

test('tags follow the money of their owner into every partition, as it is when they come and as it changes', () => {
  const tag = nameAddress('tag', 'Card-1');
  const told: unknown[] = [];
  const relays = world.relays;
  const push = relays.push.bind(relays);
  relays.push = (...commands) => {
    told.push(...commands.filter(({ type }) => type === 'tag.credit').map(({ to, body }) => [to.id, body['credit']]));
    return push(...commands);
  };
  const owner = ['zoe', 'yan', 'xia', 'wim', 'vic'].find((id) => world.partitionOf(id) !== world.partitionOf(tag.key))!;
  const customer = new TestCustomer(world, owner);
  customer.ask('tag.owned', { tag: 'Card-1' });
  customer.deposit(100);
  customer.deposit(100);
  customer.ask('customer.withdraw', { amountE5Sek: 200 * sekE5 });
  customer.ask('customer.credit', { limitE5Sek: 1 });
  expect(told).toEqual([
    ['tag:card-1', 'empty'],
    ['tag:card-1', 'ok'],
    ['tag:card-1', 'empty'],
    ['tag:card-1', 'ok'],
  ]);
  expect(customer.state.tags).toEqual(['card-1']);
  customer.ask('tag.released', { tag: 'card-1' });
  customer.ask('customer.credit', { limitE5Sek: 0 });
  expect(told).toHaveLength(4);
  expect(world.get<CustomerState>(customerAddress(owner))!.context.tags).toEqual([]);
});

test(`${tagsMax} tags of a customer follow the wallet; more say nothing and do not hinder it`, () => {
  const quick = new TestWorld({ partitions: 3 });
  const fleet = new TestCustomer(quick, 'fleet');
  const full = Array.from({ length: tagsMax }, (_, n) => `card-${String(n).padStart(4, '0')}`);
  for (const tag of full) fleet.ask('tag.owned', { tag });
  quick.sent.length = 0;
  fleet.ask('tag.owned', { tag: 'card-one-more' });
  expect(fleet.state.tags).toEqual(full);
  expect(quick.sent).toEqual([]);
  fleet.deposit(1);
  expect(quick.bodies('tag.credit')).toEqual(full.map(() => ({ customer: 'fleet', credit: 'ok' })));
  fleet.ask('tag.released', { tag: full[0]! });
  fleet.ask('tag.owned', { tag: 'card-one-more' });
  expect(fleet.state.tags).toEqual([...full.slice(1), 'card-one-more']);
});
