import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import {
  commandBounds,
  connectLog,
  journalBounds,
  openDoor,
  provision,
  purgeCommands,
  purgeJournal,
} from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { startEngine } from './engine_role.ts';

const nats = await startTestNats();
const partitions = 1;
const nc = await connectLog(nats.url, 'purge test');
await provision(nc, { partitions });
const failures: Error[] = [];
const start = () =>
  startEngine({
    config: { natsUrl: nats.url, partitions },
    // Without slots: an idle journal stays as short as it is.
    domain: { ...tallyDomain, slots: [] },
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error as Error),
    sinks: [],
  });
const address = accountAddress('a');

async function adds(count: number) {
  const door = await openDoor(nc, { name: 'test', partitions });
  let value: unknown;
  for (let i = 0; i < count; i++) {
    const result = await door.request({ id: null, to: address, type: 'add', body: { amount: 1 } });
    value = result.ok ? result.value : result.code;
  }
  await door.close();
  return value;
}

afterAll(async () => {
  await nc.close();
  await nats.stop();
});

test('an engine starts behind a purge that left a few records only', async () => {
  const first = await start();
  expect(await adds(40)).toBe(40);
  const [owner] = first.owners;
  await owner!.snapshot();
  expect(await adds(1)).toBe(41);
  await owner!.snapshot();
  const { commands, journal } = owner!.purgeable;
  await purgeCommands(nc, 0, commands);
  await purgeJournal(nc, 0, journal);
  await first.close();
  const bounds = await journalBounds(nc, 0);
  expect(bounds.last - bounds.first).toBeLessThan(16);
  const second = await start();
  expect(await adds(1)).toBe(42);
  await second.close();
  expect(failures).toEqual([]);
});

test('commands that are gone before they were applied end the ownership with an error', async () => {
  const door = await openDoor(nc, { name: 'test', partitions });
  for (let i = 0; i < 5; i++)
    await door.append({ id: null, to: address, type: 'add', body: { amount: 1 }, fact: true });
  await purgeCommands(nc, 0, (await commandBounds(nc, 0)).last);
  const engine = await start();
  await expect.poll(() => failures.map((error) => error.name), { timeout: 10_000 }).toEqual(['SequenceGone']);
  await engine.close();
  await door.close();
});
