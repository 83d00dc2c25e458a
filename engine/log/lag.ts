/**
 * How far each partition is behind, from the engines' commit positions and from what this process has stored itself.
 *
 * A silent feed alone says nothing: lag grows while silent only if something is known to be waiting, which is a frame of
 * ours that no position covers yet, or a last position below the log's end.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import { packr } from '../wire.ts';
import { anyCommits } from './subjects.ts';

/**
 * How full a partition's streams are: command log and journal in hundredths of a percent of their bounds, who needs what
 * cannot be purged ('' while that does not matter), and whether too much waits for other partitions.
 */
export type PartitionRoom = [commandsBp: number, journalBp: number, heldBy: string, isSwamped: boolean];
/** From here on doors take nothing: the rest is for what is under way, and for the engine. */
const refuseAtBp = 9_500;
export const isRoomOver = ([commandsBp, journalBp, , isSwamped]: PartitionRoom): boolean =>
  commandsBp >= refuseAtBp || journalBp >= refuseAtBp || isSwamped;

/**
 * What an engine says every 250 ms of the partitions it owns. `offset`: last committed frame, `last`: last frame in the log,
 * `lagMs`: age of the oldest uncommitted. Of two that speak for a partition the one of the newer epoch is right.
 */
export interface CommitPositions {
  engine: string;
  partitions: [
    partition: number,
    offset: number,
    last: number,
    lagMs: number,
    epoch?: number,
    room?: PartitionRoom | null,
  ][];
}

export interface Lag {
  /** Frames stored and not yet committed; each holds 1 to 64 commands, so never more than the commands waiting. */
  commands: number;
  /** Age of the oldest of them, ms. */
  ms: number;
}

interface Position {
  epoch: number;
  offset: number;
  last: number;
  lagMs: number;
  heardAt: number;
  /** Newest frame of ours in the log. */
  own: number;
  /** Since when a frame of ours has been waiting without any commit at all; 0 = none is. */
  waitingSince: number;
  room: PartitionRoom | null;
}

export interface LagOptions {
  /** Grace for engines that have not started yet, ms. @default 10,000 */
  startMs?: number;
  now?: () => number;
}

/** The feed comes every 250 ms; twice that is not yet silence. */
const silenceMs = 500;
/** An engine under full load may be late with its feed; one that is silent for longer is away. */
const goneMs = 3_000;

export class LagFeed {
  readonly #positions: Position[];
  readonly #subscription: { unsubscribe(): void };
  readonly #now: () => number;
  readonly #quietUntil: number;

  constructor(nc: NatsConnection, partitions: number, { startMs = 10_000, now = Date.now }: LagOptions = {}) {
    this.#now = now;
    this.#quietUntil = now() + startMs;
    this.#positions = Array.from({ length: partitions }, () => ({
      epoch: 0,
      offset: 0,
      last: 0,
      lagMs: 0,
      heardAt: 0,
      own: 0,
      waitingSince: 0,
      room: null,
    }));
    this.#subscription = nc.subscribe(anyCommits, {
      callback: (error, message) => {
        if (error) return;
        try {
          this.heard(packr.unpack(message.data) as CommitPositions);
        } catch {
          // Not a position message; the next one comes in 250 ms.
        }
      },
    });
  }

  /** Takes in positions. A superseded engine may still talk, so offsets only grow. */
  heard({ partitions }: CommitPositions): void {
    const now = this.#now();
    for (const [partition, offset, last, lagMs, epoch = 0, room = null] of partitions) {
      const p = this.#positions[partition];
      if (!p || epoch < p.epoch || offset < p.offset) continue;
      p.epoch = epoch;
      if (offset > p.offset || p.own <= offset) p.waitingSince = p.own > offset ? now : 0;
      p.offset = offset;
      p.last = Math.max(last, offset);
      p.lagMs = lagMs;
      p.room = room;
      p.heardAt = now;
    }
  }

  /** A frame of this process was stored at `sequence`. */
  stored(partition: number, sequence: number): void {
    const p = this.#positions[partition];
    if (!p || sequence <= p.own) return;
    p.own = sequence;
    if (p.waitingSince === 0 && sequence > p.offset) p.waitingSince = this.#now();
  }

  lag(partition: number): Lag {
    const p = this.#positions[partition];
    if (!p) throw new RangeError(`no such partition: ${partition}`);
    const now = this.#now();
    if (p.heardAt === 0) {
      // Never heard: engines may be starting. Only our own frames tell that something waits.
      const ms = p.waitingSince > 0 && now > this.#quietUntil ? now - p.waitingSince : 0;
      return { commands: ms > 0 ? 1 : 0, ms };
    }
    const silent = now - p.heardAt;
    const waiting = Math.max(p.last, p.own) - p.offset;
    if (silent <= silenceMs) return { commands: waiting, ms: p.lagMs };
    if (waiting <= 0) return { commands: 0, ms: 0 };
    const own = p.waitingSince > 0 ? now - p.waitingSince : 0;
    const fed = p.last > p.offset ? p.lagMs + silent : 0;
    return { commands: waiting, ms: Math.max(own, fed) };
  }

  /** Why nothing more may be stored, in words; null when it may. What an engine last said stands until one says otherwise. */
  full(partition: number): string | null {
    const room = this.#positions[partition]?.room;
    if (!room || !isRoomOver(room)) return null;
    const [commandsBp, journalBp, heldBy] = room;
    const percent = (bp: number) => Math.floor(bp / 100);
    return (
      `the command log of partition ${partition} is ${percent(commandsBp)} % full, its journal ${percent(journalBp)} %` +
      (heldBy === '' ? '' : `; ${heldBy} holds it`)
    );
  }

  /**
   * By how much a living engine is behind, ms; without end while its
   * streams are full; 0 when none speaks for the partition, so nobody waits for a dead one.
   */
  engineMs(partition: number): number {
    const p = this.#positions[partition];
    if (!p || this.#now() - p.heardAt > goneMs) return 0;
    return p.room && isRoomOver(p.room) ? Infinity : p.lagMs;
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}
