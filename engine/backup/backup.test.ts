/** Backups of an engine under load, by real servers, and what is refused. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient, type ClickHouseClient } from '@clickhouse/client';
import type { NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { customerAddress, domain } from '#actors/mod';
import { loadConfig } from '../config/config.ts';
import { startTestClickHouse, type TestClickHouse } from '../embedded/clickhouse/testing.ts';
import { openHistory, toRows, type HistoryStore, type HistoryTable } from '../history/mod.ts';
import { connectLog, openDoor, provision } from '../log/mod.ts';
import { startTestNats, type TestNats } from '../log/testing.ts';
import { startClickhouseSink, type SinkStore } from '../projections/clickhouse_sink.ts';
import { natsJournal } from '../projections/journal.ts';
import { startPublisher } from '../projections/publisher.ts';
import { startEngine } from '../roles/engine_role.ts';
import { restoreCommand } from '../supervisor/backup_command.ts';
import { replayCommand } from '../supervisor/replay_command.ts';
import { makeBackup } from './backup.ts';
import type { Manifest } from './manifest.ts';
import { beginRestore, checkBackup, endRestore, restoreServers, restoreSettings } from './restore.ts';

const partitions = 3;
const logScale = 0.05;
const customers = Array.from({ length: 9 }, (_, i) => `customer-${i}`);
const home = mkdtempSync(join(tmpdir(), 'gridtick-backup-'));
const dataDir = join(home, 'data');
const directory = join(home, 'backup');
const quiet = () => {};

interface Servers {
  nats: TestNats;
  clickhouse: TestClickHouse;
  nc: NatsConnection;
  client: ClickHouseClient;
}
const running: Servers[] = [];
async function startServers(): Promise<Servers> {
  const [nats, clickhouse] = await Promise.all([startTestNats(), startTestClickHouse()]);
  const { url, user: username, password } = clickhouse;
  const servers = {
    nats,
    clickhouse,
    nc: await connectLog(nats.url, 'test'),
    client: createClient({ url, username, password }),
  };
  running.push(servers);
  return servers;
}

/** Engine, sink and publisher, as the roles run them. */
async function startRoles({ nats, nc, clickhouse }: Servers) {
  const failures: string[] = [];
  const onFatal = (error: unknown) => void failures.push(String(error));
  const engine = await startEngine({
    config: { natsUrl: nats.url, partitions },
    domain,
    log: pino({ level: 'silent' }),
    sinks: [],
    onFatal,
  });
  const history: HistoryStore = await openHistory(clickhouse);
  const store: SinkStore = {
    insert: (table, rows) => history.insert(table as HistoryTable, rows as never[]),
    putAside: (rows) => history.putAside(rows),
    readPositions: () => history.readPositions(),
    writePositions: (positions) => history.writePositions(positions),
  };
  const journal = natsJournal(nc, partitions);
  const publisher = await startPublisher(nc, journal, { onFatal });
  const sink = await startClickhouseSink(store, journal, { rowsOf: toRows, onFatal, positionsMs: 50, lingerMs: 20 });
  return {
    engine,
    history,
    failures,
    async close() {
      await sink.close();
      await publisher.close();
      await engine.close();
      await history.close();
    },
  };
}

/** Without versions: these count records, and after a restore many commands are decided in one. */
const states = ({ owners }: Awaited<ReturnType<typeof startEngine>>) =>
  owners.map(({ state }) =>
    [...state.entities.values()].flatMap((ofKind) =>
      [...ofKind.values()].map(({ kind, id, stored }) => ({ kind, id, stored })),
    ),
  );

/** Asks for what may have been done before, too: that is refused, and changes nothing. */
async function deposits(nc: NatsConnection, from: number, to: number, isRepeated = false) {
  const door = await openDoor(nc, { name: `test-${from}`, partitions });
  const round = (n: number) =>
    customers.map((customer) =>
      door.request({
        id: `test:${n}`,
        to: customerAddress(customer),
        type: n === 1 ? 'customer.open' : 'customer.deposit',
        body: n === 1 ? { name: customer } : { amountE5Sek: n * 1_000 },
        timeoutMs: 20_000,
      }),
    );
  for (let n = from; n < to; n += 10) {
    const results = await Promise.all(Array.from({ length: Math.min(10, to - n) }, (_, i) => round(n + i)).flat());
    if (!isRepeated) expect(results.filter(({ ok }) => !ok)).toEqual([]);
  }
  await door.close();
}

let source: Servers;
let manifest: Manifest;
let next = 0;

const installed = ({ nc, client }: Servers) => ({
  nc,
  clickhouse: client,
  partitions,
  clock: 'wall' as const,
  domain,
});

