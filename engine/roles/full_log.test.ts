/** Bounded streams that really fill up: a nats-server whose command log and journal hold some hundred records. */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import pino from 'pino';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  bounds,
  commandBounds,
  connectLog,
  internal,
  journalBounds,
  openDoor,
  provision,
  stream,
  type Door,
} from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { packr } from '../wire.ts';
import { startEngine, type Engine } from './engine_role.ts';

// Hundreds of commands one after the other, and several rounds of purging.
vi.setConfig({ testTimeout: 90_000 });
const KiB = 1024;
const address = accountAddress('a');
let nats: TestNats;
let nc: NatsConnection;
let engine: Engine;
let door: Door;
let acknowledged = 0;
let next = 1;
/** Ids of commands whose callers have no answer. */
const unanswered: string[] = [];
const failures: Error[] = [];
const said: Record<string, unknown>[] = [];

const start = () =>
  startEngine({
    config: { natsUrl: nats.url, partitions: 1 },
    domain: { ...tallyDomain, slots: [] },
    log: pino({ level: 'warn' }, { write: (line) => void said.push(JSON.parse(line) as Record<string, unknown>) }),
    onFatal: (error) => failures.push(error as Error),
    sinks: ['reader'],
  });

/** The reader that holds the journal back says that it has everything. */
async function readAll() {
  const { last } = await journalBounds(nc, 0);
  nc.publish(internal.positions('reader'), packr.pack({ sink: 'reader', positions: [[0, last]] }));
}

async function limit(name: string, bytes: number) {
  const { config } = (await nc.request(`$JS.API.STREAM.INFO.${name}`)).json<{ config: object }>();
  await nc.request(`$JS.API.STREAM.UPDATE.${name}`, JSON.stringify({ ...config, max_bytes: bytes }));
}

const balance = () =>
  (engine.owners[0]!.state.entities.get('account')!.get('a')!.stored.context as unknown as Account).balance;

async function add({ id = `series:${next}`, timeoutMs = 3_000, fact = false } = {}): Promise<string> {
  if (id === `series:${next}`) next += 1;
  const result = await door.request({ id, to: address, type: 'add', body: { amount: 1 }, fact, timeoutMs });
  if (result.ok) acknowledged += 1;
  else if (result.code === 'unavailable') unanswered.push(id);
  // Not stored: its number is free.
  else if (result.code === 'overloaded') next -= 1;
  return result.ok ? 'ok' : `${result.code}: ${JSON.stringify(result.detail)}`;
}

/** Adds until the door refuses for lack of room; far more than the streams hold. */
async function addUntilRefused(fact: boolean): Promise<string> {
  for (let n = 0; n < 2_000; n++) {
    const said = await add({ fact });
    if (said.startsWith('overloaded')) return said;
  }
  return 'never';
}

/** Whoever got no answer asks again under the id, and gets the one that was decided. */
async function askAgain() {
  for (const id of unanswered.splice(0)) expect(await add({ id, timeoutMs: 10_000 })).toBe('ok');
}

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'full log test');
  await provision(nc, { partitions: 1, scale: 0.02 });
  await limit(stream.journal(0), 512 * KiB);
  await limit(stream.commands(0), 32 * KiB);
  engine = await start();
  door = await openDoor(nc, { name: 'test', partitions: 1 });
  await door.request({ id: null, to: address, type: 'bloat', body: { bytes: 2_000 } });
});
afterAll(async () => {
  await door.close();
  await engine.close();
  await nc.close();
  await nats.stop();
});

test('a load far beyond the journal is refused, facts too, while a reader holds the journal back', async () => {
  expect(await addUntilRefused(false)).toMatch(/^overloaded: .* journal \d+ %; reader holds it/);
  expect(await addUntilRefused(true)).toMatch(/^overloaded: .*reader holds it/);
  const j = await journalBounds(nc, 0);
  expect(acknowledged).toBeGreaterThan(100);
  expect(door.engineLagMs(0)).toBe(Infinity);
  expect(j.first).toBe(1);
  expect(j.bytes).toBeLessThan(j.bytesMax);
  expect(said).toContainEqual(
    expect.objectContaining({ stream: 'J_0', heldBy: 'reader', msg: expect.stringMatching(/stream/) }),
  );
});

