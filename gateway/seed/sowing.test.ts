import { beforeEach, expect, test, vi } from 'vitest';
import { customerAddress, nameAddress, partitionOf, siteAddress, userAddress } from '#actors/mod';
import { TestWorld } from '#actors/testing';
import type { CustomerState } from '#actors/schema/customer_entities';
import type { ChargerState, SiteState, StationState, UserState } from '#actors/schema/entities';
import type { DoorCommand } from '#engine/log/mod';
import { Outcomes } from '#engine/partition/outcomes';
import type { ReplyResult } from '#engine/wire';
import { hashPassword, verifyPassword } from '#gateway/auth/password';
import { constantCurve } from '#gateway/simulator/car';
import { loadScenario, type Scenario } from '#gateway/simulator/scenario';
import { finiteTimeline } from '#gateway/simulator/timeline';
import { seedCommands, seedUsers, userCommand } from './commands.ts';
import { sow, type Ground } from './sowing.ts';

// Passwords are hashed for real.
vi.setConfig({ testTimeout: 120_000 });

const partitions = 16;
const passwords = {
  operator: 'correct horse battery',
  admin: 'staple correct horse',
  customer: 'battery horse staple',
  trader: 'horse staple battery',
};
let world: TestWorld;
let sent: DoorCommand[];
/** By entity: what the engine remembers of ids. */
let remembered: Map<string, Outcomes>;
const newWorld = () => {
  world = new TestWorld({ partitions });
  remembered = new Map();
};
beforeEach(() => {
  newWorld();
  sent = [];
});

function applied({ id, to, type, body }: DoorCommand): ReplyResult {
  const name = `${to.kind}|${to.id}`;
  const outcomes = remembered.get(name) ?? new Outcomes();
  const verdict = outcomes.judge(id as string, world.now);
  if (verdict.kind === 'known') return verdict.result;
  if (verdict.kind === 'refused') return { ok: false, code: verdict.code };
  const result = world.send(to, type, body);
  outcomes.remember(id as string, result, world.now);
  remembered.set(name, outcomes);
  return result;
}

/** The real domain in memory behind the door; `fail` says which attempts get no answer. */
function ground(fail: (attempt: number) => boolean = () => false): Ground {
  return {
    partitions,
    request(command) {
      sent.push(command);
      // Applied or not: nobody knows. Here every second one was.
      const lost = fail(sent.length);
      const result = lost && sent.length % 2 === 0 ? undefined : applied(command);
      if (lost || result === undefined) return Promise.resolve({ ok: false, code: 'unavailable', at: '' });
      return Promise.resolve({ ...result, at: '0:1' });
    },
    lookup(kind, id) {
      const [, plain = id, p] = /^(.*)@(\d+)$/.exec(id) ?? [];
      const found =
        p === undefined
          ? world.partitions.map((partition) => partition.get(kind, plain)).find((stored) => stored !== undefined)
          : world.partitions[Number(p)]?.get(kind, plain);
      return Promise.resolve(found);
    },
  };
}
const images = () => JSON.stringify(world.partitions.map((partition) => partition.images()));
const demoScenario = () => loadScenario({ kind: 'demo', seed: 1 });

