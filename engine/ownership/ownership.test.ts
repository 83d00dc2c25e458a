/** Several engines on one real log: they come, go, die, stand still and come back, under load, and nobody's command is lost or done twice. */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { connectLog, provision } from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { PartitionOwner } from '../partition/owner.ts';
import { verifyPartitions } from '../partition/verify.ts';
import { jetstreamPorts } from '../roles/jetstream_ports.ts';
import { startEngine, type Engine } from '../roles/engine_role.ts';
import { Pace, ringPublisher } from '../log/mod.ts';
import { tallyDomain } from '../simulation/tally.ts';
import pino from 'pino';
import { rendezvous } from './rendezvous.ts';
import { Callers, epochsOf, partitionsOf, TestEngines } from './testing.ts';

const partitions = 8;
const all = Array.from({ length: partitions }, (_, p) => p);
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'ownership test');
await provision(nc, { partitions });
const engines = new TestEngines(nats, partitions);
let callers: Callers;
let round = 0;

beforeEach(async () => {
  engines.noted.length = 0;
  callers = await Callers.open(nc, partitions, `caller${++round}`, 12);
});
afterEach(async () => {
  await callers.stop();
  // One that is still there is a failed test's.
  await engines.closeAll();
  expect([callers.wrong, engines.failures]).toEqual([[], []]);
});
afterAll(async () => {
  const verdicts = await verifyPartitions(nc, all);
  await nc.close();
  await nats.stop();
  expect(verdicts.flatMap(({ problems }) => problems)).toEqual([]);
});

const shareOf = (engine: Engine, ...others: Engine[]) =>
  all.filter(
    (p) =>
      rendezvous(
        p,
        [engine, ...others].map(({ id }) => id),
      ) === engine.id,
  );
const settled = (...living: Engine[]) =>
  expect
    .poll(() => living.map((engine) => partitionsOf(engine)), { timeout: 10_000, interval: 10 })
    .toEqual(living.map((engine) => shareOf(engine, ...living)));

test('an engine that joins is given its share, one that leaves gives it away, and nothing else moves', async () => {
  const first = await engines.start();
  expect(partitionsOf(first)).toEqual(all);
  await callers.more(50);
  const alone = epochsOf(first);
  const second = await engines.start();
  await settled(first, second);
  const third = await engines.start();
  await settled(first, second, third);
  await callers.more(100);
  // What stayed with the first has never changed hands.
  for (const [p, epoch] of epochsOf(first)) expect(epoch, `partition ${p}`).toBe(alone.get(p));
  const gaps = engines.noted.filter(({ event, engine }) => event === 'taken' && engine !== first.id);
  expect(gaps.length).toBeGreaterThanOrEqual(partitionsOf(second, third).length);
  for (const { gapMs, partition } of gaps) expect(gapMs, `partition ${partition}`).toBeLessThan(3_000);

  const before = epochsOf(second);
  await third.close();
  await settled(first, second);
  for (const [p, epoch] of epochsOf(second)) expect(epoch, `partition ${p}`).toBe(before.get(p) ?? epoch);
  await callers.more(100);
  expect(engines.noted.filter(({ event }) => event === 'superseded')).toEqual([]);
  await callers.stop();
  await Promise.all([first.close(), second.close()]);
});

test('an engine that is gone without a word is missed before its silence is noticed, and others have its partitions', async () => {
  const first = await engines.start();
  const { engine: second, proxy } = await engines.startBehindProxy();
  await settled(first, second);
  const lost = partitionsOf(second);
  await callers.more(50);
  await proxy.stop();
  await expect.poll(() => partitionsOf(first), { timeout: 10_000, interval: 10 }).toEqual(all);
  expect(engines.noted.filter(({ event }) => event === 'lost')).toContainEqual(
    expect.objectContaining({ engine: second.id, reason: 'gone' }),
  );
  expect(lost.length).toBeGreaterThan(0);
  await callers.more(50);
  await callers.stop();
  await first.close();
  // Without a line to the log it has no way to say goodbye.
  void second.close().catch(() => undefined);
});

test('one that stood still is superseded; when it goes on it says nothing, drops what it had and gets a share again', async () => {
  const { engine: sleeper, proxy } = await engines.startBehindProxy();
  const second = await engines.start();
  await settled(sleeper, second);
  await callers.more(50);
  const had = epochsOf(sleeper);
  proxy.hold();
  await expect.poll(() => partitionsOf(second), { timeout: 10_000 }).toEqual(all);
  await callers.more(50);
  proxy.flow();
  // What it had before it finds lost only when it looks, or hears of it.
  const stale = () => [...epochsOf(sleeper)].filter(([p, epoch]) => epoch <= had.get(p)!);
  await expect.poll(stale, { timeout: 10_000, interval: 10 }).toEqual([]);
  await settled(sleeper, second);
  expect(stale()).toEqual([]);
  await callers.more(50);
  await callers.stop();
  await Promise.all([sleeper.close(), second.close()]);
  await proxy.stop();
});

test('a partition that is lost to another owner is dropped alone; everything else of the process goes on', async () => {
  const engine = await engines.start();
  await callers.more(20);
  const before = epochsOf(engine);
  const publisher = ringPublisher(nc);
  const ports = jetstreamPorts(nc, publisher, 3, new Pace(5), () => {});
  const ended: string[] = [];
  const thief = new PartitionOwner({
    partition: 3,
    partitions,
    build: 'thief',
    catalogue: compileDomain(tallyDomain),
    ports,
    onFailed: (error) => ended.push(error.name),
  });
  await thief.start();
  await expect
    .poll(() => engines.noted.filter((one) => one.event === 'superseded' && one.engine === engine.id), {
      timeout: 10_000,
    })
    .toMatchObject([{ partition: 3 }]);
  await expect.poll(() => ended, { timeout: 10_000 }).toEqual(['Superseded']);
  await expect.poll(() => epochsOf(engine).get(3), { timeout: 10_000 }).toBe(before.get(3)! + 2);
  before.delete(3);
  for (const [p, epoch] of before) expect(epochsOf(engine).get(p)).toBe(epoch);
  await callers.stop();
  publisher.close();
  await engine.close();
});

test('an engine with other settings than those who are there refuses to begin', async () => {
  const engine = await engines.start();
  const other = (config: { partitions: number; clock?: 'driven' }) =>
    startEngine({
      config: { natsUrl: nats.url, ...config },
      domain: tallyDomain,
      log: pino({ level: 'silent' }),
      onFatal: () => {},
      sinks: [],
    });
  await expect(other({ partitions: 4 })).rejects.toThrow('runs 8 partitions by the wall clock, this one 4 partitions');
  await expect(other({ partitions, clock: 'driven' })).rejects.toThrow(
    'engines of one installation have the same settings',
  );
  expect(partitionsOf(engine)).toEqual(all);
  await callers.more(10);
  await callers.stop();
  await engine.close();
});