beforeAll(async () => {
  source = await startServers();
  await provision(source.nc, { partitions, scale: logScale });
  mkdirSync(dataDir);
  writeFileSync(join(dataDir, 'installation.json'), '{"scenario":"demo","partitions":3}');
  writeFileSync(join(dataDir, 'secrets.json'), '{"nats":"hush"}');
  const roles = await startRoles(source);
  await deposits(source.nc, 1, 20);
  for (const owner of roles.engine.owners) await owner.snapshot();
  let loading = true;
  const load = (async () => {
    for (next = 20; loading; next++) await deposits(source.nc, next, next + 1);
  })();
  manifest = await makeBackup({ ...installed(source), dataDir }, directory);
  loading = false;
  await load;
  await roles.close();
  expect(roles.failures).toEqual([]);
}, 180_000);
afterAll(async () => {
  for (const { nc, client, nats, clickhouse } of running) {
    await nc.close();
    await client.close();
    await Promise.all([nats.stop(), clickhouse.stop()]);
  }
  rmSync(home, { recursive: true, force: true });
}, 60_000);

test(
  'a backup under load becomes the same installation, which goes on where the other was',
  { timeout: 180_000 },
  async () => {
    const target = await startServers();
    const restored = join(home, 'restored');
    expect(await checkBackup(directory)).toEqual(manifest);
    beginRestore(restored, manifest);
    restoreSettings(restored, directory, manifest);
    // Hashes, dense journals and the ledger hash at the cut are compared in here.
    await restoreServers(installed(target), directory, manifest);
    endRestore(restored, directory, manifest);
    for (const name of ['installation.json', 'secrets.json'])
      expect(readFileSync(join(restored, name), 'utf8')).toBe(readFileSync(join(dataDir, name), 'utf8'));
    // Commands that were stored again are decided at the time of their first storing: executed again, they give the same records.
    const replayed = loadConfig({ GRIDTICK_NATS_URL: target.nats.url, GRIDTICK_PARTITIONS: String(partitions) });
    expect(await replayCommand(replayed, ['--verify'], quiet, quiet)).toBe(0);
    expect(manifest.streams.some(({ config, tail }) => config.name.startsWith('C_') && tail.length > 0)).toBe(true);
    expect(manifest.logScale).toBe(logScale);
    expect(manifest.cut.every(({ offset }) => offset > 0)).toBe(true);

    // Commands behind the cut that are in the copied log are decided; those that are not are asked for again by whoever sent
    // them. After that both are the same.
    const roles = await startRoles(target);
    await deposits(target.nc, 1, next, true);
    const other = await startRoles(source);
    expect(states(roles.engine)).toEqual(states(other.engine));
    const query =
      'SELECT customer, ledger, account, sum(amount) AS sum, count() AS n FROM ledger_entries GROUP BY ALL ORDER BY ALL';
    const read = async ({ client }: Servers) =>
      (
        await client.query({ query: query.replace('ledger_entries', 'gridtick.ledger_entries'), format: 'JSONEachRow' })
      ).json();
    const wanted = await read(source);
    expect(wanted.length).toBeGreaterThan(0);
    await expect.poll(() => read(target), { timeout: 20_000 }).toEqual(wanted);
    await roles.close();
    await other.close();
    expect([roles.failures, other.failures]).toEqual([[], []]);
    // The same servers do not take it twice.
    await expect(restoreServers(installed(target), directory, manifest)).rejects.toMatchObject({ code: 'not_empty' });
  },
);

test.each([
  ['a flipped byte', 'file_damaged', (copy: string) => flip(join(copy, 'log', 'J_1.image.000'))],
  ['a file that is cut off', 'file_damaged', (copy: string) => truncateSync(join(copy, 'log', 'C_0.image.000'), 10)],
  ['a missing file', 'file_missing', (copy: string) => rmSync(join(copy, 'history', 'sink_positions.tsv.gz.000'))],
  ['a manifest that is cut off', 'bad_manifest', (copy: string) => truncateSync(join(copy, 'manifest.json'), 400)],
  ['a changed manifest', 'bad_manifest', (copy: string) => flip(join(copy, 'manifest.json'))],
  ['no manifest', 'no_backup', (copy: string) => rmSync(join(copy, 'manifest.json'))],
])('%s is refused before anything is written', async (_, code, damage) => {
  const copy = mkdtempSync(join(home, 'damaged-'));
  cpSync(directory, copy, { recursive: true });
  damage(copy);
  const nowhere = join(home, 'nowhere');
  const restore = restoreCommand(loadConfig({ GRIDTICK_DATA_DIR: nowhere }), [copy], quiet, quiet);
  await expect(restore).rejects.toMatchObject({ name: 'BackupRefused', code });
  expect(existsSync(nowhere)).toBe(false);
});

test('neither a backup nor a restore writes into a directory that holds something', async () => {
  const before = readdirSync(directory);
  await expect(makeBackup({ ...installed(source), dataDir }, directory)).rejects.toMatchObject({ code: 'not_empty' });
  expect(readdirSync(directory)).toEqual(before);
  expect(() => beginRestore(dataDir, manifest)).toThrow(/holds installation.json/);
});

function flip(file: string) {
  const bytes = readFileSync(file);
  const at = Math.floor(statSync(file).size / 2);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}
