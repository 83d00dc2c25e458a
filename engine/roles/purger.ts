/**
 * Keeps the command logs and journals of the owned partitions within their bounds: looks when bytes have moved, takes
 * snapshots where those are what holds back, purges by sequence what nobody needs, and says who needs the rest.
 *
 * Until a stream is half full nothing is purged: until then everything can be looked up and executed again.
 * C goes below what is committed, snapshotted and archived; J below the older kept snapshot and every reader's position.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { bounds, purgeCommands, purgeJournal, stream, type Bounds, type PartitionRoom } from '../log/mod.ts';
import type { PartitionOwner } from '../partition/owner.ts';
import { journalFill } from '../partition/journal_room.ts';
import { decodeRecord } from '../partition/record.ts';
import { RecordFilter } from '../partition/record_filter.ts';
import { jetstreamSource } from '../partition/replay_source.ts';
import { snapshotStandsAt } from '../partition/snapshot.ts';
import type { SinkPositions } from '../projections/positions_feed.ts';
import { archiveOfCommands } from '../projections/sinks.ts';

const turnMs = 250;
/** A stream is looked at when so much of its bound has moved since the last look, */
const movedShare = 0.01;
/** while it is half full, or its partition late, so often (nearly full: every turn), */
const watchedMs = 1_000;
/** and otherwise so often. */
const idleMs = 30_000;
const snapshotRetryMs = 2_000;
const purgeAt = 0.5;
const alarmAt = 0.8;
/** A snapshot that would free less than this share of the messages is not worth its work. */
const worthShare = 0.05;
/** Relays that wait for other partitions; with more of them doors refuse what makes more. */
const relaysMax = 50_000;

export type PurgedOwner = Pick<
  PartitionOwner,
  'purgeable' | 'committed' | 'moved' | 'lagMs' | 'journalFill' | 'journalMeasured' | 'relaysPending' | 'snapshot'
>;

interface Known {
  at: number;
  moved: { commands: number; journal: number };
  commands: Bounds;
  journal: Bounds;
  heldBy: { commands: string; journal: string };
  /** A snapshot was taken: more can be purged. */
  isChanged: boolean;
}

export interface PurgerOptions {
  nc: NatsConnection;
  log: Logger;
  partitions: number;
  owned(): ReadonlyMap<number, PurgedOwner>;
  positions: ReaderPositions;
}

/** How far the readers of the journal have durably come, and the archive of the command logs. */
export class ReaderPositions {
  readonly #needed: readonly string[];
  readonly #positions = new Map<string, Map<number, number>>();
  constructor(needed: readonly string[]) {
    this.#needed = needed;
  }

  heard({ sink, positions }: SinkPositions) {
    this.#positions.set(sink, new Map(positions));
  }

