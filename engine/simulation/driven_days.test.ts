/** The same business on a driven clock, undisturbed and with engines killed and messages lost all the time: the same books. */
import { expect, test } from 'vitest';
import { customerAddress, domain, partitionOf } from '#actors/mod';
import { compileDomain } from '../partition/catalogue.ts';
import { readLedgerHash } from '../partition/ledger_reader.ts';
import { replayPartition } from '../partition/replay.ts';
import { decodeRecord } from '../partition/record.ts';
import { problemText } from '../partition/replay_verdict.ts';
import { encodeFrame, type CommandEnvelope } from '../wire.ts';
import { MemoryLog, type MemoryStream } from './memory_log.ts';
import { customers, founding, partitions, stations } from './money_world.ts';
import { accountAddress, tallyDomain } from './tally.ts';
import { SimulatedDoor, SimulatedEngine } from './processes.ts';
import { storedPartition } from './stored.ts';
import { Chance, World } from './world.ts';

const catalogue = compileDomain(domain);
const monday = Date.UTC(2019, 4, 13, 7);
const stepMs = 4_000;
const steps = 45;

type Order = Pick<CommandEnvelope, 'to' | 'type' | 'body'>;

/** What is asked for at each step, whatever becomes of it. */
function plan(): Order[][] {
  const chance = new Chance(5);
  const one = (): Order => {
    const to = customerAddress(customers[chance.below(customers.length)]!);
    const side = chance.of(60) ? 'buy' : 'sell';
    const roll = chance.below(100);
    if (roll < 20) return { to, type: 'customer.deposit', body: { amountE5Sek: 1 + chance.below(90_000) } };
    const station = stations[chance.below(stations.length)]!;
    if (roll < 60) return { to, type: `order.${side}`, body: { station, slot: null, energyWh: 1 + chance.below(90) } };
    if (roll < 85) return { to, type: 'order.commit', body: { side, order: null } };
    return { to, type: 'order.cancel', body: { side, order: null } };
  };
  return Array.from({ length: steps }, (_, n) => (n === 0 ? [...founding] : n < 8 ? [] : [one(), one(), one()]));
}

async function play(seed: number, isDisturbed: boolean) {
  const world = new World(seed);
  const { chance } = world;
  const log = new MemoryLog(world, partitions);
  const engine = () =>
    new SimulatedEngine(log, { catalogue, onReplies: () => {}, snapshotEveryBytes: 24_000, clock: 'driven' });
  let current = engine();
  let kills = 0;
  let isOver = false;
  const trouble = () => {
    if (isOver) return;
    // Some of them live on as zombies.
    if (chance.of(70)) current.kill();
    current = engine();
    kills += 1;
    world.plan(100 + chance.below(900), trouble);
  };
  if (isDisturbed) {
    log.faults = { ackLostPercent: 8, appendLostPercent: 8, latencyMsMax: 20 };
    world.plan(200, trouble);
  }
  /** Resolves when all is decided and nothing is under way. */
  const settled = async (work: () => Promise<void>) => {
    let isStored = false;
    void work().then(() => (isStored = true));
    if (!(await world.run(600_000, () => isStored && current.quiet))) throw new Error('it does not come to rest');
  };
  const door = new SimulatedDoor(log, 'door');
  await settled(() => door.open());
  let ids = 0;
  for (const [n, orders] of plan().entries()) {
    const clock = Uint8Array.from(
      encodeFrame({ kind: 'clock', writer: 'driver', first: 0, commands: [], at: monday + n * stepMs }),
    );
    await settled(async () => {
      for (const stream of log.commands)
        for (let isStored = false; !isStored;)
          isStored = await log.append(stream, clock).then(
            () => true,
            () => false,
          );
    });
    await settled(async () => {
      for (const order of orders) {
        const command = {
          ...order,
          id: `order-${++ids}-aaaa`,
          reply: { inbox: 'i', token: 0 },
          deadline: 0,
          correlation: null,
        };
        await door.send([command], partitionOf(order.to.key, partitions));
      }
    });
  }
  isOver = true;
  current.kill();
  await world.run(4_000, () => false);
  const sources = log.journals.map((_, p) => storedPartition(log, p));
  const books = await readLedgerHash(sources, catalogue);
  const verdicts = await Promise.all(
    sources.map((source) => replayPartition(source, { catalogue, build: 'sim', clock: 'driven' })),
  );
  return { books, kills, verdicts, postings: postingsOf(log.journals) };
}

/** Every posting that the history would show: its time, its legs and the balances after it; in an order of their own. */
const postingsOf = (journals: readonly MemoryStream[]): string[] =>
  journals
    .flatMap(({ messages }) => messages.flatMap(({ bytes }) => decodeRecord(bytes).events))
    .filter(({ kind }) => kind === 'ledger')
    .map(({ payload }) => JSON.stringify(payload))
    .sort();

test(
  'a day that is killed again and again ends with the ledger hash of the day that was left in peace',
  { timeout: 120_000 },
  async () => {
    const peace = await play(1, false);
    expect(peace.books.problems).toEqual([]);
    expect(peace.books.batches).toBeGreaterThan(50);
    for (const seed of [2, 3]) {
      const { books, kills, verdicts, postings } = await play(seed, true);
      expect(postings).toEqual(peace.postings);
      expect(kills).toBeGreaterThan(10);
      expect(books).toEqual({ ...peace.books, batches: books.batches });
      expect(verdicts.flatMap(({ problems }) => problems.map(problemText))).toEqual([]);
      expect(verdicts.flatMap(({ segments }) => segments.map(({ notVerified }) => notVerified))).toEqual(
        Array(partitions).fill(null),
      );
    }
  },
);

test('what a step of the clock causes elsewhere has the time of that step, although it comes before its clock frame', async () => {
  const world = new World(1);
  const log = new MemoryLog(world, 2);
  const engine = new SimulatedEngine(log, {
    catalogue: compileDomain(tallyDomain),
    onReplies: () => {},
    clock: 'driven',
  });
  const door = new SimulatedDoor(log, 'door');
  const settled = async (work: Promise<unknown>) => {
    let isDone = false;
    void work.then(() => (isDone = true));
    expect(await world.run(60_000, () => isDone && engine.quiet)).toBe(true);
  };
  const ids = Array.from({ length: 20 }, (_, i) => `account-${i}`);
  const [giver, taker] = [0, 1].map((p) => accountAddress(ids.find((id) => partitionOf(id, 2) === p)!));
  const clockTo = (at: number, ...streams: MemoryStream[]) =>
    settled(
      Promise.all(
        streams.map((stream) =>
          log.append(stream, encodeFrame({ kind: 'clock', writer: 'driver', first: 0, commands: [], at })),
        ),
      ),
    );
  await settled(door.open());
  await clockTo(monday, ...log.commands);
  await clockTo(monday + stepMs, log.commands[0]!);
  const body = { to: taker!.id, amount: 7 };
  const answered = { id: null, reply: null, deadline: 0, correlation: null };
  await settled(door.send([{ ...answered, to: giver!, type: 'transfer', body }], 0));
  const record = decodeRecord(log.journals[1]!.messages.at(-1)!.bytes);
  expect(record.entities.map(({ id }) => id)).toEqual([taker!.id]);
  expect(record.now).toBe(monday + stepMs);
  engine.kill();
});
