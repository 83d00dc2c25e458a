import { expect, test } from 'vitest';
import {
  customerAddress,
  gatewayAddress,
  nameAddress,
  rosterAddress,
  siteAddress,
  tagAddress,
  userAddress,
} from './addresses.ts';
import { pageSize } from './roster.ts';
import type { CustomerState } from './schema/customer_entities.ts';
import type { NameState, TagEntryState } from './schema/entities.ts';
import { demoSite, TestCharger, TestWorld } from './testing.ts';

const accepted = { customer: null, group: null, status: 'Accepted', expiresAt: null };
const site = (world: TestWorld, id: string) =>
  world.ask(siteAddress(id), 'site.create', { name: id, timeZone: 'UTC', capacityW: null, profile0Networks: [] });

test('a charger is usable once its identity is confirmed as its own, whatever partition the name lives in', () => {
  const world = new TestWorld({ partitions: 16 });
  const [charger] = demoSite(world);
  expect(charger!.state.value).toBe('pending');
  expect(world.get<NameState>(nameAddress('identity', 'cp-1'))).toMatchObject({
    value: 'confirmed',
    context: { owner: charger!.address },
  });
});

test('an identity has one owner, also when only its case differs', () => {
  const world = new TestWorld({ partitions: 16 });
  demoSite(world);
  demoSite(world, { site: 'other', station: 'syd-1', chargers: 0 });
  const thief = new TestCharger(world, 'other', 'cp-1');
  thief.register({ station: 'syd-1' });
  expect(thief.state.value).toBe('rejected');
  expect(thief.boot()).toMatchObject({ status: 'Rejected' });
  expect(world.get<NameState>(nameAddress('identity', 'CP-1'))!.context.owner.key).toBe('demo');
});

test('claiming a name again is fine for its owner and changes nothing', () => {
  const world = new TestWorld({ partitions: 4 });
  const [charger] = demoSite(world);
  const before = world.partitions.map((p) => p.images());
  world.ask(nameAddress('identity', 'CP-1'), 'name.claim', { owner: charger!.address });
  expect(world.partitions.map((p) => p.images())).toEqual(before);
});

test('registering a charger again is fine, with other contents it is refused; site and station must exist', () => {
  const world = new TestWorld();
  const [charger] = demoSite(world);
  expect(charger!.register()).toEqual({ ok: true, value: { charger: 'CP-1' } });
  expect(charger!.register({ ratedW: 22_000 })).toMatchObject({ ok: false, code: 'already_exists' });
  expect(new TestCharger(world, 'demo', 'CP-9').register({ station: 'none' })).toMatchObject({
    ok: false,
    code: 'unknown_station',
  });
  expect(new TestCharger(world, 'none', 'CP-9').register()).toMatchObject({ ok: false, code: 'unknown_site' });
});

test('a tag reaches every partition that holds a site, and only those', () => {
  const world = new TestWorld({ partitions: 8 });
  site(world, 'a');
  site(world, 'b');
  site(world, 'c');
  world.ask(nameAddress('tag', 'DEMO0001'), 'tag.put', accepted);
  const homes = new Set(['a', 'b', 'c'].map((id) => world.partitionOf(id).partition));
  for (const partition of world.partitions) {
    expect(partition.get('tag', tagAddress(partition.partition, 'DEMO0001').id) !== undefined).toBe(
      homes.has(partition.partition),
    );
  }
});

test('a site partition that comes later gets all tags there are, page by page', () => {
  const world = new TestWorld({ partitions: 2 });
  const tags = Array.from({ length: 3 * pageSize }, (_, i) => `T${i}`);
  for (const tag of tags) world.ask(nameAddress('tag', tag), 'tag.put', accepted);
  site(world, 'a');
  world.advance(1);
  const home = world.partitionOf('a');
  expect(tags.filter((tag) => home.get('tag', tag.toLowerCase()) === undefined)).toEqual([]);
  expect(world.get(rosterAddress(1 - home.partition))).toMatchObject({
    context: { sitePartitions: [home.partition], spreading: [] },
  });
});