  /** By needed reader; 0 while it is unknown. */
  of(which: 'commands' | 'journal', partition: number): [reader: string, sequence: number][] {
    return this.#needed
      .filter((reader) => (reader === archiveOfCommands) === (which === 'commands'))
      .map((reader) => [reader, this.#positions.get(reader)?.get(partition) ?? 0]);
  }
}

export class Purger {
  readonly #options: PurgerOptions;
  readonly #known = new Map<number, Known>();
  readonly #looking = new Set<number>();
  readonly #snapshotting = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;
  #snapshotNotBefore = -Infinity;

  constructor(options: PurgerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      for (const [partition, owner] of options.owned()) {
        if (!this.#looking.has(partition) && this.#isDue(partition, owner)) void this.look(partition, owner);
      }
      for (const partition of this.#known.keys()) if (!options.owned().has(partition)) this.#known.delete(partition);
    }, turnMs);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** For doors and screens; null before the first look. */
  room(partition: number, owner: PurgedOwner): PartitionRoom | null {
    const known = this.#known.get(partition);
    if (!known) return null;
    const { commands, heldBy } = known;
    const [c, j] = [fillOf.commands(commands) + grown(known, owner, 'commands'), owner.journalFill];
    const isSwamped = owner.relaysPending > relaysMax;
    const held = isSwamped ? 'relays' : c > j ? heldBy.commands : heldBy.journal;
    return [Math.round(c * 10_000), Math.round(j * 10_000), held, isSwamped];
  }

  #isDue(partition: number, owner: PurgedOwner): boolean {
    const known = this.#known.get(partition);
    if (!known) return true;
    const sinceMs = performance.now() - known.at;
    const [c, j] = [grown(known, owner, 'commands'), grown(known, owner, 'journal')];
    if (c >= movedShare || j >= movedShare || sinceMs >= idleMs) return true;
    const fill = Math.max(fillOf.commands(known.commands) + c, owner.journalFill);
    if (fill >= alarmAt || known.isChanged) return true;
    return (fill >= purgeAt || owner.lagMs > watchedMs) && sinceMs >= watchedMs;
  }

  /** One look; what fails is said and tried again at the next. */
  async look(partition: number, owner: PurgedOwner): Promise<void> {
    this.#looking.add(partition);
    try {
      await this.#look(partition, owner);
    } catch (error) {
      this.#options.log.warn({ partition, err: error }, 'purge failed');
    } finally {
      this.#looking.delete(partition);
    }
  }

  async #look(partition: number, owner: PurgedOwner) {
    const { nc, log, positions } = this.#options;
    const moved = { ...owner.moved };
    const { committed, purgeable } = owner;
    const limits = {
      commands: limitsOf(
        ['snapshot', purgeable.commands],
        [['commit', committed.offset], ...positions.of('commands', partition)],
      ),
      journal: limitsOf(['snapshot', purgeable.journal], positions.of('journal', partition)),
    };
    const found = {
      commands: await this.#bounds(partition, 'commands'),
      journal: await this.#bounds(partition, 'journal'),
    };
    let wantsSnapshot = false;
    for (const which of ['commands', 'journal'] as const) {
      const { first, last } = found[which];
      const { below, without } = limits[which];
      if (fillOf[which](found[which]) < purgeAt) continue;
      if (below > first) {
        await (which === 'commands' ? purgeCommands : purgeJournal)(nc, partition, below);
        found[which] = await this.#bounds(partition, which);
      }
      const freeable = Math.min(without, last) - Math.max(below, first);
      if (fillOf[which](found[which]) >= purgeAt && freeable > worthShare * found[which].messages) wantsSnapshot = true;
    }
    owner.journalMeasured(found.journal);
    const before = this.#known.get(partition);
    const known: Known = {
      at: performance.now(),
      moved,
      ...found,
      heldBy: { commands: '', journal: '' },
      isChanged: false,
    };
    for (const which of ['commands', 'journal'] as const) {
      const share = fillOf[which](found[which]);
      if (share < purgeAt) continue;
      const heldBy = limits[which].by;
      known.heldBy[which] = heldBy;
      const [bytes, bytesMax] = [found[which].bytes, found[which].bytesMax];
      const said = { partition, stream: stream[which](partition), bytes, bytesMax, heldBy };
      const isNew = before?.heldBy[which] !== heldBy;
      const isWorse = share >= alarmAt && (!before || fillOf[which](before[which]) < alarmAt);
      if (isWorse) log.error(said, 'stream fills up');
      else if (isNew && !wantsSnapshot) log.warn(said, 'stream is half full and cannot be purged');
    }
    this.#known.set(partition, known);
    if (wantsSnapshot) void this.#snapshot(partition, owner, known);
  }

  /** Looks go on meanwhile: its pointer may have to wait for the very room that a reader's progress makes. */
  async #snapshot(partition: number, owner: PurgedOwner, known: Known) {
    if (this.#snapshotting.has(partition) || performance.now() < this.#snapshotNotBefore) return;
    this.#snapshotting.add(partition);
    try {
      await owner.snapshot();
      (this.#known.get(partition) ?? known).isChanged = true;
    } catch (error) {
      this.#snapshotNotBefore = performance.now() + snapshotRetryMs;
      this.#options.log.error({ partition, err: error }, 'a snapshot that would make room failed');
    } finally {
      this.#snapshotting.delete(partition);
    }
  }

  #bounds(partition: number, which: 'commands' | 'journal'): Promise<Bounds> {
    return bounds(this.#options.nc, stream[which](partition));
  }

  /** Makes room in the journal of a partition that nobody can own because it is full, by what is stored alone. */
  async rescue(partition: number): Promise<void> {
    const { nc, log, positions } = this.#options;
    for (let said = ''; !this.#closed; await delay(watchedMs)) {
      try {
        const { first } = await this.#bounds(partition, 'journal');
        const snapshot = await this.#committedSnapshot(partition);
        const { below, by } = limitsOf(['snapshot', snapshot], positions.of('journal', partition));
        if (below > first) return void (await purgeJournal(nc, partition, below));
        const full = { partition, stream: stream.journal(partition), heldBy: by };
        if (said !== by) log.error(full, 'a full journal cannot be purged');
        said = by;
      } catch (error) {
        log.warn({ partition, err: error }, 'purge failed');
      }
    }
  }

  /** Journal sequence of the oldest snapshot whose pointer is journaled; chunks alone prove nothing. 0: there is none. */
  async #committedSnapshot(partition: number): Promise<number> {
    const source = await jetstreamSource(this.#options.nc, partition, this.#options.partitions);
    for (const gen of (await source.snapshots.generations()).toReversed()) {
      const at = await snapshotStandsAt(source.snapshots, gen);
      if (at === null || at.j0 + 1 < source.journal.first) continue;
      // The pointer of an owner that was superseded meanwhile is as void as its state.
      const filter = new RecordFilter(at);
      for await (const batch of source.records(at.j0 + 1))
        for (const { bytes } of batch) {
          const record = decodeRecord(bytes);
          if (filter.accepts(record) && record.snapshot?.gen === gen) return at.j0;
        }
    }
    return 0;
  }
}

const fillOf = {
  commands: ({ bytes, bytesMax }: Bounds) => (bytesMax > 0 ? bytes / bytesMax : 0),
  journal: journalFill,
} as const;

/** By which share of its bound a stream grew since the last look, as far as its owner knows. */
const grown = (known: Known, { moved }: PurgedOwner, which: 'commands' | 'journal') =>
  known[which].bytesMax > 0 ? Math.max(0, moved[which] - known.moved[which]) / known[which].bytesMax : 0;

/** The lowest sequence that is needed, by whom, and the lowest without the snapshot. */
function limitsOf(snapshot: [string, number], others: [string, number][]) {
  const without = Math.min(Infinity, ...others.map(([, sequence]) => sequence));
  // Of two the one that nobody here can do anything about.
  const [by, below] = [...others, snapshot].reduce((least, one) => (one[1] < least[1] ? one : least));
  return { by, below, without };
}
