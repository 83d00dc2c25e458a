/**
 * What a partition's owner needs of the world. The real one is JetStream (`../roles/jetstream_ports.ts`); the simulation
 * brings a faulty one. Errors are those of `../log/errors.ts`.
 */
import type { Effect } from '#actors/actor';
import type { JournalEntry, ReplyOut } from '../wire.ts';

export interface LogMessage {
  sequence: number;
  at: number;
  bytes: Uint8Array;
  /** Messages that wait behind it. */ pending: number;
}

export interface CommandReader {
  /** Resolves when it reads no more: with the error that ended it, or without one when it was stopped. */
  readonly ended?: Promise<Error | undefined>;
  /** Nothing is delivered any more; resolves when no callback is pending. */
  stop(): Promise<void>;
}

export interface PartitionPorts {
  /**
   * Appends to the journal under the expectation, in the order of the calls. After a disconnect everything unacknowledged
   * rejects at once, and nothing of it is sent again by itself. Rejects WrongLastSequence, AppendUncertain or StreamRefused.
   */
  appendRecord(bytes: Uint8Array, expectedLastSequence: number): Promise<{ sequence: number }>;
  /**
   * Sequences held, as the stream's leader has them; an empty stream has last = 0 or first = last + 1. Without `bytesMax` it is
   * unbounded. Rejects LogDamaged.
   */
  journalBounds(): Promise<{ first: number; last: number; bytes?: number; bytesMax?: number }>;
  /** The newest record of this journal that somebody else has seen, from before the call; null: nobody knows of one. */
  witness?(): Promise<{ sequence: number; by: string } | null>;
  /** Last sequence of the command log. */
  commandsEnd?(): Promise<number>;
  /** Delivers all records from..to in order, valid or not; rejects when the server is away, and LogDamaged. */
  readJournal(from: number, to: number, onEntry: (entry: JournalEntry, bytes: number) => void): Promise<void>;
  /** Follows the command log from a sequence on; a pending promise holds the reader back. */
  followCommands(from: number, onMessage: (message: LogMessage) => void | Promise<void>): Promise<CommandReader>;
  /** Resolves when it is this partition's turn to make a record: the partitions of a process send theirs together. */
  turn(): Promise<void>;
  /** Gives an idle partition time. */
  appendClock(): void;
  /** Lets out what is committed. */
  release(at: string, replies: ReplyOut[], effects: Effect[]): void;
  /** Publishes a frame to another partition's log; resolves when it is stored. */
  appendRelay(target: number, bytes: Uint8Array): Promise<void>;
  snapshots: SnapshotStore;
  clock: OwnerClock;
}

/** The owner's own time: when to ask for a clock frame or try again, and how far the store's time may be from it. */
export interface OwnerClock {
  /** Unix ms. */
  wall(): number;
  /** ms that never jump. */
  monotonic(): number;
  delay(ms: number): Promise<void>;
  /** Runs `task` once after `ms`; the returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: OwnerClock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

export interface SnapshotStore {
  put(gen: number, chunk: number, bytes: Uint8Array): Promise<void>;
  /** Generations that have at least a first chunk, newest first. */
  generations(): Promise<number[]>;
  /** The chunk, or null. */
  get(gen: number, chunk: number): Promise<Uint8Array | null>;
  remove(gen: number): Promise<void>;
}