test('a blocked tag is blocked everywhere; putting the same again sends nothing', () => {
  const world = new TestWorld({ partitions: 4 });
  const [charger] = demoSite(world);
  expect(charger!.authorize('TAG-1')).toMatchObject({ status: 'Accepted' });
  expect(charger!.authorize('tag-1')).toMatchObject({ status: 'Accepted' });
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', { ...accepted, status: 'Blocked' });
  expect(charger!.authorize('TAG-1')).toMatchObject({ status: 'Blocked' });
  const writes = world.writes;
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', { ...accepted, status: 'Blocked' });
  expect(world.writes).toBe(writes);
});

test('a tag is put to its folded name only, and never to a name that somebody owns', () => {
  const world = new TestWorld();
  const [charger] = demoSite(world);
  expect(world.send({ kind: 'name', key: 'tag:ABC', id: 'tag:ABC' }, 'tag.put', accepted)).toMatchObject({
    ok: false,
    code: 'bad_request',
  });
  expect(world.send(nameAddress('email', 'a@b.c'), 'tag.put', accepted)).toMatchObject({
    ok: false,
    code: 'bad_request',
  });
  world.ask(nameAddress('tag', 'X'), 'name.claim', { owner: charger!.address });
  expect(world.send(nameAddress('tag', 'X'), 'tag.put', accepted)).toMatchObject({ ok: false, code: 'name_taken' });
});

test('a user signs in once the e-mail is theirs; the second one with it is disabled', () => {
  const world = new TestWorld({ partitions: 16 });
  const body = { email: 'Operator@Demo.local', name: 'Op', passwordHash: 'scrypt$x', roles: ['operator'] };
  expect(world.ask(userAddress('u1'), 'user.create', body)).toEqual({ user: 'u1' });
  expect(world.ask(userAddress('u1'), 'user.create', body)).toEqual({ user: 'u1' });
  world.ask(userAddress('u2'), 'user.create', { ...body, email: 'operator@demo.local' });
  expect(world.get(userAddress('u1'))).toMatchObject({ value: 'active', context: { email: 'operator@demo.local' } });
  expect(world.get(userAddress('u2'))).toMatchObject({ value: 'disabled' });
  expect(world.send(userAddress('u1'), 'user.create', { ...body, name: 'Other' })).toMatchObject({
    ok: false,
    code: 'already_exists',
  });
});

test('15 s without a sign of life a gateway has lost all its sockets; 15 s later its chargers are offline', () => {
  const world = new TestWorld({ partitions: 4 });
  const [a, b] = demoSite(world, { chargers: 2 });
  a!.connect('gw-1');
  b!.connect('gw-2');
  const alive = (gateway: string) =>
    world.ask(gatewayAddress(world.partitionOf('demo').partition, gateway), 'gateway.alive', { gateway });
  for (let i = 0; i < 8; i++) {
    alive('gw-2');
    world.advance(5_000);
  }
  expect(a!.state.context).toMatchObject({ connection: null, online: false });
  expect(b!.state.context).toMatchObject({ online: true });
  expect(
    world
      .payloads('charger')
      .filter((e) => e.kind === 'offline')
      .map((e) => e.charger),
  ).toEqual(['CP-1']);
  // Should the gateway only have been paused, its socket must go, so that the charger comes back.
  expect(world.effects).toEqual([
    {
      id: 'close/CP-1/1',
      target: 'gw-1',
      kind: 'connection.close',
      body: { charger: 'CP-1', connection: 'CP-1-1', code: 4001 },
    },
  ]);
});

// --- tags and who pays for them -------------------------------------------------------------------------------------------

const tagOf = (customer: string | null) => ({ ...accepted, customer });
const credit = (world: TestWorld, customer: string, said: 'ok' | 'empty') =>
  world.send(nameAddress('tag', 'CARD'), 'tag.credit', { customer, credit: said });
const entries = (world: TestWorld) =>
  world.partitions.flatMap(({ partition }) => {
    const { customer, credit: known } = world.get<TagEntryState>(tagAddress(partition, 'CARD'))?.context ?? {};
    return known === undefined ? [] : [[customer, known]];
  });
