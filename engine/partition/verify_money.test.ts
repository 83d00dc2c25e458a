import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import type { Domain } from '#actors/actor';
import type { Ledger } from '#actors/schema/events';
import { partitionOf } from '#actors/partition_key';
import { connectLog, journalBounds, openDoor, provision, purgeJournal } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { startEngine } from '../roles/engine_role.ts';
import { purseAddress, purseDomain } from '../simulation/purses.ts';
import { compileDomain } from './catalogue.ts';
import { PartitionMoney } from './partition_money.ts';
import { verifyMoney } from './verify_money.ts';

const partitions = 3;
const servers: TestNats[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

/** An installation of one engine with the given rules. */
async function installation(rules: Domain) {
  const nats = await startTestNats();
  servers.push(nats);
  const nc = await connectLog(nats.url, 'test');
  await provision(nc, { partitions, scale: 0.05 });
  const engine = await startEngine({
    config: { natsUrl: nats.url, partitions },
    domain: rules,
    log: pino({ level: 'silent' }),
    sinks: [],
    onFatal: (error) => {
      throw error;
    },
  });
  const door = await openDoor(nc, { name: 'test', partitions });
  const ask = (id: string, type: string, amount: number, more: Record<string, unknown> = {}) =>
    door.request({ id: null, to: purseAddress(id), type, body: { amount, ...more } });
  return {
    nc,
    engine,
    ask,
    /** All relays are applied: the purse has what it is to have. */
    holds: async (id: string, amount: number) => {
      while ((await ask(id, 'fill', 0).then((result) => result.ok && result.value)) !== amount)
        await new Promise((resolve) => setTimeout(resolve, 20));
    },
    close: async () => {
      await door.close();
      await engine.close();
      await nc.close();
    },
  };
}
const names = Array.from({ length: 30 }, (_, i) => `purse-${i}`);
/** A purse of that partition. */
const of = (p: number, nth = 0) => names.filter((name) => partitionOf(name, partitions) === p)[nth]!;
const zero = (p: number) => expect.objectContaining({ partition: p, sums: [['SEK', 0n]] });

test('gifts between partitions are clean, also behind a purged journal and from its snapshot on', async () => {
  const { nc, engine, ask, holds, close } = await installation(purseDomain);
  for (const p of [0, 1, 2]) expect(await ask(of(p), 'fill', 1_000)).toMatchObject({ ok: true, value: 1_000 });
  await Promise.all(Array.from({ length: 60 }, (_, i) => ask(of(i % 3), 'give', 5, { to: of((i + 1) % 3, 1) })));
  for (const p of [0, 1, 2]) await holds(of(p, 1), 100);
  expect(await verifyMoney(nc, purseDomain, partitions)).toEqual({
    partitions: [zero(0), zero(1), zero(2)],
    between: { transit: [['SEK', 0n]], carried: [] },
    problems: [],
  });

  for (const owner of engine.owners) await owner.snapshot();
  await ask(of(0), 'give', 7, { to: of(1) });
  await holds(of(1), 907);
  for (const owner of engine.owners) await owner.snapshot();
  for (const [p, owner] of engine.owners.entries()) await purgeJournal(nc, p, owner.purgeable.journal);
  expect((await journalBounds(nc, 0)).first).toBeGreaterThan(1);
  const { problems, partitions: read } = await verifyMoney(nc, purseDomain, partitions);
  expect(problems).toEqual([]);
  expect(read).toEqual([zero(0), zero(1), zero(2)]);
  await close();
});

test('forged money is told with the record that brought it', async () => {
  // Rules that nobody watches.
  const { balances: _, ...unwatched } = purseDomain;
  const { nc, ask, close } = await installation(unwatched);
  await ask(of(0), 'fill', 50);
  const { last } = await journalBounds(nc, 0);
  await ask(of(0), 'forge', 5);
  await ask(of(0), 'fill', 1);
  const { problems, between } = await verifyMoney(nc, purseDomain, partitions);
  expect(problems).toEqual([`0:${last + 1} what is owned comes to 5 SEK, not 0`]);
  expect(between).toBeNull();
  await close();
});

test('a batch whose legs do not come to 0 is told with its place', () => {
  const problems: string[] = [];
  const money = new PartitionMoney(0, purseDomain, compileDomain(purseDomain), (problem) => problems.push(problem));
  const leg = (amount: number) => ({ ledger: 'SEK' as const, account: 'a', amount, balance: null });
  const payload: Ledger = {
    customer: null,
    batch: 'b',
    kind: 'deposit',
    cause: 'c',
    at: 0,
    legs: [leg(7), leg(-3)],
  };
  money.apply(12, {
    kind: 'batch',
    owner: 'o',
    build: 'b',
    epoch: 1,
    batch: 1,
    offset: 1,
    now: 1,
    writers: {},
    relayAcked: {},
    entities: [],
    timers: { set: [], del: [], fired: [] },
    relays: [],
    effects: [],
    events: [{ kind: 'ledger', subject: 'ledger.c', payload }],
    replies: [],
    snapshot: null,
    cut: null,
    origins: [],
    hash: '',
  });
  expect(problems).toEqual(['0:12:0 the legs of a batch come to 4 SEK, not 0']);
});

test('what left one partition and never came to another is missed', async () => {
  const deaf: Domain = {
    ...purseDomain,
    actors: purseDomain.actors.map((actor) =>
      actor.kind === 'purse' ? { ...actor, creates: actor.creates.filter((type) => type !== 'take') } : actor,
    ),
  };
  const { nc, ask, holds, close } = await installation(deaf);
  await ask(of(0), 'fill', 50);
  // There is no such purse yet, and these rules do not make one for a gift.
  await ask(of(0), 'give', 8, { to: of(1) });
  await ask(of(0), 'give', 2, { to: of(0, 1) });
  await ask(of(1, 1), 'fill', 1);
  await ask(of(0), 'give', 1, { to: of(1, 1) });
  await holds(of(1, 1), 2);
  const { problems } = await verifyMoney(nc, purseDomain, partitions);
  expect(problems).toEqual(['all partitions: 10 SEK in transit, relays under way carry 0: 10 too much']);
  expect((await verifyMoney(nc, purseDomain, partitions, 1)).problems).toEqual([]);
  await close();
});
