/** A driven clock on a real log: it moves only when told, misses no slot, and stands still while somebody is dead. */
import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import { connectLog, journalBounds, openDoor, openDriver, openLogClock, provision, readJournal } from '../log/mod.ts';
import { startTestNats, startTestProxy } from '../log/testing.ts';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { startEngine } from './engine_role.ts';
import { Settlement } from './settlement.ts';

const nats = await startTestNats();
const partitions = 4;
const nc = await connectLog(nats.url, 'driven clock test');
await provision(nc, { partitions });
const failures: unknown[] = [];
const start = (natsUrl = nats.url) =>
  startEngine({
    config: { natsUrl, partitions, clock: 'driven' },
    domain: tallyDomain,
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error),
    sinks: [],
  });
const address = accountAddress('a');
const monday = Date.UTC(2019, 4, 13, 7);

async function records(partition: number) {
  const { first, last } = await journalBounds(nc, partition);
  return Promise.all(
    Array.from({ length: last - first + 1 }, async (_, i) => (await readJournal(nc, partition, first + i))!.record),
  );
}

afterAll(async () => {
  await nc.close();
  await nats.stop();
  expect(failures).toEqual([]);
});

test('the clock shows what the driver said, in every partition, whatever the machine shows', async () => {
  const engine = await start();
  const driver = await openDriver(nc, { partitions });
  const clock = await openLogClock(nc, { clock: 'driven', partitions });
  expect([driver.now, clock.now()]).toEqual([0, 0]);
  await driver.step(monday);
  expect(engine.owners.map((owner) => owner.state.now)).toEqual(Array(partitions).fill(monday));
  await expect.poll(() => clock.now()).toBe(monday);

  const door = await openDoor(nc, { name: 'test', partitions });
  await door.append({ id: null, to: address, type: 'add', body: { amount: 1 } });
  await driver.settle();
  expect(Math.max(...engine.owners.map((owner) => owner.state.now))).toBe(monday);

  await driver.step(monday + 10_500);
  const fired = (await Promise.all([0, 1, 2, 3].map(records))).flat().flatMap((record) => record.timers.fired);
  // Slots of 1 s since the account is there: each of them, though the clock went in one step.
  expect(fired.filter((id) => id === 'slot|second')).toHaveLength(10);
  await expect(driver.step(monday)).rejects.toThrow(RangeError);
  await door.close();
  await driver.close();
  clock.close();
  await engine.close();
});

test('a driver that comes back goes on where the log is', async () => {
  const engine = await start();
  const driver = await openDriver(nc, { partitions });
  expect(driver.now).toBe(monday + 10_500);
  await driver.step(driver.now);
  await driver.close();
  await engine.close();
});

test('the clock waits until the world outside has answered, but not for ever', async () => {
  let awaited = 1;
  const owner = {
    epoch: 1,
    committed: { offset: 1_000_000, sequence: 0, batch: 0 },
    isSettled: () => true,
    state: {
      index: {
        get awaited() {
          return awaited;
        },
      },
    },
  };
  const settlement = new Settlement(nc, () => new Map([0, 1, 2, 3].map((p) => [p, owner])), 1_000);
  const driver = await openDriver(nc, { partitions });
  const started = performance.now();
  const waited = async () => {
    const from = performance.now();
    await driver.settle();
    return performance.now() - from;
  };
  setTimeout(() => (awaited = 0), 100);
  expect(await waited()).toBeGreaterThan(90);
  expect(performance.now() - started).toBeLessThan(1_000);
  awaited = 1;
  expect(await waited()).toBeGreaterThan(990);
  // Whoever was given up on holds nobody up.
  expect(await waited()).toBeLessThan(900);
  settlement.close();
  await driver.close();
});

test('a step waits for an engine that is away, and for the server', async () => {
  const driver = await openDriver(nc, { partitions });
  const at = driver.now + 60_000;
  let done = false;
  const step = driver.step(at).then(() => (done = true));
  await nats.kill9();
  await nats.restart();
  expect(done).toBe(false);
  const engine = await start();
  await step;
  expect(engine.owners.map((owner) => owner.state.now)).toEqual(Array(partitions).fill(at));
  await driver.close();
  await engine.close();
});

test('with engines that come, go and are cut off, a step still ends only when all that it caused is decided everywhere', async () => {
  const door = await openDoor(nc, { name: 'several', partitions });
  const driver = await openDriver(nc, { partitions });
  const pot = accountAddress('pot');
  const givers = Array.from({ length: 8 }, (_, i) => accountAddress(`giver-${i}`));
  let sent = 0;
  let at = driver.now;
  const living = [await start()];
  const balance = () => {
    const owner = living.flatMap((engine) => engine.owners).find(({ state }) => state.entity('account', 'pot'));
    return (owner?.state.get<Account>('account', 'pot')?.context.balance ?? 0) + 0;
  };
  const rounds = async (count: number) => {
    for (let n = 0; n < count; n++) {
      // Nobody waits for an answer: all of it is under way when the clock is asked to go on.
      for (const to of givers)
        await door.append({ id: null, to, type: 'transfer', body: { to: pot.id, amount: 1 }, fact: true });
      sent += givers.length;
      await driver.step((at += 10_000));
      expect(balance()).toBe(sent);
    }
  };
  await rounds(3);
  living.push(await start());
  await rounds(3);
  const proxy = await startTestProxy(nats.port);
  const third = await start(proxy.url);
  living.push(third);
  await rounds(3);
  for (let n = 0; n < 5; n++) await Promise.all([rounds(1), n === 1 ? living.shift()!.close() : undefined]);
  living.splice(living.indexOf(third), 1);
  await Promise.all([proxy.stop(), rounds(3)]);
  await door.close();
  await driver.close();
  void third.close().catch(() => undefined);
  await Promise.all(living.map((engine) => engine.close()));
});
