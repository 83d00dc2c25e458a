/**
 * The log as a faulty server behaves: appends are stored or not, their acks come late or never, copies of them come again
 * much later; its disk is full, its clock jumps, the power fails under what is not yet on the disk. Only what JetStream
 * promises is promised: what was acknowledged stays, sequences are dense, CAS is exact.
 */
import { AppendUncertain, StreamRefused, WrongLastSequence } from '../log/errors.ts';
import { Pace } from '../log/pace.ts';
import { recordEveryMs } from '../partition/owner.ts';
import { decodeRecord } from '../partition/record.ts';
import type { LogMessage, PartitionPorts, SnapshotStore } from '../partition/ports.ts';
import { encodeFrame, type CommitRecord, type JournalEntry, type ReplyOut } from '../wire.ts';
import type { Life } from './life.ts';
import type { World } from './world.ts';

interface Stored {
  bytes: Uint8Array;
  at: number;
}

export interface Faults {
  ackLostPercent: number;
  appendLostPercent: number;
  latencyMsMax: number;
  /** Frames of commands that are stored once more, up to `copyLateMsMax` later. @default 0 */
  copiedPercent?: number;
  /** Reads that fail, for the server is away. @default 0 */
  readLostPercent?: number;
  /** What is written is on the disk so much later; only then it is acknowledged and read. @default 0 */
  syncMsMax?: number;
}
const copyLateMsMax = 2_000;
/** JetStream: insufficient storage resources available. */
const diskFullCode = 10_023;

export class MemoryStream {
  /** What the server has, the last of it perhaps not on the disk yet. */
  readonly messages: Stored[] = [];
  /** So many of them are on the disk. */
  synced = 0;
  readonly #log: MemoryLog;
  readonly #listeners = new Set<(sequence: number) => void>();
  readonly #records: CommitRecord[] = [];
  #cuts = 0;
  constructor(log: MemoryLog) {
    this.#log = log;
  }

