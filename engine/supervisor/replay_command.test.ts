/** A log on a real nats-server that is killed, an engine that is superseded, and what is left when everything is stopped. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import pino from 'pino';
import { customerAddress, domain } from '#actors/mod';
import { ConfigError, loadConfig, type Config } from '../config/config.ts';
import { openDoor, provision } from '../log/mod.ts';
import { startTestProxy } from '../log/testing.ts';
import { startEngine } from '../roles/engine_role.ts';
import { coreUser } from './endpoints.ts';
import { ledgerHashCommand } from './ledger_hash_command.ts';
import { withLog } from './log_access.ts';
import { PidFile } from './pid_file.ts';
import { replayCommand } from './replay_command.ts';
import { openSecrets } from './secrets.ts';

const partitions = 2;
const customers = Array.from({ length: 12 }, (_, i) => `customer-${i}`);
const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-replay-'));
const config: Config = loadConfig({
  GRIDTICK_DATA_DIR: dataDir,
  GRIDTICK_PARTITIONS: String(partitions),
  GRIDTICK_LOG_SCALE: '0.05',
});
let running = { exitCode: -1, hash: '' };

const quiet = () => {};
async function replay(args: readonly string[] = [], on = config) {
  const said: string[] = [];
  const exitCode = await replayCommand(on, ['--verify', ...args], (line) => said.push(line), quiet);
  return { exitCode, said };
}
async function ledgerHash(on = config) {
  const said: string[] = [];
  const exitCode = await ledgerHashCommand(on, ['--json'], (line) => said.push(line));
  return { exitCode, ...(JSON.parse(said[0]!) as { hash: string; problems: string[]; batches: number }) };
}

beforeAll(async () => {
  mkdirSync(join(dataDir, 'nats'), { recursive: true });
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  await withLog(config, 'test', async ({ nc }) => {
    await provision(nc, { partitions, scale: config.logScale });
    const natsUrl = `nats://${coreUser}:${openSecrets(dataDir).nats}@${nc.getServer()}`;
    const proxy = await startTestProxy(Number(nc.getServer().split(':').at(-1)));
    const engineOf = (url: string) =>
      startEngine({
        config: { natsUrl: url, partitions },
        domain,
        log: pino({ level: 'silent' }),
        sinks: [],
        onFatal: quiet,
      });
    const door = await openDoor(nc, { name: 'test', partitions });
    const deposit = (customer: string, n: number) =>
      door.request({
        id: `test:${n}`,
        to: customerAddress(customer),
        type: n === 1 ? 'customer.open' : 'customer.deposit',
        body: n === 1 ? { name: customer } : { amountE5Sek: n * 1_000 },
        timeoutMs: 20_000,
      });
    const all = async (n: number) =>
      expect((await Promise.all(customers.map((customer) => deposit(customer, n)))).map(({ ok }) => ok)).toEqual(
        customers.map(() => true),
      );
    const first = await engineOf(proxy.url.replace('//', `//${coreUser}:${openSecrets(dataDir).nats}@`));
    await all(1);
    await all(2);
    for (const owner of first.owners) await owner.snapshot();
    // The server dies with commands under way; then the engine is cut off, and superseded while it lives.
    const third = all(3);
    process.kill(PidFile.living(dataDir, 'nats')!, 'SIGKILL');
    await third;
    await proxy.stop();
    const second = await engineOf(natsUrl);
    await all(4);
    const on = { ...config, natsUrl };
    running = { exitCode: (await replay([], on)).exitCode, hash: (await ledgerHash(on)).hash };
    await door.close();
    await second.close();
    await first.close().catch(quiet);
  });
}, 120_000);
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

test('a running installation is verified up to where it was when asked', () => {
  expect(running.exitCode).toBe(0);
});

test('a stopped installation is verified as well: every record of every partition, in words and as JSON', async () => {
  const { exitCode, said } = await replay();
  expect([exitCode, said.filter((line) => line.startsWith('✗'))]).toEqual([0, []]);
  expect(said.filter((line) => /^✓ partition \d: \d+ records, 2 epochs/.test(line))).toHaveLength(partitions);
  expect(said.at(-1)).toMatch(/^clean: \d+ records verified, /);
  const { said: json } = await replay(['1', '--json']);
  expect(JSON.parse(json[0]!)).toMatchObject({
    exitCode: 0,
    clock: 'wall',
    partitions: [{ partition: 1, problems: [], segments: [{ from: 1, notVerified: null }] }],
  });
});

test('the ledger hash of the stopped installation is that of the running one, and its books add up', async () => {
  const { exitCode, hash, problems, batches } = await ledgerHash();
  expect([exitCode, problems, hash]).toEqual([0, [], running.hash]);
  // An opening and three deposits each.
  expect(batches).toBe(customers.length * 4);
});

test.each([
  ['C_0', /corruption: C_0:\d+ /],
  ['J_1', /corruption: J_1:\d+ /],
])('a bit that flipped on the disk in %s is reported with its place', { timeout: 60_000 }, async (stream, told) => {
  const folder = join(
    dataDir,
    'nats/jetstream',
    readdirSync(join(dataDir, 'nats/jetstream'))[0]!,
    'streams',
    stream,
    'msgs',
  );
  const file = join(
    folder,
    readdirSync(folder)
      .filter((name) => name.endsWith('.blk'))
      .sort((a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size)[0]!,
  );
  const sound = readFileSync(file);
  const damaged = Buffer.from(sound);
  const at = Math.floor(sound.length / 2);
  damaged[at] = damaged[at]! ^ 0x10;
  writeFileSync(file, damaged);
  try {
    const { exitCode, said } = await replay([stream.slice(2)]);
    expect([exitCode, said.find((line) => told.test(line)) !== undefined], said.join('\n')).toEqual([1, true]);
  } finally {
    writeFileSync(file, sound);
  }
});

test('wrong arguments and a folder without a log are refused in words', async () => {
  await expect(replayCommand(config, [], quiet, quiet)).rejects.toThrow(/--verify \[p\]/);
  await expect(replayCommand(config, ['--verify', 'x'], quiet, quiet)).rejects.toThrow(ConfigError);
  await expect(replayCommand(config, ['--verify', '--fast'], quiet, quiet)).rejects.toThrow(/--fast/);
  await expect(replayCommand(config, ['--verify', '7'], quiet, quiet)).rejects.toThrow('7 is no partition: 0 to 1');
  const empty = { ...config, dataDir: join(dataDir, 'nothing') };
  await expect(ledgerHashCommand(empty, [], quiet)).rejects.toThrow(/holds no log/);
});