test('the demo site stands: one station, 20 chargers, 41 cards, four people, every name confirmed', async () => {
  expect(await sow(ground(), { scenario: await demoScenario(), passwords })).toEqual({ commands: 70 });
  const home = world.partitionOf('demo');
  expect(home.get<SiteState>('site', 'demo')?.context).toMatchObject({
    timeZone: 'Europe/Stockholm',
    profile0Networks: ['127.0.0.0/8', '::1/128'],
  });
  expect(home.get<StationState>('station', 'nord-1')?.context).toMatchObject({
    site: 'demo',
    capacityW: 138_000,
    baseE5SekPerKwh: 100_000,
  });
  const chargers = Array.from({ length: 20 }, (_, i) =>
    home.get<ChargerState>('charger', `CP-00${String(i + 1).padStart(2, '0')}`),
  );
  for (const charger of chargers) {
    expect(charger?.value).not.toBe('unregistered');
    expect(charger?.context).toMatchObject({
      station: 'nord-1',
      ratedW: 11_040,
      securityProfile: 0,
      connectors: [{ status: '' }],
    });
  }
  for (const [tag, customer, credit] of [
    ['DEMO0001', null, 'ok'],
    ['DEMO0040', null, 'ok'],
    // Nothing has been paid in yet.
    ['DEMO0041', 'customer', 'empty'],
  ] as const) {
    expect(world.get(nameAddress('tag', tag))?.value).toBe('confirmed');
    expect(home.get('tag', tag.toLowerCase())?.context).toMatchObject({ status: 'Accepted', customer, credit });
  }
  for (const [id, tags] of [
    ['customer', ['demo0041']],
    ['trader', []],
  ] as const) {
    expect(world.get<UserState>(userAddress(id))).toMatchObject({ value: 'active', context: { roles: ['customer'] } });
    expect(world.get<CustomerState>(customerAddress(id))?.context).toMatchObject({
      sek: { available: 0, pending: 0 },
      wh: { available: 50_000, pending: 0 },
      tags,
    });
  }
  const operator = world.get<UserState>({ kind: 'user', key: 'operator', id: 'operator' });
  expect(operator).toMatchObject({ value: 'active', context: { email: 'operator@demo.local', roles: ['operator'] } });
  expect(await verifyPassword(passwords.operator, operator?.context.passwordHash ?? '')).toBe(true);
  expect(world.get({ kind: 'user', key: 'admin', id: 'admin' })).toMatchObject({
    value: 'active',
    context: { roles: ['admin', 'operator'] },
  });
  // Ids are dense per entity.
  const byEntity = new Map<string, (string | null)[]>();
  for (const { id, to } of sent) {
    const name = `${to.kind} ${to.key} ${to.id}`;
    byEntity.set(name, [...(byEntity.get(name) ?? []), id]);
  }
  expect(byEntity.size).toBe(69);
  for (const ids of byEntity.values()) expect(ids).toEqual(ids.map((_, i) => `seed:${i + 1}`));
});

test('a second run changes nothing, down to the password hashes', async () => {
  const scenario = await demoScenario();
  await sow(ground(), { scenario, passwords });
  const first = images();
  const firstCommands = sent.map((command) => JSON.stringify(command));
  sent = [];
  expect(await sow(ground(), { scenario: await demoScenario(), passwords })).toEqual({ commands: 66 });
  expect(images()).toBe(first);
  expect(sent.every((command) => firstCommands.includes(JSON.stringify(command)))).toBe(true);
});

test('data of an earlier build, which knew no customers, gets them and the owner of the tag', async () => {
  const scenario = await demoScenario();
  for (const command of seedCommands(scenario)) applied(command);
  const early = seedUsers.filter(({ id }) => id === 'operator' || id === 'admin');
  for (const user of early) applied(userCommand(user, await hashPassword(passwords[user.id])));
  expect(world.get(customerAddress('customer'))).toBeUndefined();
  expect(await sow(ground(), { scenario, passwords })).toEqual({ commands: 68 });
  expect(world.get<CustomerState>(customerAddress('customer'))?.context.tags).toEqual(['demo0041']);
  expect(world.get<UserState>(userAddress('trader'))?.value).toBe('active');
});

test('a tag that an admin has given to somebody else stays there', async () => {
  const scenario = await demoScenario();
  await sow(ground(), { scenario, passwords });
  const body = { customer: 'trader', group: null, status: 'Accepted', expiresAt: null };
  world.ask(nameAddress('tag', 'DEMO0041'), 'tag.put', body);
  await sow(ground(), { scenario, passwords });
  expect(world.get<CustomerState>(customerAddress('trader'))?.context.tags).toEqual(['demo0041']);
  expect(world.get<CustomerState>(customerAddress('customer'))?.context.tags).toEqual([]);
});

test('a tag that an admin has taken from everybody stays nobody’s, and nothing waits for an owner', async () => {
  const scenario = await demoScenario();
  await sow(ground(), { scenario, passwords });
  const body = { customer: null, group: null, status: 'Accepted', expiresAt: null };
  world.ask(nameAddress('tag', 'DEMO0041'), 'tag.put', body);
  await sow(ground(), { scenario, passwords, timeoutMs: 2_000 });
  expect(world.get<CustomerState>(customerAddress('customer'))?.context.tags).toEqual([]);
});