const tagsOf = (world: TestWorld, customer: string) =>
  world.get<CustomerState>(customerAddress(customer))?.context.tags ?? [];
const toldOf = (world: TestWorld) =>
  world.sent
    .filter(({ type }) => type === 'tag.owned' || type === 'tag.released')
    .map(({ to, type, body }) => [to.id, type, body.tag]);

test('a tag moves from one customer to another: both are told, and each customer knows which tags they pay for', () => {
  const world = new TestWorld({ partitions: 4 });
  site(world, 'a');
  site(world, 'b');
  const put = (customer: string | null) => world.ask(nameAddress('tag', 'CARD'), 'tag.put', tagOf(customer));
  put(null);
  expect(toldOf(world)).toEqual([]);
  put('ada');
  put('ada');
  expect(toldOf(world)).toEqual([['ada', 'tag.owned', 'card']]);
  expect(tagsOf(world, 'ada')).toEqual(['card']);
  put('bob');
  expect(toldOf(world).slice(1)).toEqual([
    ['ada', 'tag.released', 'card'],
    ['bob', 'tag.owned', 'card'],
  ]);
  expect([tagsOf(world, 'ada'), tagsOf(world, 'bob')]).toEqual([[], ['card']]);
  put(null);
  expect(toldOf(world).slice(3)).toEqual([['bob', 'tag.released', 'card']]);
  expect(tagsOf(world, 'bob')).toEqual([]);
});

test('the credit of a tag is what its owner says: every site partition hears it, and a former owner is not heard', () => {
  const world = new TestWorld({ partitions: 4 });
  site(world, 'a');
  site(world, 'b');
  for (const customer of ['ada', 'bob']) {
    world.ask(customerAddress(customer), 'customer.open', { name: customer });
    world.ask(customerAddress(customer), 'customer.deposit', { amountE5Sek: 1 });
  }
  world.ask(nameAddress('tag', 'CARD'), 'tag.put', tagOf('ada'));
  const all = (customer: string | null, known: string) => [
    [customer, known],
    [customer, known],
  ];
  expect(entries(world)).toEqual(all('ada', 'ok'));
  expect(credit(world, 'ada', 'empty')).toMatchObject({ ok: true });
  expect(entries(world)).toEqual(all('ada', 'empty'));

  const refuses = (customer: string) => {
    const before = world.partitions.map((p) => p.images());
    expect(credit(world, customer, 'ok')).toMatchObject({ ok: false, code: 'name_taken' });
    expect(world.partitions.map((p) => p.images())).toEqual(before);
  };
  refuses('bob');
  world.ask(nameAddress('tag', 'CARD'), 'tag.put', { ...tagOf('ada'), group: 'fleet' });
  expect(entries(world)).toEqual(all('ada', 'empty'));
  // A new owner begins with what the own wallet says.
  world.ask(nameAddress('tag', 'CARD'), 'tag.put', tagOf('bob'));
  expect(entries(world)).toEqual(all('bob', 'ok'));
  refuses('ada');
  world.ask(nameAddress('tag', 'CARD'), 'tag.put', tagOf(null));
  expect(entries(world)).toEqual(all(null, 'ok'));
  refuses('bob');
});

test('saying the same credit again spreads nothing', () => {
  const world = new TestWorld({ partitions: 2 });
  site(world, 'a');
  world.ask(nameAddress('tag', 'CARD'), 'tag.put', tagOf('ada'));
  expect(entries(world)).toEqual([['ada', 'empty']]);
  const before = world.sent.length;
  credit(world, 'ada', 'empty');
  expect(world.sent.length).toBe(before);
});

test('credit is no concern of names that are no tags', () => {
  const world = new TestWorld({ partitions: 2 });
  demoSite(world);
  expect(world.send(nameAddress('identity', 'CP-1'), 'tag.credit', { customer: 'ada', credit: 'empty' })).toMatchObject(
    { ok: false, code: 'name_taken' },
  );
});
