import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import pino from 'pino';
import { loadConfig } from '../config/config.ts';
import {
  anyPositions,
  commandBounds,
  connectLog,
  journalBounds,
  openDoor,
  provision,
  purgeCommands,
  purgeJournal,
} from '../log/mod.ts';
import { startTestNats } from '../log/testing.ts';
import { decodeRecord, genesisHash, verifyChain } from '../partition/record.ts';
import type { SinkPositions } from '../projections/positions_feed.ts';
import { archiveOfCommands, archiveOfJournal } from '../projections/sinks.ts';
import { startEngine } from '../roles/engine_role.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { archiveCommand } from '../supervisor/archive_command.ts';
import { packr } from '../wire.ts';
import { archiveOnce, listArchive, readArchive, readSnapshots } from './archive.ts';

const home = mkdtempSync(join(tmpdir(), 'gridtick-archive-'));
const directory = join(home, 'archive');
const nats = await startTestNats();
const nc = await connectLog(nats.url, 'archive test');
const scale = 0.002;

afterAll(async () => {
  await nc.close();
  await nats.stop();
  rmSync(home, { recursive: true, force: true });
});

test('every record is in the archive although the log is purged all the time, and its hash chain holds', async () => {
  await provision(nc, { partitions: 1, scale });
  const failures: unknown[] = [];
  const engine = await startEngine({
    config: { natsUrl: nats.url, partitions: 1 },
    domain: { ...tallyDomain, slots: [] },
    log: pino({ level: 'silent' }),
    onFatal: (error) => failures.push(error),
    sinks: [],
  });
  const [owner] = engine.owners;
  const door = await openDoor(nc, { name: 'test', partitions: 1 });
  const work = async (count: number) => {
    for (let i = 0; i < count; i++)
      await door.request({ id: null, to: accountAddress(`a${i % 9}`), type: 'add', body: { amount: 1 } });
  };
  const purge = async () => {
    await owner!.snapshot();
    const { commands, journal } = owner!.purgeable;
    const { last: archivedJ = 0 } = listArchive(directory, 0)[0]!.segments.at(-1) ?? {};
    const { last: archivedC = 0 } = listArchive(directory, 0)[1]!.segments.at(-1) ?? {};
    await purgeCommands(nc, 0, Math.min(commands, archivedC));
    await purgeJournal(nc, 0, Math.min(journal, archivedJ));
  };
  for (let round = 0; round < 4; round++) {
    await work(150);
    await archiveOnce(nc, 1, directory, { segmentBytes: 8_192 });
    await purge();
    // As an archive that was killed leaves it: half a segment, half a line.
    writeFileSync(join(directory, 'J_0', 'open.000'), 'half a segment');
    appendFileSync(join(directory, 'J_0', 'index.jsonl'), '{"first":12,');
  }
  await engine.close();
  await door.close();
  expect(failures).toEqual([]);
  expect((await journalBounds(nc, 0)).first).toBeGreaterThan(1);

  const [journal, commands] = listArchive(directory, 0);
  expect([journal!.missing, commands!.missing]).toEqual([[], []]);
  expect(journal!.segments.length).toBeGreaterThan(2);
  let hash = genesisHash;
  let next = 1;
  for await (const { sequence, bytes } of readArchive(directory, 'J_0')) {
    expect(sequence).toBe(next++);
    expect(verifyChain(bytes, hash)).toBe(true);
    ({ hash } = decodeRecord(bytes));
  }
  expect(next - 1).toBe(journal!.segments.at(-1)!.last);
  expect(next).toBeGreaterThan((await journalBounds(nc, 0)).first);
  expect(readSnapshots(directory, 0)).toMatchObject([{ day: new Date().toISOString().slice(0, 10), chunks: 1 }]);
});

test('what is archived is listed with its hashes; a flipped byte is refused, and what came too late is said', async () => {
  const config = loadConfig({ GRIDTICK_NATS_URL: nats.url, GRIDTICK_PARTITIONS: '1' });
  const run = async (...args: string[]) => {
    const said: string[] = [];
    const exitCode = await archiveCommand(config, [directory, ...args], (line) => said.push(line));
    return { exitCode, said };
  };
  const { exitCode, said } = await run('--list');
  expect([exitCode, said[0]]).toEqual([0, expect.stringMatching(/^J_0 1 to \d+: \d+ messages; snapshots of \d{4}-/)]);

  // An engine that is told to keep what is not archived waits for these.
  const told = new Map<string, [number, number][]>();
  const heard = nc.subscribe(anyPositions, {
    callback: (_, message) => {
      const { sink, positions } = packr.unpack(message.data) as SinkPositions;
      told.set(sink, positions);
    },
  });
  await run('--once');
  await nc.flush();
  heard.unsubscribe();
  for (const [n, reader] of [archiveOfJournal, archiveOfCommands].entries())
    expect(told.get(reader)).toEqual([[0, listArchive(directory, 0)[n]!.segments.at(-1)!.last]]);

  const { last } = await commandBounds(nc, 0);
  const { last: archived } = listArchive(directory, 0)[1]!.segments.at(-1)!;
  await purgeCommands(nc, 0, last);
  const late = await run('--once', '--json');
  expect(late.exitCode).toBe(1);
  expect(JSON.parse(late.said[0]!)).toMatchObject({ missing: [{ stream: 'C_0', runs: [[archived + 1, last - 1]] }] });

  const file = readdirSync(join(directory, 'J_0')).find((name) => name.endsWith('.segment'))!;
  const path = join(directory, 'J_0', file);
  const bytes = readFileSync(path);
  bytes[100] = bytes[100]! ^ 1;
  writeFileSync(path, bytes);
  await expect(run('--list')).rejects.toMatchObject({ name: 'BackupRefused', code: 'file_damaged' });
});