test('answers that do not come are asked for again, whether or not the command was applied', async () => {
  const shaky = ground((attempt) => attempt % 3 === 0);
  await sow(shaky, { scenario: await demoScenario(), passwords, lookEveryMs: 1 });
  expect(sent.length).toBeGreaterThan(70);
  const ended = world
    .partitionOf('demo')
    .images()
    .filter(([name]) => name.startsWith('charger|')).length;
  expect(ended).toBe(20);
});

test('a recorded day gets its own site with a plug per station of the file, a card and an account per user', async () => {
  const curve = constantCurve(6_600, 5_000);
  const sessions = [
    { charger: '1-1-193-816', index: 0, tag: '000000365', startMs: 0, endMs: 1, curve },
    { charger: '1-1-179-810', index: 0, tag: '000000416', startMs: 0, endMs: 1, curve },
  ];
  const timeline = finiteTimeline(sessions, {
    chargers: sessions.map((s) => s.charger),
    tags: sessions.map((s) => s.tag),
    ratedW: 6_600,
    fingerprint: 'test',
  });
  const scenario: Scenario = {
    site: { id: 'jpl', name: 'Recorded site', timeZone: 'America/Los_Angeles' },
    station: { id: 'jpl-1', name: 'JPL 1', capacityW: 195_000 },
    timeline,
    spareTags: [],
    holders: timeline.tags.map((tag) => ({
      tag,
      customer: `card-${tag}`,
      opened: { name: `Card ${tag}`, creditE5Sek: 1_000_000_000 },
    })),
    notes: [],
  };
  expect(await sow(ground(), { scenario, passwords })).toEqual({ commands: 18 });
  // Whoever holds a card pays afterwards, up to 10,000 SEK: nobody is turned away for want of money.
  expect(world.get<CustomerState>(customerAddress('card-000000365'))?.context).toMatchObject({
    name: 'Card 000000365',
    creditLimitE5Sek: 1_000_000_000,
    tags: ['000000365'],
    credit: 'ok',
  });
  const again = images();
  await sow(ground(), { scenario, passwords });
  expect(images()).toBe(again);
  expect(seedCommands(scenario).slice(0, 3)).toMatchObject([
    { to: siteAddress('jpl'), body: { timeZone: 'America/Los_Angeles' } },
    { to: { kind: 'station', key: 'jpl', id: 'jpl-1' }, body: { capacityW: 195_000 } },
    { to: { kind: 'charger', key: 'jpl', id: '1-1-193-816' }, body: { ratedW: 6_600 } },
  ]);
  expect(world.get(nameAddress('identity', '1-1-179-810'))?.value).toBe('confirmed');
  expect(world.partitions[partitionOf('jpl', partitions)]?.get('tag', '000000365')?.context).toMatchObject({
    customer: 'card-000000365',
    credit: 'ok',
  });
});

test('what stands in the way is said: other contents, a name of somebody else, a lost secrets file, no projection', async () => {
  const scenario = await demoScenario();
  const attempt = (options = {}) => sow(ground(), { scenario, passwords, timeoutMs: 50, lookEveryMs: 5, ...options });
  world.ask(siteAddress('demo'), 'site.create', {
    name: 'Mine',
    timeZone: 'UTC',
    capacityW: null,
    profile0Networks: [],
  });
  await expect(attempt()).rejects.toThrow('site.create of site demo: already_exists');

  newWorld();
  const somebody = { kind: 'user', key: 'eve', id: 'eve' };
  world.ask(somebody, 'user.create', { email: 'admin@demo.local', name: 'Eve', passwordHash: 'x', roles: [] });
  await expect(attempt({ timeoutMs: 5_000 })).rejects.toThrow(
    'the name email:admin@demo.local belongs to user eve, not to user admin',
  );

  newWorld();
  await attempt({ timeoutMs: 5_000 });
  await expect(attempt({ passwords: { ...passwords, admin: 'another one' } })).rejects.toThrow(
    /^admin@demo\.local exists with another password than the one in secrets\.json/,
  );

  newWorld();
  const blind: Ground = { ...ground(), lookup: () => Promise.resolve(undefined) };
  await expect(sow(blind, { scenario, passwords, timeoutMs: 50, lookEveryMs: 5 })).rejects.toThrow(
    /not confirmed within 50 ms: 108 of them, such as identity:cp-0001/,
  );
});
