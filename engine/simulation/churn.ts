/**
 * One seed of engines that share partitions in a faulty world: they join, leave, are killed, and lose sight of each other while
 * the log still reaches them, so that two believe to own the same. Doors send meanwhile; the checker knows only the logs.
 */
import { partitionOf } from '#actors/partition_key';
import { Members, type Announcement, type MemberBus } from '../ownership/members.ts';
import { Ownership } from '../ownership/ownership.ts';
import { compileDomain, type Catalogue } from '../partition/catalogue.ts';
import { PartitionOwner } from '../partition/owner.ts';
import type { OwnerClock } from '../partition/ports.ts';
import type { CommandEnvelope, ReplyOut } from '../wire.ts';
import { Life } from './life.ts';
import { MemoryLog } from './memory_log.ts';
import { Answers, SimulatedDoor } from './processes.ts';
import { ShadowLedger } from './shadow_ledger.ts';
import { accountAddress, tallyDomain } from './tally.ts';
import { World } from './world.ts';

const accounts = Array.from({ length: 9 }, (_, i) => `acct-${i}`);
const partitions = 3;
const livingMax = 4;

export interface ChurnReport {
  commands: number;
  epochs: number;
  /** Given away in good order, and lost to another engine. */
  given: number;
  superseded: number;
  problems: string[];
}

interface Seat {
  bus: SimulatedBus;
  hear(announcement: Announcement): void;
  asked(): void;
}

/** What engines hear of each other: late, not always, and nothing at all of one whose line is cut. */
class Exchange {
  readonly world: World;
  readonly seats = new Map<string, Seat>();
  lostPercent = 0;
  constructor(world: World) {
    this.world = world;
  }

  carries(from: SimulatedBus, to: SimulatedBus): boolean {
    return !from.cut && !to.cut && !this.world.chance.of(this.lostPercent);
  }
  latency() {
    return 1 + this.world.chance.below(20);
  }
}

class SimulatedBus implements MemberBus {
  readonly connected = true;
  cut = false;
  readonly #exchange: Exchange;
  readonly #id: string;
  constructor(exchange: Exchange, id: string) {
    this.#exchange = exchange;
    this.#id = id;
  }

  async open(hear: (announcement: Announcement) => void, _onBack: () => void, asked: () => void) {
    const { seats, world } = this.#exchange;
    seats.set(this.#id, { bus: this, hear, asked });
    for (const [id, seat] of seats) if (id !== this.#id) seat.asked();
    await world.clock.delay(60);
  }

  announce(announcement: Announcement) {
    const { seats, world } = this.#exchange;
    for (const [id, seat] of seats) {
      if (id === this.#id || !this.#exchange.carries(this, seat.bus)) continue;
      world.plan(this.#exchange.latency(), () => {
        if (seats.get(id) === seat) seat.hear(announcement);
      });
    }
  }

  async ping(engine: string, timeoutMs: number): Promise<'alive' | 'gone' | 'silent'> {
    const { seats, world } = this.#exchange;
    const seat = seats.get(engine);
    if (seat && !this.#exchange.carries(this, seat.bus)) {
      await world.clock.delay(timeoutMs);
      return 'silent';
    }
    await world.clock.delay(this.#exchange.latency());
    return seats.has(engine) ? 'alive' : 'gone';
  }

  close() {
    this.#exchange.seats.delete(this.#id);
  }
}

class SharingEngine {
  readonly id: string;
  readonly bus: SimulatedBus;
  readonly ownership: Ownership<PartitionOwner>;
  readonly errors: Error[] = [];
  readonly life = new Life();
  leaving = false;
  readonly #members: Members;

  constructor(
    id: string,
    exchange: Exchange,
    log: MemoryLog,
    catalogue: Catalogue,
    onReplies: (at: string, replies: readonly ReplyOut[]) => void,
    onEvent: (event: string) => void,
  ) {
    this.id = id;
    const { clock: real } = exchange.world;
    const clock: OwnerClock = {
      ...real,
      delay: (ms) => real.delay(ms).then(() => (this.alive ? undefined : new Promise<never>(() => {}))),
      after: (ms, task) => real.after(ms, () => void (this.alive && task())),
    };
    this.bus = new SimulatedBus(exchange, id);
    this.ownership = new Ownership({
      id,
      partitions,
      clock,
      members: () => this.#members,
      newOwner: (partition, mayClaim, onFailed) =>
        new PartitionOwner({
          partition,
          partitions,
          build: 'sim',
          catalogue,
          snapshotEveryBytes: 6_000,
          ports: log.ports(partition, this.life, onReplies),
          mayClaim,
          onFailed,
        }),
      onFatal: (error) => void (this.alive && this.errors.push(error)),
      onEvent: ({ event }) => onEvent(event),
    });
    this.#members = new Members({
      id,
      partitions,
      clockKind: 'wall',
      bus: this.bus,
      clock,
      self: () => this.ownership.told,
      onChange: () => {
        if (this.alive) this.ownership.look();
      },
      onEvent: () => {},
    });
    void this.#members.join().then(() => {
      if (this.alive) void this.ownership.begin().catch(() => {});
    });
  }

  get alive(): boolean {
    return this.life.isAlive;
  }

  /** Nothing of it happens any more. */
  kill() {
    this.life.kill();
    this.bus.close();
  }

  async leave() {
    this.leaving = true;
    await this.ownership.leave();
    this.#members.close();
    this.life.kill();
  }
}

