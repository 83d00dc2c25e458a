/**
 * One seed of the faulty world: doors send, engines die at any step, fall asleep and wake as zombies, share the partitions
 * and take them from each other; acknowledgements and frames get lost or come twice, the disk is full, the power fails, the
 * clock jumps. A shadow ledger holds every commit against what was promised.
 */
import { partitionOf } from '#actors/partition_key';
import { compileDomain } from '../partition/catalogue.ts';
import { decodeRecord } from '../partition/record.ts';
import { recoverState } from '../partition/recovery.ts';
import { replayPartition } from '../partition/replay.ts';
import { exitCodeOf, problemText } from '../partition/replay_verdict.ts';
import type { PartitionState } from '../partition/state.ts';
import type { ReplyOut } from '../wire.ts';
import { Life } from './life.ts';
import { MemoryLog } from './memory_log.ts';
import { Answers, SimulatedDoor, SimulatedEngine } from './processes.ts';
import { ShadowLedger } from './shadow_ledger.ts';
import { Caller } from './tally_caller.ts';
import { storedPartition } from './stored.ts';
import { tallyDomain } from './tally.ts';
import { World } from './world.ts';

export interface SimulationReport {
  seed: number;
  commands: number;
  /** What the journals hold, and how often things befell this world. */
  figures: ShadowLedger['figures'] & Befallen;
  problems: string[];
  /** As it lies at the end, for whoever reads it again. */
  log: MemoryLog;
}

interface Befallen {
  deaths: number;
  sleeps: number;
  powerCuts: number;
  /** Messages that were lost with the power. */
  lostTails: number;
  clockJumps: number;
  fullDisks: number;
}

export interface SimulationOptions {
  /** @default 2, in a quarter of the worlds 3 */
  partitions?: number;
  /** About so many. @default 14 to 39 */
  commands?: number;
  /** Gets a line per owner event and, at the end, per journal record. */
  trace?: ((line: string) => void) | undefined;
  /** Changes the world before anything happens in it. */
  prepare?: ((log: MemoryLog) => void) | undefined;
}

/** Steps of a process within which something befalls it. */
const stepsMax = 180;
const enginesMax = 14;
const catalogue = compileDomain(tallyDomain);

/** Plays a world to its end. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationReport> {
  // Thousands of appends fail here, and nobody reads where.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await play(seed, options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** What comes out when its commands are executed again: empty when it is the same, byte for byte. */
export async function executeAgain(log: MemoryLog): Promise<{ problems: string[]; refused: number }> {
  const verdicts = await Promise.all(
    log.journals.map((_, p) => replayPartition(storedPartition(log, p), { catalogue, build: 'sim', clock: 'wall' })),
  );
  const problems = verdicts.flatMap((verdict) => verdict.problems.map((one) => `executed again: ${problemText(one)}`));
  const refused = verdicts.reduce((sum, verdict) => sum + verdict.refused, 0);
  const code = exitCodeOf(verdicts);
  return { problems: code === 0 ? problems : [...problems, `executed again: exit code ${code}`], refused };
}

