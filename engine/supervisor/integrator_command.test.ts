/** `gridtick integrator` beside a running installation, of which only nats-server is there. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig, type Config } from '../config/config.ts';
import { connectLog, integratorApiPrefix, integratorCommands, provision, publicKinds } from '../log/mod.ts';
import { integratorConsumer } from '../log/accounts_scope.ts';
import { startInstallation, type Installation } from './installation.ts';
import { integratorCommand } from './integrator_command.ts';
import { integratorScopes, readIntegrators } from './integrators.ts';
import { natsUrl, realParts } from './parts.ts';

let dir = '';
let config: Config;
let said: string[] = [];
let installation: Installation | null = null;
const run = (...args: string[]) => integratorCommand(config, args, (line) => said.push(line));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gridtick-integrators-'));
  said = [];
  config = loadConfig({
    GRIDTICK_DATA_DIR: dir,
    ...Object.fromEntries(['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0'])),
    GRIDTICK_PARTITIONS: '2',
    GRIDTICK_LOG_SCALE: '0.02',
  });
});
afterEach(async () => {
  await installation?.stop();
  installation = null;
  rmSync(dir, { recursive: true, force: true });
});

const start = async () =>
  (installation = await startInstallation({
    config,
    parts: {
      servers: (place) => realParts.servers(place).filter(({ role }) => role === 'nats'),
      provision: async (place) => {
        const nc = await connectLog(natsUrl(place), 'test');
        await provision(nc, { partitions: 2, scale: 0.02 });
        await nc.close();
        await realParts.provision(place);
      },
      roles: () => [],
      seed: () => [],
      fleet: () => [],
    },
  }));

test('an integrator is added to what runs, is asked and answered at once, and removed again', async () => {
  const { endpoints, place } = await start();
  const core = await connectLog(natsUrl(place), 'core');
  core.subscribe('in.>', { queue: 'gateways', callback: (_, m) => void m.respond('an answer') });
  await core.flush();

  await run('add', 'acme', '--hears', 'price,battery', '--customers', 'anna', '--commands', 'order.quote,order.buy');
  const [, password = ''] = /^user acme, password (\S+)$/.exec(said.at(-1)!)!;
  const url = endpoints.nats.replace('//', `//acme:${password}@`);
  const acme = await connectLog(url, 'acme', { waitForFirst: false });
  expect((await acme.request('in.acme.customer.anna', '{}', { timeout: 2_000 })).string()).toBe('an answer');
  const stored = await jetstream(acme, { apiPrefix: integratorApiPrefix }).consumers.get(
    'BATTERY',
    integratorConsumer('acme', 'anna'),
  );
  expect((await stored.info()).num_pending).toBe(0);
  expect(integratorScopes(config).at(-1)).toEqual({
    user: 'acme',
    hears: ['price', 'battery'],
    commands: ['order.quote', 'order.buy'],
    customers: ['anna'],
  });
  await acme.close();

  await run('remove', 'acme');
  await expect(connectLog(url, 'acme', { waitForFirst: false })).rejects.toThrow(/Authorization/i);
  expect(integratorScopes(config).map(({ user }) => user)).toEqual(['integrator']);
  expect(core.isClosed()).toBe(false);
  await core.close();
});

test('added while nothing runs, it is there at the next start', async () => {
  await run('add', 'night', '--commands', 'all', '--customers', 'all', '--hears', 'price');
  expect(said).toEqual([
    'nothing runs on this data: in force from the next start',
    expect.stringMatching(/^user night, password [\w-]{24}$/),
  ]);
  expect(statSync(join(dir, 'integrators.json')).mode & 0o777).toBe(0o600);
  const password = readIntegrators(dir)[0]!.password;
  const { endpoints } = await start();
  const night = await connectLog(endpoints.nats.replace('//', `//night:${password}@`), 'night', {
    waitForFirst: false,
  });
  await night.close();
  expect(statSync(join(dir, 'nats/accounts.conf')).mode & 0o777).toBe(0o600);
  said = [];
  await run('list');
  expect(said[1]).toBe(`night\n  hears      price\n  commands   ${integratorCommands.join(', ')}\n  customers  all`);
});

test.each([
  [['add'], 'gridtick integrator add NAME'],
  [[], 'gridtick integrator add NAME'],
  [['add', 'integrator'], "'integrator' belongs to the installation itself"],
  [['add', 'core'], "'core' belongs to the installation itself"],
  [['add', 'a.b'], "user cannot be 'a.b'"],
  [['add', 'acme', '--hears', 'price,gossip'], "hears cannot be 'gossip'"],
  [['add', 'acme', '--commands', 'customer.credit'], "commands cannot be 'customer.credit'"],
  [['add', 'acme', '--speed', '9'], '--speed'],
  [['remove', 'acme'], "there is no integrator 'acme'"],
])('%j is refused in words and changes nothing', async (args, why) => {
  await expect(run(...args)).rejects.toThrow(why);
  expect(readIntegrators(dir)).toEqual([]);
});

test('a name is given once, and a damaged file is not taken for an empty one', async () => {
  await run('add', 'acme');
  const before = readFileSync(join(dir, 'integrators.json'), 'utf8');
  await expect(run('add', 'acme')).rejects.toThrow("there is an integrator 'acme' already");
  expect(readFileSync(join(dir, 'integrators.json'), 'utf8')).toBe(before);
  writeFileSync(join(dir, 'integrators.json'), before.replace('"price"', '"gossip"'));
  await expect(run('add', 'other')).rejects.toThrow('integrators.json is damaged at /0/hears/0');
  writeFileSync(join(dir, 'integrators.json'), before.slice(0, 20));
  await expect(run('list')).rejects.toThrow('is damaged: restore it from a copy');
});

test('the integrator of every installation may everything in a demo, else only hear what is about no customer', () => {
  const [demo] = integratorScopes({ demo: true, dataDir: dir });
  expect(demo).toEqual({
    user: 'integrator',
    hears: [...publicKinds],
    commands: [...integratorCommands],
    customers: 'all',
  });
  const [real] = integratorScopes({ demo: false, dataDir: dir });
  expect(real?.commands).toEqual([]);
  expect(real?.hears).not.toEqual(expect.arrayContaining(['battery']));
  expect(real?.hears).toContain('price');
});
