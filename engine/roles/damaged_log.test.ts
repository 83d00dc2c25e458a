/** Files of the log that are not what nats-server left there: a partition is not served, says why, and all others are. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { partitionOf } from '#actors/partition_key';
import {
  connectLog,
  internal,
  journalBounds,
  openDoor,
  provision,
  readRange,
  ringPublisher,
  watchConnection,
} from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { cutOff, flipBit, messageFile } from '../log/testing_store.ts';
import { verifyPartitions } from '../partition/verify.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { startEngine, type Engine } from './engine_role.ts';

type Address = ReturnType<typeof accountAddress>;

const partitions = 2;
/** Files of the one are damaged; the other one works. */
const [damaged, beside] = [0, 1];
/** An account in each. */
const accountIn = (partition: number) =>
  [...'abcdefghij'].map(accountAddress).find(({ key }) => partitionOf(key, partitions) === partition)!;
const accounts = { damaged: accountIn(damaged), beside: accountIn(beside) };
const home = mkdtempSync(join(tmpdir(), 'gridtick-damage-'));
/** Stores of a server that was killed, and of one that ended in order: it trusts its own index then. */
const stores = { killed: join(home, 'killed'), ended: join(home, 'ended') };
const failures: Error[] = [];
let nats: TestNats;
let nc: NatsConnection;
let engine: Engine;

const start = () =>
  startEngine({
    config: { natsUrl: nats.url, partitions },
    domain: { ...tallyDomain, slots: [] },
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error as Error),
    sinks: [],
  });

async function open(storeDir: string) {
  nats = await startTestNats({ storeDir });
  nc = await connectLog(nats.url, 'damage test');
}

async function adds(count: number, to: Address) {
  const door = await openDoor(nc, { name: 'test', partitions });
  for (let i = 0; i < count; i++) {
    const result = await door.request({ id: null, to, type: 'add', body: { amount: 1 } });
    expect(result.ok).toBe(true);
  }
  await door.close();
}

/** What the publisher of a public stream says of the journal. */
async function mark(sequence: number) {
  const publisher = ringPublisher(nc);
  const text = JSON.stringify({ publisher: 'test', positions: [[0, sequence]], ahead: [] });
  await publisher.publish(internal.publicPosition('PRICE'), new TextEncoder().encode(text));
  publisher.close();
}

/** A server on a store that something was done to while it was down. */
async function openDamaged(storeDir: string, stream: string, how: (file: string) => void) {
  const copy = mkdtempSync(join(home, 'copy-'));
  cpSync(storeDir, copy, { recursive: true });
  how(messageFile(copy, stream));
  await open(copy);
}

beforeAll(async () => {
  await open(stores.ended);
  await provision(nc, { partitions });
  engine = await start();
  await adds(60, accounts.damaged);
  await engine.close();
  await mark((await journalBounds(nc, damaged)).last);
  // At rest its files are those that kill -9 leaves.
  cpSync(stores.ended, stores.killed, { recursive: true });
  await nats.leave();
  await nc.close();
  await nats.stop();
});

afterEach(async () => {
  await engine.close();
  await nc.close();
  await nats.stop();
  expect(failures.splice(0)).toEqual([]);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What is wrong with the damaged partition; the other one is served meanwhile, and the engine says that it is not whole. */
async function unserved() {
  await adds(1, accounts.beside);
  await expect(engine.probes.partitions!()).rejects.toThrow(/^cannot serve partition 0 \(/);
  expect(engine.owners.map(({ partition }) => partition)).toEqual([beside]);
  return engine.unserved.get(damaged);
}

test('a journal that lost its end is not gone on with: a public stream was written from more of it', async () => {
  await openDamaged(stores.killed, 'J_0', (file) => cutOff(file, 2 / 3));
  const { last } = await journalBounds(nc, 0);
  engine = await start();
  expect(await unserved()).toMatchObject({ name: 'LogWentBack', code: 'log_went_back', stream: 'J_0' });
  expect((await journalBounds(nc, 0)).last).toBe(last);
  const [verdict] = await verifyPartitions(nc, [0]);
  expect(verdict!.problems).toEqual([expect.stringMatching(new RegExp(`^J_0 ends at ${last}, and PRICE was written`))]);
});

test.each([
  ['LogWentBack', (file: string) => cutOff(file, 2 / 3)],
  ['LogDamaged', (file: string) => flipBit(file, 0.5)],
] as const)(
  'a journal that is damaged under its owner ends the ownership (%s) before anything is appended',
  async (name, how) => {
    await openDamaged(stores.killed, 'J_0', () => undefined);
    engine = await start();
    const { committed } = engine.owners[0]!;
    await nats.kill9();
    how(messageFile(nats.storeDir, 'J_0'));
    const back = new Promise<void>((resolve) => watchConnection(nc, { lost: () => undefined, back: resolve }));
    await nats.restart();
    await back;
    const { last, messages } = await journalBounds(nc, 0);
    expect(messages).toBeLessThan(committed.sequence);
    const door = await openDoor(nc, { name: 'test', partitions });
    await door.append({ id: null, to: accounts.damaged, type: 'add', body: { amount: 1 }, fact: true });
    await expect.poll(() => engine.unserved.get(damaged), { timeout: 20_000 }).toMatchObject({ name, stream: 'J_0' });
    expect((await journalBounds(nc, 0)).last).toBe(last);
    await door.close();
    await unserved();
  },
);

test('a flipped bit, for which the server drops all behind it, is noticed by what is missing', async () => {
  await openDamaged(stores.killed, 'J_0', (file) => flipBit(file, 0.5));
  engine = await start();
  expect((await unserved())?.message).toMatch(/J_0 (lacks 1 of its messages|went back)/);
  const [verdict] = await verifyPartitions(nc, [0]);
  expect(verdict!.problems).toEqual([
    expect.stringMatching(/^J_0 ends at \d+, and PRICE was written up to/),
    expect.stringMatching(/cannot be read: J_0 lacks 1 of its messages/),
  ]);
});

test('a flipped bit under an index that hides it is named with its record, and no reader waits for it for ever', async () => {
  await openDamaged(stores.ended, 'J_0', (file) => flipBit(file, 0.5));
  engine = await start();
  expect(await unserved()).toMatchObject({ name: 'LogDamaged', code: 'log_damaged', stream: 'J_0' });
  const { first, last } = await journalBounds(nc, 0);
  const [verdict] = await verifyPartitions(nc, [0]);
  expect(verdict!.problems).toEqual([expect.stringMatching(/J_0:\d+ is stored, and the server cannot read it/)]);
  await nc.flush();
  const read = async () => {
    for await (const _ of readRange(nc, 'J_0', first, last)) void _;
  };
  await expect(read()).rejects.toMatchObject({ name: 'LogDamaged' });
}, 20_000);

test('a damaged last record is named', async () => {
  await openDamaged(stores.ended, 'J_0', (file) => flipBit(file, 0.999));
  const { last } = await journalBounds(nc, 0);
  engine = await start();
  expect(await unserved()).toMatchObject({ name: 'LogDamaged', sequence: last });
  const [verdict] = await verifyPartitions(nc, [0]);
  expect(verdict!.problems).toEqual([expect.stringContaining(`J_0:${last} is stored, and the server cannot read it`)]);
}, 20_000);

test('a command log that ends before what was decided on it is not gone on with', async () => {
  await openDamaged(stores.killed, 'C_0', (file) => cutOff(file, 1 / 2));
  engine = await start();
  expect(await unserved()).toMatchObject({ name: 'LogWentBack', stream: 'C_0' });
});