async function play(seed: number, { trace, prepare, ...size }: SimulationOptions): Promise<SimulationReport> {
  const world = new World(seed);
  const { chance } = world;
  const log = new MemoryLog(world, size.partitions ?? (chance.of(25) ? 3 : 2));
  const partitions = log.journals.length;
  const all = Array.from({ length: partitions }, (_, p) => p);
  const shadow = new ShadowLedger(log, catalogue);
  const problems: string[] = [];
  const answers = new Answers(problems);
  const befallen: Befallen = { deaths: 0, sleeps: 0, powerCuts: 0, lostTails: 0, clockJumps: 0, fullDisks: 0 };
  log.faults = {
    ackLostPercent: chance.below(15),
    appendLostPercent: chance.below(15),
    latencyMsMax: 1 + chance.below(30),
    copiedPercent: chance.of(60) ? chance.below(25) : 0,
    readLostPercent: chance.of(30) ? chance.below(8) : 0,
    syncMsMax: chance.of(50) ? chance.below(25) : 0,
  };
  prepare?.(log);

  const engines: SimulatedEngine[] = [];
  /** By partition: who owns it, or should. */
  const ownerOf: SimulatedEngine[] = [];
  let isCalm = false;
  const onReplies = (at: string, replies: readonly ReplyOut[]) => {
    shadow.released(at, replies);
    answers.note(replies);
  };
  const start = (own: readonly number[], life = new Life(), clockAheadMs = 0): SimulatedEngine => {
    const engine = new SimulatedEngine(log, {
      catalogue,
      partitions: own,
      life,
      clockAheadMs,
      trace,
      onReplies,
      onFailed: (error) => {
        // A process that finds the server away or the disk full at the wrong moment ends, and is started again.
        if (!['StreamRefused', 'AppendUncertain'].includes(error.name))
          problems.push(`an engine failed: ${error.message}`);
        if (engine.life.isAlive) end(engine);
      },
    });
    engines.push(engine);
    for (const p of own) ownerOf[p] = engine;
    return engine;
  };
  const end = (engine: SimulatedEngine) => {
    engine.kill();
    if (!isCalm) world.plan(chance.below(300), succeed);
  };
  /** Somebody takes what has no living owner, and perhaps more. */
  const succeed = () => {
    if (isCalm) return;
    const own = all.filter((p) => !ownerOf[p]!.life.isAlive || chance.of(30));
    if (own.length > 0)
      start(own, engines.length < enginesMax ? fated() : new Life(), chance.of(30) ? chance.below(4_000) - 2_000 : 0);
  };
  const fated = (): Life => {
    const diesAt = chance.of(55) ? 1 + chance.below(stepsMax) : Infinity;
    const sleepsAt = chance.of(45) ? 1 + chance.below(stepsMax) : Infinity;
    const life = new Life(() => {
      if (isCalm) return;
      if (life.steps === diesAt) {
        befallen.deaths += 1;
        end(engines.find((engine) => engine.life === life)!);
      } else if (life.steps === sleepsAt) {
        befallen.sleeps += 1;
        life.sleep();
        world.plan(100 + chance.below(3_000), () => life.wake());
        world.plan(chance.below(400), succeed);
      }
    });
    return life;
  };
  start(all, fated());

  const misfortunes: (() => void)[] = [
    () => {
      befallen.powerCuts += 1;
      befallen.lostTails += log.losePower();
    },
    () => {
      befallen.clockJumps += 1;
      log.clockAheadMs += chance.of(40) ? chance.below(1_200_000) : chance.below(4_000) - 2_000;
      // An hour is where a partition stops.
      log.clockAheadMs = Math.min(log.clockAheadMs, 2_400_000);
    },
    () => {
      befallen.fullDisks += 1;
      log.isDiskFull = true;
      world.plan(50 + chance.below(400), () => {
        log.isDiskFull = false;
      });
    },
    // Nothing has happened to it: it is merely thought dead.
    succeed,
  ];
  const trouble = () => {
    if (isCalm) return;
    misfortunes[chance.below(misfortunes.length)]!();
    world.plan(100 + chance.below(1_200), trouble);
  };
  world.plan(100 + chance.below(900), trouble);

  const caller = new Caller(chance, seed);
  const acknowledged = new Set<string>();
  const total = size.commands ?? 14 + chance.below(26);
  let doorsDone = 0;
  for (let d = 0; d < 2; d++)
    void (async () => {
      const door = new SimulatedDoor(log, `door-${d}`);
      await door.open();
      for (let n = 0; n < total / 2; n++) {
        for (const command of caller.next(d)) {
          await door.send(command, partitionOf(command[0]!.to.key, partitions));
          acknowledged.add(command[0]!.id!);
        }
        if (chance.of(40)) await world.clock.delay(chance.below(300));
      }
      doorsDone += 1;
    })();

  if (!(await world.run(600_000, () => doorsDone === 2))) problems.push('doors could not finish');
  isCalm = true;
  log.isDiskFull = false;
  log.faults = { ackLostPercent: 0, appendLostPercent: 0, latencyMsMax: 5 };
  // Whoever slept wakes beside its successor.
  for (const { life } of engines) life.wake();
  await world.run(200, () => false);
  start(all);
  // Timers and frames of up to 2 s ago come yet; an engine whose first append was held up may take over once more.
  await world.run(2_100, () => false);
  const owners = () =>
    all.map((p) =>
      engines.flatMap(({ owners }) => owners[p] ?? []).find((one) => one.owner === shadow.partitions[p]!.owner),
    );
  const isOver = () =>
    owners().every(
      (owner, p) =>
        owner?.state &&
        owner.isSettled(log.commands[p]!.messages.length) &&
        [...owner.state.timers.entries()].every(([id]) => id.startsWith('slot|')),
    );
  if (!(await world.run(20_000, isOver))) problems.push('the last engine did not come to rest');
  const live = owners().map((owner) => dump(owner!.state));
  for (const engine of engines) engine.kill();
  // What was still on the wire arrives.
  await world.run(100, () => false);
  shadow.atRest(acknowledged);
  for (const [p, shown] of live.entries()) {
    const recovering = recoverState(
      log.ports(p, new Life(), () => {}),
      catalogue,
      p,
      partitions,
      log.journals[p]!.synced,
    );
    let done = false;
    void recovering.finally(() => (done = true));
    await world.run(10_000, () => done);
    const recovered = dump((await recovering).state);
    const replayed = dump(shadow.partitions[p]!.state);
    if (recovered !== replayed) problems.push(`partition ${p}: snapshot and journal differ from the journal alone`);
    if (shown !== replayed) problems.push(`partition ${p}: what is live differs from the journal`);
    if (trace) for (const [i, { bytes }] of log.journals[p]!.messages.entries()) trace(recordLine(p, i + 1, bytes));
  }
  return {
    seed,
    commands: acknowledged.size,
    figures: { ...shadow.figures, ...befallen },
    problems: [...problems, ...shadow.problems],
    log,
  };
}

function recordLine(partition: number, sequence: number, bytes: Uint8Array): string {
  const { kind, owner, epoch, batch, offset } = decodeRecord(bytes);
  return `${partition}:${sequence} ${kind} ${owner.slice(0, 4)} e${epoch} b${batch} o${offset}`;
}

/** All that counts of a state, as text. */
function dump(state: PartitionState): string {
  const entities = [...state.entities.values()]
    .flatMap((ofKind) => [...ofKind.values()])
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((e) => [e.kind, e.id, e.version, e.stored.value, e.stored.context]);
  return JSON.stringify([
    entities,
    [...state.timers.entries()].sort(),
    [...state.writers].map(([w, m]) => [w, m.seq]).sort(),
    [...state.relaySeq].sort(),
    state.offset,
    state.hash,
  ]);
}
