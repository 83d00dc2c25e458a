import { afterAll, expect, test } from 'vitest';
import { connectLog, internal, openDoor, provision, ringPublisher } from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { startEngine } from '../roles/engine_role.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import pino from 'pino';
import { encodeRecord, genesisHash } from './record.ts';
import { verifyPartitions } from './verify.ts';

const nats = await startTestNats();
const partitions = 3;
const nc = await connectLog(nats.url, 'verify test');
await provision(nc, { partitions });
const config = { natsUrl: nats.url, partitions };
const options = { config, domain: tallyDomain, log: pino({ level: 'silent' }), sinks: [] };

afterAll(async () => {
  await nc.close();
  await nats.stop();
});

test('journals written by an engine, its successor and a snapshot in between are clean, and the state goes on', async () => {
  const failures: unknown[] = [];
  const run = async (work: (send: (id: string, amount: number) => Promise<unknown>) => Promise<void>) => {
    const engine = await startEngine({ ...options, onFatal: (error) => failures.push(error) });
    const door = await openDoor(nc, { name: 'test', partitions });
    await work(async (id, amount) => door.request({ id: null, to: accountAddress(id), type: 'add', body: { amount } }));
    for (const owner of engine.owners) await owner.snapshot();
    await door.close();
    await engine.close();
  };
  const ids = Array.from({ length: 30 }, (_, i) => `account-${i}`);
  await run(async (send) => {
    await Promise.all(ids.map((id, i) => send(id, i)));
  });
  await run(async (send) => {
    expect(await Promise.all(ids.map((id) => send(id, 100)))).toMatchObject(
      ids.map((_, i) => ({ ok: true, value: i + 100 })),
    );
  });
  // The third recovers from the snapshot of the second.
  await run(async (send) => {
    expect(await send('account-7', 1)).toMatchObject({ ok: true, value: 108 });
  });
  const verdicts = await verifyPartitions(nc, [0, 1, 2]);
  expect(verdicts.flatMap((verdict) => verdict.problems)).toEqual([]);
  expect(verdicts.map((verdict) => verdict.epochs)).toEqual([3, 3, 3]);
  expect(failures).toEqual([]);
});

test('a record that is not what its hash says, or skips a version, is named with its sequence', async () => {
  const publisher = ringPublisher(nc);
  const [before] = await verifyPartitions(nc, [0]);
  const forged = encodeRecord(
    {
      kind: 'epoch',
      owner: 'x',
      build: 'x',
      epoch: before!.epochs + 1,
      batch: 0,
      offset: 1_000_000,
      now: 2_000_000_000_000,
      writers: {},
      relayAcked: {},
      timers: { set: [], del: [], fired: [] },
      relays: [],
      effects: [],
      events: [],
      replies: [],
      snapshot: null,
      cut: null,
      origins: [],
      entities: [{ kind: 'account', id: 'forged', version: 7, schema: 1, image: ['open', 1, 1, 1, 1, 1, ''] }],
    },
    genesisHash,
  );
  await publisher.publish(internal.journal(0), Uint8Array.from(forged.bytes));
  publisher.close();
  const [verdict] = await verifyPartitions(nc, [0]);
  const at = `0:${verdict!.last}`;
  expect(verdict!.problems).toEqual([
    `${at} does not follow the hash chain`,
    `${at} account/forged has version 7 after 0`,
  ]);
});
