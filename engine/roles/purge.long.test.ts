/** A small log that is full again and again: the engine itself purges what nobody needs, by sequence, for minutes. */
import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import { bounds, commandBounds, connectLog, internal, journalBounds, openDoor, provision, stream } from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { packr } from '../wire.ts';
import { startEngine } from './engine_role.ts';

/** Overridden for hours: `GRIDTICK_TEST_PURGE_MINUTES=240 npm run test:long`. */
const minutes = Number(process.env.GRIDTICK_TEST_PURGE_MINUTES ?? 5);
const partitions = 2;
const accounts = Array.from({ length: 40 }, (_, i) => `account-${i}`);
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'purge test');

afterAll(async () => {
  await nc.close();
  await nats.stop();
});

test('nothing is lost or doubled while command log and journal are purged all the time', async () => {
  // C holds 540 KB, J 17 MB.
  await provision(nc, { partitions, scale: 0.004 });
  const failures: unknown[] = [];
  const start = () =>
    startEngine({
      config: { natsUrl: nats.url, partitions },
      domain: tallyDomain,
      log: pino({ level: 'silent' }),
      onFatal: (error) => failures.push(error),
      sinks: ['reader'],
    });
  let engine = await start();
  // A reader of the journal that is always behind: what it has not seen must stay.
  const seen = new Array<number>(partitions).fill(0);
  const reader = setInterval(() => {
    void (async () => {
      for (let p = 0; p < partitions; p++) {
        const { first, last } = await journalBounds(nc, p);
        expect(first).toBeLessThanOrEqual(seen[p]! + 1);
        seen[p] = Math.max(seen[p]!, last - 20);
      }
      const positions = seen.map((sequence, p) => [p, sequence]);
      nc.publish(internal.positions('reader'), packr.pack({ sink: 'reader', positions }));
    })().catch((error) => failures.push(error));
  }, 200);
  const door = await openDoor(nc, { name: 'test', partitions });
  for (const id of accounts)
    await door.request({ id: null, to: accountAddress(id), type: 'bloat', body: { bytes: 2_000 } });
  const expected = new Map<string, number>();
  const until = Date.now() + minutes * 60_000;
  let n = 0;
  await Promise.all(
    accounts.map(async (id, i) => {
      while (Date.now() < until && failures.length === 0) {
        const other = accounts[(i + ++n) % accounts.length]!;
        const isMove = n % 3 === 0 && other !== id;
        const result = await door.request({
          id: null,
          to: accountAddress(id),
          type: isMove ? 'transfer' : 'add',
          body: isMove ? { to: other, amount: 1 } : { amount: 1 },
          timeoutMs: 30_000,
          fact: true,
        });
        expect(result).toMatchObject({ ok: true });
        const by = isMove
          ? ([
              [id, -1],
              [other, 1],
            ] as const)
          : ([[id, 1]] as const);
        for (const [who, amount] of by) expected.set(who, (expected.get(who) ?? 0) + amount);
      }
    }),
  );
  const balances = () =>
    Object.fromEntries(
      engine.owners
        .flatMap(({ state }) => [...(state.entities.get('account')?.values() ?? [])])
        .map(({ id, stored }) => [id, (stored.context as unknown as Account).balance]),
    );
  await expect.poll(balances, { timeout: 30_000 }).toEqual(Object.fromEntries(expected));
  const purged = await Promise.all([commandBounds(nc, 0), journalBounds(nc, 0), bounds(nc, stream.snapshots(0))]);
  // Both were full several times over.
  for (const { first, bytes, bytesMax } of purged.slice(0, 2)) {
    expect(first).toBeGreaterThan(1);
    expect(bytes).toBeLessThan(bytesMax);
  }
  // What is left of the log is enough for a process that knows nothing.
  await engine.close();
  engine = await start();
  expect(balances()).toEqual(Object.fromEntries(expected));
  await engine.close();
  clearInterval(reader);
  await door.close();
  expect(failures).toEqual([]);
});