  store(bytes: Uint8Array): number {
    this.messages.push({ bytes, at: this.#log.storeTime });
    this.#sync(this.messages.length);
    return this.messages.length;
  }

  /** Stores it, and tells when it is on the disk; never when the power fails before that. */
  write(bytes: Uint8Array, onSynced: (sequence: number) => void): void {
    const delayMs = this.#log.world.chance.below((this.#log.faults.syncMsMax ?? 0) + 1);
    this.messages.push({ bytes, at: this.#log.storeTime });
    const sequence = this.messages.length;
    const cuts = this.#cuts;
    const synced = () => {
      if (cuts !== this.#cuts) return;
      this.#sync(sequence);
      onSynced(sequence);
    };
    if (delayMs === 0) synced();
    else this.#log.world.plan(delayMs, synced);
  }

  #sync(sequence: number) {
    while (this.synced < sequence) {
      this.synced += 1;
      for (const listener of this.#listeners) listener(this.synced);
    }
  }

  /** What is not on the disk is gone. Returns how much that is. */
  losePower(): number {
    this.#cuts += 1;
    const lost = this.messages.length - this.synced;
    this.messages.length = this.synced;
    return lost;
  }

  /** A journal's record; many recoveries read the same ones, and none changes them. */
  record(sequence: number): CommitRecord {
    return (this.#records[sequence] ??= decodeRecord(this.messages[sequence - 1]!.bytes));
  }

  listen(listener: (sequence: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/**
 * One connection: appends arrive in the order they were made. When it breaks, whatever has not arrived is lost, and all
 * that is unacknowledged rejects. It may also stall for seconds with everything still on the wire, as a paused process does.
 */
class Pipe {
  readonly #log: MemoryLog;
  #generation = 0;
  #arrivesAt = 0;
  #waiting = new Set<(error: Error) => void>();
  constructor(log: MemoryLog) {
    this.#log = log;
  }

  /** `expected`: null for none, as for frames of commands, of which a copy may come again. */
  append(stream: MemoryStream, bytes: Uint8Array, expected: number | null): Promise<{ sequence: number }> {
    const { world, faults } = this.#log;
    const latency = () => 1 + world.chance.below(faults.latencyMsMax);
    const generation = this.#generation;
    if (world.chance.of(faults.ackLostPercent / 10)) this.#arrivesAt = world.now + world.chance.below(3_000);
    this.#arrivesAt = Math.max(this.#arrivesAt, world.now + latency());
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#log.connected.add(this);
      const settle = (action: () => void) =>
        world.plan(latency(), () => {
          if (generation !== this.#generation) return;
          this.#waiting.delete(reject);
          if (this.#waiting.size === 0) this.#log.connected.delete(this);
          action();
        });
      world.plan(this.#arrivesAt - world.now, () => {
        if (generation !== this.#generation) return;
        if (world.chance.of(faults.appendLostPercent)) return this.cut();
        if (this.#log.isDiskFull) {
          settle(() => reject(new StreamRefused('s', diskFullCode, 'insufficient storage resources available')));
          return;
        }
        if (expected !== null && this.#log.isFenced && stream.messages.length !== expected) {
          settle(() => reject(new WrongLastSequence('s', expected, `${stream.messages.length}`)));
          return;
        }
        const isAckLost = world.chance.of(faults.ackLostPercent);
        stream.write(bytes, (sequence) => settle(() => resolve({ sequence })));
        if (expected === null && world.chance.of(faults.copiedPercent ?? 0))
          world.plan(world.chance.below(copyLateMsMax), () => {
            if (!this.#log.isDiskFull) stream.write(bytes, () => {});
          });
        if (isAckLost) this.cut();
      });
    });
  }

  /** Breaks it: what has not arrived is lost, and of the rest nobody learns what became of it. */
  cut() {
    this.#generation += 1;
    this.#arrivesAt = 0;
    this.#log.connected.delete(this);
    for (const reject of this.#waiting) reject(new AppendUncertain('s', 'disconnected'));
    this.#waiting.clear();
  }
}

/** All streams of an installation of `partitions`. */
export class MemoryLog {
  readonly commands: MemoryStream[];
  readonly journals: MemoryStream[];
  readonly snapshots: Map<string, Uint8Array>[];
  readonly world: World;
  faults: Faults = { ackLostPercent: 0, appendLostPercent: 0, latencyMsMax: 5 };
  isDiskFull = false;
  /** The server's clock against the world's, ms. */
  clockAheadMs = 0;
  /** Connections on which something is under way. */
  readonly connected = new Set<Pipe>();
  /** False in a mutation: appends to the journal without compare-and-set. */
  isFenced = true;
  /** True in a mutation: replies leave with the append, not with its acknowledgement. */
  releasesEarly = false;

  constructor(world: World, partitions: number) {
    this.world = world;
    this.commands = Array.from({ length: partitions }, () => new MemoryStream(this));
    this.journals = Array.from({ length: partitions }, () => new MemoryStream(this));
    this.snapshots = Array.from({ length: partitions }, () => new Map<string, Uint8Array>());
  }

  /** The time at which the server stores, unix ms. */
  get storeTime(): number {
    return this.world.now + this.clockAheadMs;
  }

  /** The server dies and comes back at once: connections break, what was not on the disk is gone. Returns how much. */
  losePower(): number {
    for (const pipe of [...this.connected]) pipe.cut();
    return [...this.commands, ...this.journals].reduce((lost, stream) => lost + stream.losePower(), 0);
  }

  #latency() {
    return 1 + this.world.chance.below(this.faults.latencyMsMax);
  }

  /** An append as a client sees it, over a connection of its own. */
  append(stream: MemoryStream, bytes: Uint8Array): Promise<{ sequence: number }> {
    return new Pipe(this).append(stream, bytes, null);
  }

  /** Ports of one process. `clockAheadMs`: its clock against the world's. */
  ports(
    partition: number,
    life: Life,
    onReplies: (at: string, replies: ReplyOut[]) => void,
    clockAheadMs = 0,
  ): PartitionPorts {
    const { world } = this;
    const commands = this.commands[partition]!;
    const journal = this.journals[partition]!;
    const pipe = new Pipe(this);
    const entry = (sequence: number): JournalEntry => ({ partition, sequence, record: journal.record(sequence) });
    const delay = (ms: number) => life.through(world.clock.delay(ms));
    /** A question to the server; it may be away. */
    const ask = <T>(answer: () => T): Promise<T> =>
      life.through(
        world.clock.delay(this.#latency()).then(() => {
          if (world.chance.of(this.faults.readLostPercent ?? 0)) throw new AppendUncertain('s', 'timeout');
          return answer();
        }),
      );
    const pace = new Pace(recordEveryMs, { monotonic: world.clock.monotonic, delay });
    return {
      turn: () => pace.turn(),
      appendRecord: (bytes, expected) =>
        life.does(() => {
          if (this.releasesEarly) onReplies(`${partition}:${expected + 1}`, decodeRecord(bytes).replies);
          return pipe.append(journal, bytes, expected);
        }),
      journalBounds: () => ask(() => ({ first: 1, last: journal.synced })),
      readJournal: (from, to, onEntry) =>
        ask(() => {
          for (let s = from; s <= Math.min(to, journal.synced); s++)
            onEntry(entry(s), journal.messages[s - 1]!.bytes.length);
        }),
      followCommands: async (from, onMessage) => {
        let next = from;
        let stopped = false;
        let busy = false;
        let pending: void | Promise<void>;
        const deliver = async () => {
          if (busy) return;
          busy = true;
          while (!stopped && life.isAlive && next <= commands.synced) {
            const { bytes, at } = commands.messages[next - 1]!;
            const message: LogMessage = { sequence: next, at, bytes, pending: commands.synced - next };
            next += 1;
            pending = onMessage(message);
            await pending;
          }
          busy = false;
        };
        const come = () => life.later(() => void deliver());
        const off = commands.listen(() => {
          if (life.isAlive) world.plan(this.#latency(), come);
        });
        world.plan(1, come);
        return {
          stop: async () => {
            stopped = true;
            off();
            await pending;
          },
        };
      },
      appendClock: () =>
        life.later(
          () =>
            void this.append(
              commands,
              Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'clock', first: 0, commands: [] })),
            ).catch(() => {}),
        ),
      release: (at, replies) => {
        if (life.isAlive) onReplies(at, replies);
      },
      appendRelay: async (target, bytes) => {
        await life.does(() => this.append(this.commands[target]!, bytes));
      },
      snapshots: this.#snapshotStore(partition, life),
      clock: {
        ...world.clock,
        wall: () => world.now + clockAheadMs,
        delay,
        after: (ms, task) => world.clock.after(ms, () => life.later(task)),
      },
    };
  }

  #snapshotStore(partition: number, life: Life): SnapshotStore {
    const stored = this.snapshots[partition]!;
    return {
      put: (gen, chunk, bytes) =>
        life.does(async () => {
          await this.world.clock.delay(this.#latency());
          if (this.isDiskFull) throw new StreamRefused('s', diskFullCode, 'insufficient storage resources available');
          stored.set(`${gen}.${chunk}`, bytes);
        }),
      generations: async () =>
        [...new Set([...stored.keys()].map((key) => Number(key.split('.')[0])))].sort((a, b) => b - a),
      get: async (gen, chunk) => stored.get(`${gen}.${chunk}`) ?? null,
      remove: async (gen) => {
        for (const key of [...stored.keys()]) if (key.startsWith(`${gen}.`)) stored.delete(key);
      },
    };
  }
}
