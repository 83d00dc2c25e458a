/**
 * The log as a faulty server behaves: appends are stored or not, their acks come late, twice or never; readers are cut off.
 * Only what JetStream promises is promised: what was acknowledged stays, sequences are dense, CAS is exact.
 */
import { AppendUncertain, WrongLastSequence } from '../log/errors.ts';
import { Pace } from '../log/pace.ts';
import { recordEveryMs } from '../partition/owner.ts';
import { decodeRecord } from '../partition/record.ts';
import type { LogMessage, PartitionPorts, SnapshotStore } from '../partition/ports.ts';
import { encodeFrame, type CommitRecord, type JournalEntry, type ReplyOut } from '../wire.ts';
import type { World } from './world.ts';

interface Stored {
  bytes: Uint8Array;
  at: number;
}

export interface Faults {
  ackLostPercent: number;
  appendLostPercent: number;
  latencyMsMax: number;
}

export class MemoryStream {
  readonly messages: Stored[] = [];
  readonly #world: World;
  readonly #listeners = new Set<() => void>();
  readonly #records: CommitRecord[] = [];
  constructor(world: World) {
    this.#world = world;
  }

  store(bytes: Uint8Array): number {
    this.messages.push({ bytes, at: this.#world.now });
    for (const listener of this.#listeners) listener();
    return this.messages.length;
  }

  /** A journal's record; many recoveries read the same ones, and none changes them. */
  record(sequence: number): CommitRecord {
    return (this.#records[sequence] ??= decodeRecord(this.messages[sequence - 1]!.bytes));
  }

  listen(listener: () => void): () => void {
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

  append(stream: MemoryStream, bytes: Uint8Array, expected: number | null): Promise<{ sequence: number }> {
    const { world, faults } = this.#log;
    const latency = () => 1 + world.chance.below(faults.latencyMsMax);
    const generation = this.#generation;
    if (world.chance.of(faults.ackLostPercent / 10)) this.#arrivesAt = world.now + world.chance.below(3_000);
    this.#arrivesAt = Math.max(this.#arrivesAt, world.now + latency());
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const settle = (action: () => void) =>
        world.plan(latency(), () => {
          if (generation !== this.#generation) return;
          this.#waiting.delete(reject);
          action();
        });
      world.plan(this.#arrivesAt - world.now, () => {
        if (generation !== this.#generation) return;
        if (world.chance.of(faults.appendLostPercent)) return this.#break();
        if (expected !== null && stream.messages.length !== expected) {
          settle(() => reject(new WrongLastSequence('s', expected, `${stream.messages.length}`)));
          return;
        }
        const sequence = stream.store(bytes);
        if (world.chance.of(faults.ackLostPercent)) return this.#break();
        settle(() => resolve({ sequence }));
      });
    });
  }

  #break() {
    this.#generation += 1;
    this.#arrivesAt = 0;
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

  constructor(world: World, partitions: number) {
    this.world = world;
    this.commands = Array.from({ length: partitions }, () => new MemoryStream(world));
    this.journals = Array.from({ length: partitions }, () => new MemoryStream(world));
    this.snapshots = Array.from({ length: partitions }, () => new Map<string, Uint8Array>());
  }

  #latency() {
    return 1 + this.world.chance.below(this.faults.latencyMsMax);
  }

  /** An append as a client sees it, over a connection of its own. */
  append(stream: MemoryStream, bytes: Uint8Array): Promise<{ sequence: number }> {
    return new Pipe(this).append(stream, bytes, null);
  }

  /** Ports of one process; `alive` turns false when it is killed, and then nothing of it happens any more. */
  ports(partition: number, alive: () => boolean, onReplies: (at: string, replies: ReplyOut[]) => void): PartitionPorts {
    const commands = this.commands[partition]!;
    const journal = this.journals[partition]!;
    const pipe = new Pipe(this);
    const never = new Promise<never>(() => {});
    const guard = <T>(promise: Promise<T>): Promise<T> =>
      promise.then(
        (value) => (alive() ? value : never),
        (error: Error) => (alive() ? Promise.reject(error) : never),
      );
    const entry = (sequence: number): JournalEntry => ({ partition, sequence, record: journal.record(sequence) });
    const wait = () => guard(this.world.clock.delay(this.#latency()));
    const delay = (ms: number) => guard(this.world.clock.delay(ms));
    const pace = new Pace(recordEveryMs, { monotonic: this.world.clock.monotonic, delay });
    return {
      turn: () => pace.turn(),
      appendRecord: (bytes, expected) => guard(alive() ? pipe.append(journal, bytes, expected) : never),
      journalBounds: async () => {
        await wait();
        return { first: 1, last: journal.messages.length };
      },
      readJournal: async (from, to, onEntry) => {
        await wait();
        for (let s = from; s <= to; s++) onEntry(entry(s), journal.messages[s - 1]!.bytes.length);
      },
      followCommands: async (from, onMessage) => {
        let next = from;
        let stopped = false;
        let busy = false;
        let pending: void | Promise<void>;
        const deliver = async () => {
          if (busy) return;
          busy = true;
          while (!stopped && alive() && next <= commands.messages.length) {
            const { bytes, at } = commands.messages[next - 1]!;
            const message: LogMessage = { sequence: next, at, bytes, pending: commands.messages.length - next };
            next += 1;
            pending = onMessage(message);
            await pending;
          }
          busy = false;
        };
        const off = commands.listen(() => {
          this.world.plan(this.#latency(), () => {
            void deliver();
          });
        });
        this.world.plan(1, () => {
          void deliver();
        });
        return {
          stop: async () => {
            stopped = true;
            off();
            await pending;
          },
        };
      },
      appendClock: () => {
        if (alive())
          void this.append(
            commands,
            Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'clock', first: 0, commands: [] })),
          ).catch(() => {});
      },
      release: (at, replies) => {
        if (alive()) onReplies(at, replies);
      },
      appendRelay: async (target, bytes) => {
        await guard(alive() ? this.append(this.commands[target]!, bytes) : never);
      },
      snapshots: this.#snapshotStore(partition, alive),
      clock: {
        ...this.world.clock,
        delay,
        after: (ms, task) =>
          this.world.clock.after(ms, () => {
            if (alive()) task();
          }),
      },
    };
  }

  #snapshotStore(partition: number, alive: () => boolean): SnapshotStore {
    const stored = this.snapshots[partition]!;
    const never = new Promise<never>(() => {});
    return {
      put: async (gen, chunk, bytes) => {
        await this.world.clock.delay(this.#latency());
        if (!alive()) return never;
        stored.set(`${gen}.${chunk}`, bytes);
      },
      generations: async () =>
        [...new Set([...stored.keys()].map((key) => Number(key.split('.')[0])))].sort((a, b) => b - a),
      get: async (gen, chunk) => stored.get(`${gen}.${chunk}`) ?? null,
      remove: async (gen) => {
        for (const key of [...stored.keys()]) if (key.startsWith(`${gen}.`)) stored.delete(key);
      },
    };
  }
}