export async function churn(seed: number): Promise<ChurnReport> {
  const world = new World(seed);
  const { chance } = world;
  const log = new MemoryLog(world, partitions);
  const exchange = new Exchange(world);
  exchange.lostPercent = chance.below(10);
  const catalogue = compileDomain(tallyDomain);
  const shadow = new ShadowLedger(log, catalogue);
  const problems: string[] = [];
  const answers = new Answers(problems);
  const counted = { given: 0, superseded: 0 };
  log.faults = {
    ackLostPercent: chance.below(6),
    appendLostPercent: chance.below(6),
    latencyMsMax: 1 + chance.below(20),
  };
  let born = 0;
  const engines: SharingEngine[] = [];
  const join = () =>
    void engines.push(
      new SharingEngine(
        `e${seed}-${++born}`,
        exchange,
        log,
        catalogue,
        (at, replies) => {
          shadow.released(at, replies);
          answers.note(replies);
        },
        (event) => {
          if (event === 'given' || event === 'superseded') counted[event] += 1;
        },
      ),
    );
  join();
  join();

  const total = 60 + chance.below(60);
  const acked = new Set<string>();
  let doorsDone = 0;
  for (let d = 0; d < 2; d++) {
    void (async () => {
      const door = new SimulatedDoor(log, `door-${d}`);
      await door.open();
      for (let n = 0; n < total / 2; n++) {
        const one = command(world, `00000000-${seed}-${d}-${n}`);
        await door.send(chance.of(10) ? [one, one] : [one], partitionOf(one.to.key, partitions));
        acked.add(one.id!);
        if (chance.of(50)) await world.clock.delay(chance.below(400));
      }
      doorsDone += 1;
    })();
  }

  const trouble = () => {
    if (doorsDone === 2) return;
    const living = engines.filter(({ alive, leaving }) => alive && !leaving);
    const one = living[chance.below(living.length)];
    const roll = chance.below(100);
    if (!one || living.length < 2 || (roll < 35 && living.length < livingMax)) join();
    else if (roll < 55) one.kill();
    else if (roll < 75) void one.leave();
    else {
      // The others take it for dead; it goes on, and thinks that they are.
      one.bus.cut = true;
      world.plan(1_000 + chance.below(4_000), () => (one.bus.cut = false));
    }
    world.plan(200 + chance.below(1_500), trouble);
  };
  world.plan(200 + chance.below(1_000), trouble);

  if (!(await world.run(600_000, () => doorsDone === 2))) problems.push('doors could not finish');
  log.faults = { ackLostPercent: 0, appendLostPercent: 0, latencyMsMax: 5 };
  exchange.lostPercent = 0;
  for (const { bus } of engines) bus.cut = false;
  join();
  const isQuiet = () => {
    const owned = engines.filter(({ alive }) => alive).flatMap(({ ownership }) => [...ownership.owned]);
    return (
      owned.length === partitions &&
      owned.every(
        ([p, owner]) => owner.relaysPending === 0 && owner.committed.offset === log.commands[p]!.messages.length,
      )
    );
  };
  // Timers that are armed fire meanwhile, and what was asked before is given away.
  await world.run(12_000, () => false);
  if (!(await world.run(10_000, isQuiet)))
    problems.push('no engine, or more than one, owns a partition, or it does not come to rest');
  for (const { id, errors } of engines) for (const error of errors) problems.push(`${id} failed: ${error.message}`);
  for (const engine of engines) engine.kill();
  await world.run(4_000, () => false);
  shadow.atRest(acked);
  return {
    commands: acked.size,
    epochs: shadow.figures.epochs,
    ...counted,
    problems: [...problems, ...shadow.problems],
  };
}

function command({ chance }: World, id: string): CommandEnvelope {
  const any = () => accounts[chance.below(accounts.length)]!;
  const envelope = (type: string, body: Record<string, unknown>): CommandEnvelope => ({
    id,
    to: accountAddress(any()),
    type,
    body,
    reply: { inbox: 'i', token: 0 },
    deadline: 0,
    correlation: null,
  });
  const roll = chance.below(100);
  if (roll < 50) return envelope('add', { amount: 1 + chance.below(100) });
  if (roll < 85) return envelope('transfer', { to: any(), amount: 1 + chance.below(50) });
  return envelope('wait', { ms: chance.below(3_000) });
}
