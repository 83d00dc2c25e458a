/**
 * The role "engine": owns partitions, tells doors how far it is, purges what nobody needs any more.
 * One process owns all partitions here; when it is superseded on one, it ends, and the supervisor starts it again.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Domain } from '#actors/actor';
import type { Config } from '../config/config.ts';
import {
  anyPositions,
  commandBounds,
  connectLog,
  internal,
  journalBounds,
  Pace,
  purgeCommands,
  purgeJournal,
  ringPublisher,
  type Bounds,
  type CommitPositions,
} from '../log/mod.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { PartitionOwner, recordEveryMs } from '../partition/owner.ts';
import { packr, type ClockKind } from '../wire.ts';
import { build } from './build.ts';
import { jetstreamPorts } from './jetstream_ports.ts';
import { Settlement } from './settlement.ts';

const commitsEveryMs = 250;
/** A driver waits for every record, and nobody else sends meanwhile: what would leave together is not worth a wait. */
const drivenRecordEveryMs = 1;
const defaultPurgeEveryMs = 30_000;

export interface EngineOptions {
  config: Pick<Config, 'natsUrl' | 'partitions'> & { clock?: ClockKind };
  domain: Domain;
  log: Logger;
  onFatal(error: unknown): void;
  /** Readers of the journal whose positions must be known before anything is purged. */
  sinks: readonly string[];
  /** How often it is looked whether a stream is half full. @default 30,000 */
  purgeEveryMs?: number;
}

export interface Engine {
  readonly id: string;
  readonly owners: readonly PartitionOwner[];
  close(): Promise<void>;
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { config, domain, log, onFatal, sinks, purgeEveryMs = defaultPurgeEveryMs } = options;
  const id = randomUUID().slice(0, 8);
  const { partitions, clock = 'wall' } = config;
  const nc = await connectLog(config.natsUrl, `engine-${id}`);
  const publisher = ringPublisher(nc);
  const catalogue = compileDomain(domain);
  const pace = new Pace(clock === 'driven' ? drivenRecordEveryMs : recordEveryMs);
  const settlement = new Settlement(nc, () => owners);
  const owners = Array.from(
    { length: partitions },
    (_, partition) =>
      new PartitionOwner({
        partition,
        partitions,
        build,
        catalogue,
        ports: jetstreamPorts(nc, publisher, partition, pace, (target, at) => settlement.relayStored(target, at)),
        clock,
        onFailed: onFatal,
        onEvent: (event) => {
          const level =
            event.event === 'rebuilt' || event.event === 'snapshot_failed'
              ? 'warn'
              : event.event === 'uncertain'
                ? 'info'
                : 'debug';
          log[level]({ partition, ...event }, event.event);
        },
      }),
  );
  await Promise.all(owners.map((owner) => owner.start()));
  const ping = nc.subscribe(internal.ping(id), {
    callback: (_error, message) => {
      message.respond();
    },
  });
  const tellCommits = () => {
    const positions: CommitPositions = {
      engine: id,
      partitions: owners.map((owner, p) => [
        p,
        owner.committed.offset,
        Math.max(owner.logEnd, owner.committed.offset),
        owner.lagMs,
      ]),
    };
    if (!nc.isClosed()) nc.publish(internal.commits(id), packr.pack(positions));
  };
  const commits = setInterval(tellCommits, commitsEveryMs);
  const positions = new SinkPositions(sinks);
  const heard = nc.subscribe(anyPositions, {
    callback: (error, message) => {
      if (!error) positions.heard(packr.unpack(message.data) as SinkMessage);
    },
  });
  let purging = false;
  const purge = setInterval(() => {
    // Snapshots of large states may take longer than the pause between two rounds.
    if (purging) return;
    purging = true;
    void purgeAll(owners, positions, nc, log).finally(() => (purging = false));
  }, purgeEveryMs);
  return {
    id,
    owners,
    async close() {
      clearInterval(commits);
      clearInterval(purge);
      await Promise.all(owners.map((owner) => owner.stop()));
      tellCommits();
      ping.unsubscribe();
      settlement.close();
      heard.unsubscribe();
      publisher.close();
      await nc.drain();
    },
  };
}

interface SinkMessage {
  sink: string;
  positions: [partition: number, sequence: number][];
}

/** How far the readers of the journal have durably come. */
export class SinkPositions {
  readonly #needed: readonly string[];
  readonly #positions = new Map<string, Map<number, number>>();
  constructor(needed: readonly string[]) {
    this.#needed = needed;
  }

  heard({ sink, positions }: SinkMessage) {
    this.#positions.set(sink, new Map(positions));
  }

  /** The lowest position of all needed readers; 0 while one is unknown. */
  lowest(partition: number): number {
    return Math.min(Infinity, ...this.#needed.map((sink) => this.#positions.get(sink)?.get(partition) ?? 0));
  }
}

/**
 * C below what is committed and snapshotted, J below the oldest kept snapshot and every reader; but only when a stream is
 * half full: until then everything can be looked up and executed again.
 */
async function purgeAll(
  owners: readonly PartitionOwner[],
  positions: SinkPositions,
  nc: Parameters<typeof purgeJournal>[0],
  log: Logger,
) {
  for (const [partition, owner] of owners.entries()) {
    try {
      await purge(partition, owner, positions, nc, log);
    } catch (error) {
      // The others must not run full because of it.
      log.warn({ partition, err: error }, 'purge failed');
    }
  }
}

async function purge(
  partition: number,
  owner: PartitionOwner,
  positions: SinkPositions,
  nc: Parameters<typeof purgeJournal>[0],
  log: Logger,
) {
  const { commands, journal } = owner.purgeable;
  const below = Math.min(journal, positions.lowest(partition));
  const [c, j] = await Promise.all([commandBounds(nc, partition), journalBounds(nc, partition)]);
  if (commands > c.first && isHalfFull(c)) await purgeCommands(nc, partition, commands);
  if (below > j.first && isHalfFull(j)) await purgeJournal(nc, partition, below);
  for (const [name, { bytes, bytesMax }] of [
    ['commands', c],
    ['journal', j],
  ] as const) {
    if (!isHalfFull({ bytes, bytesMax })) continue;
    // What is needed less becomes free with the next round.
    await owner.snapshot();
    if (bytes > 0.8 * bytesMax) log.error({ partition, bytes, bytesMax }, `${name} stream fills up`);
  }
}

const isHalfFull = ({ bytes, bytesMax }: Pick<Bounds, 'bytes' | 'bytesMax'>) => bytesMax > 0 && bytes > 0.5 * bytesMax;