test('it goes on once the reader has come, and again and again under the same bounds', async () => {
  const reader = setInterval(() => void readAll().catch((error: Error) => failures.push(error)), 50);
  await expect.poll(() => door.engineLagMs(0), { timeout: 10_000 }).toBeLessThan(1_000);
  await askAgain();
  const before = acknowledged;
  // Several times what both streams hold.
  while (acknowledged - before < 400) {
    await add();
    await setImmediate();
  }
  clearInterval(reader);
  await askAgain();
  expect((await journalBounds(nc, 0)).first).toBeGreaterThan(300);
  expect((await commandBounds(nc, 0)).first).toBeGreaterThan(100);
  expect(balance()).toBe(acknowledged);
});

test('a record that the server refuses for lack of room is appended when there is some, and its caller gets the answer', async () => {
  await readAll();
  await expect
    .poll(async () => (await bounds(nc, stream.journal(0))).bytes, { timeout: 10_000 })
    .toBeLessThan(128 * KiB);
  said.length = 0;
  await limit(stream.journal(0), (await bounds(nc, stream.journal(0))).bytes + 1_000);
  const answer = add({ timeoutMs: 20_000 });
  const full = { msg: 'journal_full', reason: expect.stringContaining('maximum bytes') as string };
  await expect.poll(() => said, { timeout: 10_000 }).toContainEqual(expect.objectContaining(full));
  await limit(stream.journal(0), 512 * KiB);
  expect(await answer).toBe('ok');
  expect(balance()).toBe(acknowledged);
});

test('an engine that ends while the journal is full leaves nothing behind, and the next one waits like it', async () => {
  await readAll();
  await expect.poll(() => door.engineLagMs(0), { timeout: 10_000 }).toBeLessThan(1_000);
  said.length = 0;
  // More than the journal takes, at once.
  const ids = Array.from({ length: 6 }, () => randomUUID());
  const bloatAll = (timeoutMs: number) =>
    Promise.all(
      ids.map((id, n) =>
        door.request({
          id,
          to: accountAddress(`b${n}`),
          type: 'bloat',
          body: { bytes: 100_000 },
          fact: true,
          timeoutMs,
        }),
      ),
    );
  expect((await bloatAll(2_000)).map((result) => (result.ok ? 'ok' : result.code))).toContain('unavailable');
  expect(said.map(({ msg }) => msg)).toContain('journal_full');
  await engine.close();
  const reader = setInterval(() => void readAll().catch((error: Error) => failures.push(error)), 50);
  engine = await start();
  await expect.poll(() => door.engineLagMs(0), { timeout: 10_000 }).toBeLessThan(1_000);
  await expect
    .poll(async () => (await bloatAll(5_000)).every(({ ok }) => ok), { timeout: 20_000, interval: 200 })
    .toBe(true);
  await askAgain();
  clearInterval(reader);
  expect(balance()).toBe(acknowledged);
  expect(failures).toEqual([]);
});

test('a journal that is full to the brim is purged up to the only snapshot that its owner knows', async () => {
  await readAll();
  await expect.poll(() => door.engineLagMs(0), { timeout: 10_000 }).toBeLessThan(1_000);
  for (let n = 0; n < 20; n++) expect(await add({ timeoutMs: 10_000 })).toBe('ok');
  await engine.owners[0]!.snapshot();
  // Behind a new start its owner knows the one it began with, and no other.
  await engine.close();
  engine = await start();
  expect(engine.owners[0]!.purgeable.journal).toBe(0);
  await readAll();
  said.length = 0;
  const { first, bytes } = await journalBounds(nc, 0);
  await limit(stream.journal(0), bytes + 100);
  const answer = add({ timeoutMs: 20_000 });
  await expect.poll(() => said, { timeout: 10_000 }).toContainEqual(expect.objectContaining({ msg: 'journal_full' }));
  expect(await answer).toBe('ok');
  expect((await journalBounds(nc, 0)).first).toBeGreaterThan(first);
  expect(balance()).toBe(acknowledged);
});
