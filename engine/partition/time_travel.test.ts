/** Any account at any record of a real journal, held against a replay of every record up to it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
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
import { startTestNats, type TestNats } from '../log/testing.ts';
import { definitionsOf } from '../projections/entities.ts';
import { natsJournal } from '../projections/journal.ts';
import { startEngine } from '../roles/engine_role.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import type { JournalEntry } from '../wire.ts';
import { compileDomain } from './catalogue.ts';
import { PartitionState } from './state.ts';
import { blanked } from '../blanked.ts';
import { momentOf, TimeTravel } from './time_travel.ts';

const partitions = 2;
const definitions = definitionsOf(tallyDomain);
const accounts = ['a', 'b', 'c'];
let nats: TestNats;
let nc: Awaited<ReturnType<typeof connectLog>>;
let travel: TimeTravel;
/** Partition → its records, in order. */
const journals: JournalEntry[][] = [];
/** Partition of accounts `a` to `c`. */
let home = 0;

beforeAll(async () => {
  nats = await startTestNats();
  nc = await connectLog(nats.url, 'time travel test');
  await provision(nc, { partitions });
  const engineOf = () =>
    startEngine({
      config: { natsUrl: nats.url, partitions },
      domain: { ...tallyDomain, slots: [] },
      log: pino({ level: 'silent' }),
      onFatal: () => {},
      sinks: [],
    });
  const door = await openDoor(nc, { name: 'test', partitions });
  const rounds = async (from: number, count: number) => {
    for (let i = from; i < from + count; i++)
      for (const id of i % 7 === 0 ? accounts : ['a'])
        await door.request({ id: null, to: accountAddress(id), type: 'add', body: { amount: i } });
  };
  const first = await engineOf();
  await rounds(1, 40);
  for (const owner of first.owners) await owner.snapshot();
  await rounds(41, 20);
  for (const owner of first.owners) await owner.snapshot();
  // Another owner: the epoch record stands among the rest.
  const second = await engineOf();
  await rounds(61, 20);
  await door.close();
  await second.close();
  await first.close().catch(() => undefined);
  travel = new TimeTravel(nc, partitions, definitions);
  for (let p = 0; p < partitions; p++) journals.push(await recordsOf(p));
  home = journals.findIndex((entries) => entries.some(({ record }) => record.entities.some(({ id }) => id === 'a')));
}, 60_000);
afterAll(async () => {
  await nc.close();
  await nats.stop();
});

async function recordsOf(partition: number): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  const { first, last } = await journalBounds(nc, partition);
  if (first > last) return entries;
  await new Promise<void>((resolve) => {
    void natsJournal(nc, partitions).tail(partition, first, (entry) => {
      entries.push(entry);
      if (entry.sequence === last) resolve();
    });
  });
  return entries;
}

/** The partition's state after a record, from every record before it. */
function replayed(sequence: number): PartitionState {
  const state = new PartitionState(compileDomain(tallyDomain), home, partitions);
  for (const { sequence: at, record } of journals[home]!) if (at <= sequence) state.applyRecord(record);
  return state;
}

const shown = async (id: string, sequence: number) => {
  const [one] = await travel.find({ kind: 'account', id, at: { partition: home, sequence } });
  return { state: one!.state, version: one!.version };
};

test('after every record an account is what a replay of all records before makes of it', async () => {
  const wrong: unknown[] = [];
  for (const { sequence } of journals[home]!) {
    const entity = replayed(sequence).entity('account', 'a');
    if (!entity) {
      await expect(shown('a', sequence)).rejects.toMatchObject({ code: 'unknown_entity' });
      continue;
    }
    const found = await shown('a', sequence);
    const { version, stored } = entity;
    if (JSON.stringify(found) !== JSON.stringify({ state: stored.context, version }))
      wrong.push([sequence, found, stored]);
  }
  expect(wrong).toEqual([]);
});

test('a time is the last record that is not behind it', async () => {
  const entries = journals[home]!;
  for (const { sequence, record } of entries.slice(5, 60).filter((_, i) => i % 9 === 0)) {
    const last = entries.findLast((entry) => entry.record.now <= record.now)!.sequence;
    const [one] = await travel.find({ kind: 'account', id: 'a', at: { time: record.now } });
    expect([sequence, one!.at]).toEqual([sequence, { sequence: last, time: record.now }]);
  }
  await expect(travel.find({ kind: 'account', id: 'a', at: { time: 1 } })).rejects.toMatchObject({
    code: 'unknown_entity',
  });
});

test('an id alone is found in whatever kind and partition it is; nothing of that name is said so', async () => {
  for (const id of accounts)
    expect(await travel.find({ kind: null, id, at: 'now' })).toMatchObject([{ kind: 'account', id }]);
  await expect(travel.find({ kind: null, id: 'nobody', at: 'now' })).rejects.toMatchObject({ code: 'unknown_entity' });
  await expect(travel.find({ kind: 'ghost', id: 'a', at: 'now' })).rejects.toMatchObject({ code: 'unknown_entity' });
});

test('a search that is told to end does so with a typed refusal', async () => {
  const signal = AbortSignal.abort();
  await expect(travel.find({ kind: 'account', id: 'a', at: 'now' }, { signal })).rejects.toMatchObject({
    code: 'took_too_long',
  });
});

test('once the beginning is purged, the window begins where the oldest snapshot was finished, and names itself', async () => {
  const before = journals[home]!;
  const pointer = before.find(({ record }) => record.snapshot)!;
  await purgeJournal(nc, home, pointer.record.snapshot!.j0);
  await purgeCommands(nc, home, (await commandBounds(nc, home)).last);
  const last = before.at(-1)!.sequence;
  const window = await travel.window(home);
  expect(window).toMatchObject({ partition: home, from: { sequence: pointer.sequence }, to: { sequence: last } });
  for (const sequence of [pointer.sequence, pointer.sequence + 3, last]) {
    const { stored, version } = replayed(sequence).entity('account', 'c') ?? { stored: null, version: 0 };
    // Where c lives beside a: its last change may lie before what is kept of the journal.
    if (stored) expect(await shown('c', sequence)).toEqual({ state: stored.context, version });
    const a = replayed(sequence).entity('account', 'a')!;
    expect(await shown('a', sequence)).toEqual({ state: a.stored.context, version: a.version });
  }
  for (const sequence of [pointer.sequence - 1, last + 1])
    await expect(shown('a', sequence)).rejects.toMatchObject({ code: 'outside_window', detail: { window } });
  await expect(travel.find({ kind: 'account', id: 'a', at: { time: 1 } })).rejects.toMatchObject({
    code: 'outside_window',
  });
});

test('moments are read strictly', () => {
  expect(momentOf('1:17', 2)).toEqual({ partition: 1, sequence: 17 });
  expect(momentOf('2026-01-31T12:00:00Z', 2)).toEqual({ time: Date.UTC(2026, 0, 31, 12) });
  expect(momentOf('1769860800000', 2)).toEqual({ time: 1_769_860_800_000 });
  expect(momentOf(undefined, 2)).toBe('now');
  for (const text of ['2:17', 'yesterday', '1:-3', '2026-99-99', '17'])
    expect(() => momentOf(text, 2)).toThrow(expect.objectContaining({ code: 'bad_request' }));
});

test('what would let somebody in is blanked wherever it stands', () => {
  expect(blanked({ passwordHash: 'x', list: [{ secretKey: 'y', plain: 1 }], password: '' })).toEqual({
    passwordHash: '<blanked>',
    list: [{ secretKey: '<blanked>', plain: 1 }],
    password: '',
  });
});
