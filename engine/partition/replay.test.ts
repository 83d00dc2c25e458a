import { beforeAll, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { decide, type ActorEvent, type Domain } from '#actors/actor';
import { domain } from '#actors/mod';
import type { CommitRecord } from '../wire.ts';
import { MemoryLog } from '../simulation/memory_log.ts';
import { simulateMoney } from '../simulation/money.ts';
import { simulate } from '../simulation/simulation.ts';
import { storedPartition } from '../simulation/stored.ts';
import { tallyDomain, type Account } from '../simulation/tally.ts';
import { World } from '../simulation/world.ts';
import { compileDomain } from './catalogue.ts';
import { decodeRecord } from './record.ts';
import { RecordFilter } from './record_filter.ts';
import { replayPartition, type ReplayRules } from './replay.ts';
import type { ReplaySource } from './replay_source.ts';
import { exitCodeOf, problemText, type ReplayVerdict } from './replay_verdict.ts';

const rules: ReplayRules = { catalogue: compileDomain(tallyDomain), build: 'sim', clock: 'wall' };
let log: MemoryLog;
beforeAll(async () => {
  // The first world in which partition 0 keeps two snapshots, and nothing that a killed owner left unfinished.
  for (let seed = 4; ; seed++) {
    ({ log } = await simulate(seed, { partitions: 3, commands: 140 }));
    const pointed = new Set(counting(log).map(({ record }) => record.snapshot?.gen));
    const gens = await storedPartition(log, 0).snapshots.generations();
    if (gens.length > 1 && gens.every((gen) => pointed.has(gen))) return;
  }
});

/** Records of partition 0 that count. */
function counting(of: MemoryLog): { sequence: number; record: CommitRecord }[] {
  const filter = new RecordFilter();
  return of.journals[0]!.messages.map(({ bytes }, i) => ({ sequence: i + 1, record: decodeRecord(bytes) })).filter(
    ({ record }) => filter.accepts(record),
  );
}

/** A copy in which a test may do damage. */
function copyOf(of: MemoryLog): MemoryLog {
  const copy = new MemoryLog(new World(1), of.journals.length);
  for (const streams of ['commands', 'journals'] as const)
    for (const [p, stream] of of[streams].entries())
      copy[streams][p]!.messages.push(
        ...stream.messages.map(({ bytes, at }) => ({ bytes: Uint8Array.from(bytes), at })),
      );
  for (const [p, snapshots] of of.snapshots.entries())
    for (const [key, bytes] of snapshots) copy.snapshots[p]!.set(key, Uint8Array.from(bytes));
  return copy;
}
const flip = (bytes: Uint8Array, at: number) => {
  bytes[at] = bytes[at]! ^ 0x01;
};
const wrong = ({ problems }: ReplayVerdict) => problems.map(problemText);
const reasons = ({ segments }: ReplayVerdict) => segments.map(({ notVerified }) => notVerified);

/** The log as it is after a purge: J and C begin behind the oldest snapshot's place. */
function purged(source: ReplaySource, journalFrom: number, commandsFrom: number): ReplaySource {
  return {
    ...source,
    journal: { ...source.journal, first: journalFrom },
    commands: { ...source.commands, first: commandsFrom },
  };
}

/** Where the pointer of a generation stands in partition 0, and where its snapshot begins. */
function pointerIn(of: MemoryLog, gen: number): { at: number; j0: number; offset: number } {
  const records = counting(of);
  const pointer = records.find(({ record }) => record.snapshot?.gen === gen)!;
  const { j0 } = pointer.record.snapshot!;
  return { at: pointer.sequence, j0, offset: records.find(({ sequence }) => sequence === j0)!.record.offset };
}

test('a partition that was killed, doubled and rebuilt comes out of its commands, record by record', async () => {
  for (let p = 0; p < 3; p++) {
    const verdict = await replayPartition(storedPartition(log, p), rules);
    expect([wrong(verdict), reasons(verdict), exitCodeOf([verdict])]).toEqual([[], [null], 0]);
    expect(verdict.epochs).toBeGreaterThan(1);
    expect(verdict.units).toBeGreaterThan(30);
    expect(verdict.segments[0]).toMatchObject({ from: 1, to: verdict.last, records: verdict.records });
  }
});

test('so do customers, sites, sessions and money', { timeout: 120_000 }, async () => {
  const product = { ...rules, catalogue: compileDomain(domain) };
  const { log: money } = await simulateMoney(1);
  for (let p = 0; p < 3; p++) {
    const verdict = await replayPartition(storedPartition(money, p), product);
    expect([wrong(verdict), reasons(verdict)]).toEqual([[], [null]]);
  }
});

test('behind a purge it begins with the oldest snapshot, and says so', async () => {
  const source = storedPartition(log, 0);
  const whole = await replayPartition(source, rules);
  const { at, j0, offset } = pointerIn(log, (await source.snapshots.generations()).at(-1)!);
  expect(j0).toBeGreaterThan(2);
  const verdict = await replayPartition(purged(source, j0, offset), rules);
  expect(wrong(verdict)).toEqual([]);
  expect(reasons(verdict)).toEqual(['it leads up to the oldest snapshot', null]);
  expect(verdict.segments[1]).toMatchObject({ from: at + 1, to: whole.last });
  expect(exitCodeOf([verdict])).toBe(0);
});

test('where commands were purged and records were not, the journal is followed to the next place to begin', async () => {
  const source = storedPartition(log, 0);
  const verdict = await replayPartition(purged(source, 1, 20), rules);
  expect([wrong(verdict), verdict.segments[0]!.notVerified, verdict.segments.at(-1)!.notVerified]).toEqual([
    [],
    'its commands were purged',
    null,
  ]);
});

test('records of another build are not verified, and say of which; what comes of it is taken as it is', async () => {
  const verdict = await replayPartition(storedPartition(log, 0), { ...rules, build: 'next' });
  expect([wrong(verdict), reasons(verdict), exitCodeOf([verdict])]).toEqual([[], ['it was written by build sim'], 2]);
  expect(verdict.segments[0]).toMatchObject({ build: 'sim', from: 1, to: verdict.last });
});

/** Adds one to every transfer of more than forty: a rule that was changed without anybody noticing. */
const receive = decide<Account, ActorEvent<{ amount: number }>>((c, { body: { amount } }) => ({
  context: { ...c, balance: c.balance + amount + (amount > 40 ? 1 : 0) },
}));
const greedy: Domain = {
  ...tallyDomain,
  actors: tallyDomain.actors.map((actor) => {
    const { open } = actor.machine.config.states as { open: { on: object } };
    const states = { open: { on: { ...open.on, receive: { actions: receive } } } };
    return { ...actor, machine: createMachine({ ...actor.machine.config, states } as never) };
  }),
};

test('a changed rule under the same name of a build is a difference, with partition, sequence, entity and field', async () => {
  const verdicts = [];
  for (let p = 0; p < 3; p++)
    verdicts.push(await replayPartition(storedPartition(log, p), { ...rules, catalogue: compileDomain(greedy) }));
  const problems = verdicts.flatMap((verdict) => verdict.problems);
  expect(problems.length).toBeGreaterThan(0);
  for (const problem of problems) {
    expect(problem).toMatchObject({
      kind: 'difference',
      entity: expect.stringMatching(/^account\/acct-\d$/),
      field: 'balance',
    });
    if (problem.kind === 'difference') expect(problem.executed).toBe((problem.journal as number) + 1);
  }
  expect(exitCodeOf(verdicts)).toBe(1);
});

test('any flipped bit in a record that counts is corruption there', { timeout: 60_000 }, async () => {
  const records = counting(log);
  for (let n = 0; n < 24; n++) {
    const damaged = copyOf(log);
    const { sequence } = records[(n * 17) % records.length]!;
    const { bytes } = damaged.journals[0]!.messages[sequence - 1]!;
    flip(bytes, (n * 131) % bytes.length);
    const { problems, segments } = await replayPartition(storedPartition(damaged, 0), rules);
    const where = `byte ${(n * 131) % bytes.length} of record ${sequence}`;
    expect(problems, where).toHaveLength(1);
    expect(problems[0], where).toMatchObject({ kind: 'corruption', stream: 'J_0' });
    const found = problems.map((problem) => problem.sequence)[0]!;
    // What stands outside of the hash shows by the first record that does not go with it.
    expect([0, 1], where).toContain(found - sequence);
    expect(segments.at(-1)!.notVerified, where).not.toBeNull();
  }
});

test(
  'any flipped bit in the command log is corruption at its frame, and all others are verified',
  { timeout: 60_000 },
  async () => {
    const whole = await replayPartition(storedPartition(log, 0), rules);
    const used = whole.frames;
    for (let n = 0; n < 24; n++) {
      const damaged = copyOf(log);
      const sequence = 1 + ((n * 29) % used);
      const { bytes } = damaged.commands[0]!.messages[sequence - 1]!;
      flip(bytes, (n * 37) % bytes.length);
      const { problems, segments } = await replayPartition(storedPartition(damaged, 0), rules);
      expect(problems, `frame ${sequence}`).toHaveLength(1);
      expect(problems[0]).toMatchObject({ kind: 'corruption', stream: 'C_0' });
      const found = problems[0] as Extract<(typeof problems)[0], { kind: 'corruption' }>;
      const to = Number(/^to (\d+)/.exec(found.text)?.[1] ?? found.sequence);
      expect([found.sequence <= sequence, sequence <= to], problemText(found)).toEqual([true, true]);
      const missed = segments.filter(({ notVerified }) => notVerified !== null);
      expect(missed.reduce((sum, { records }) => sum + records, 0)).toBeLessThan(whole.records / 2);
    }
  },
);

test('a flipped bit in a snapshot is corruption of that generation, whether it is begun with or not', async () => {
  for (const [isNeeded, oldestOfAll] of [
    [false, false],
    [false, true],
    [true, true],
  ]) {
    const damaged = copyOf(log);
    const source = storedPartition(damaged, 0);
    const generations = await source.snapshots.generations();
    const gen = (oldestOfAll ? generations.at(-1) : generations[0])!;
    const chunk = damaged.snapshots[0]!.get(`${gen}.0`)!;
    flip(chunk, Math.floor(chunk.length / 2));
    const { j0, offset } = pointerIn(log, gen);
    const verdict = await replayPartition(isNeeded ? purged(source, j0, offset) : source, rules);
    expect(verdict.problems[0]).toMatchObject({ kind: 'corruption', stream: 'S_0', sequence: gen });
    expect(exitCodeOf([verdict])).toBe(1);
  }
});

test('a command log that ends before what was decided on it is corruption', async () => {
  const damaged = copyOf(log);
  damaged.commands[0]!.messages.splice(30);
  const verdict = await replayPartition(storedPartition(damaged, 0), rules);
  expect(verdict.problems).toMatchObject([{ kind: 'corruption', stream: 'C_0', sequence: 31 }]);
});

test('an empty partition has nothing wrong with it', async () => {
  const verdict = await replayPartition(storedPartition(new MemoryLog(new World(1), 1), 0), rules);
  expect([verdict.last, verdict.segments, exitCodeOf([verdict])]).toEqual([0, [], 0]);
});
