/**
 * The role "engine": owns its share of the partitions, tells doors how far it is, purges what nobody needs any more. Engines
 * come and go while the installation runs; who owns what is in `../ownership`.
 */
import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import type { Domain } from '#actors/actor';
import type { Config } from '../config/config.ts';
import {
  anyPositions,
  commandBounds,
  connectLog,
  internal,
  Pace,
  ringPublisher,
  type CommitPositions,
} from '../log/mod.ts';
import { Members, type MemberEvent } from '../ownership/members.ts';
import { NatsBus } from '../ownership/nats_bus.ts';
import { Ownership, type OwnershipEvent } from '../ownership/ownership.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { PartitionOwner, recordEveryMs, type DeadlyUnit, type OwnerEvent } from '../partition/owner.ts';
import { systemClock } from '../partition/ports.ts';
import { readWitnesses, type Witnesses } from '../partition/witnesses.ts';
import { engineMeters } from '../telemetry/engine_meters.ts';
import type { Probes } from '../telemetry/health.ts';
import type { Registry } from '../telemetry/registry.ts';
import type { Tracer } from '../telemetry/tracer.ts';
import { packr, type ClockKind } from '../wire.ts';
import { build } from './build.ts';
import type { SinkPositions } from '../projections/positions_feed.ts';
import { jetstreamPorts } from './jetstream_ports.ts';
import { Purger, ReaderPositions } from './purger.ts';
import { Settlement } from './settlement.ts';
import { trial } from './trial.ts';

const commitsEveryMs = 250;
/** A driver waits for every record, and nobody else sends meanwhile: what would leave together is not worth a wait. */
const drivenRecordEveryMs = 1;
const witnessesMs = 2_000;

export interface EngineOptions {
  config: Pick<Config, 'natsUrl' | 'partitions'> & { clock?: ClockKind; stuckMs?: number };
  domain: Domain;
  log: Logger;
  /** The process has to begin anew. Losing a partition to another engine, or one that cannot be served, is no such thing. */
  onFatal(error: unknown): void;
  /** Readers of the journal whose positions must be known before anything is purged. */
  sinks: readonly string[];
  /** File of the process in which a partition is tried when its owners die of it; absent: none is tried. */
  trialFile?: string;
  metrics?: Registry;
  tracer?: Tracer;
}

export interface Engine {
  readonly id: string;
  /** The partitions that it owns at the moment, in their order. */
  readonly owners: readonly PartitionOwner[];
  /** What it should own and cannot, by what is wrong with it. */
  readonly unserved: ReadonlyMap<number, Error>;
  /** By this name it is known to the others, and in logs. */
  readonly ready: { engine: string };
  readonly probes: Probes;
  /** Gives its partitions to the other engines, if there are any. */
  close(): Promise<void>;
}

/** Resolves when it has all partitions that it should own; one that cannot be served is told and left out. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { config, domain, log, onFatal, sinks, trialFile, metrics, tracer } = options;
  const id = randomUUID().slice(0, 8);
  const { partitions, clock = 'wall' } = config;
  const nc = await connectLog(config.natsUrl, `engine-${id}`);
  const publisher = ringPublisher(nc);
  const catalogue = compileDomain(domain);
  const pace = new Pace(clock === 'driven' ? drivenRecordEveryMs : recordEveryMs);
  const witnesses = witnessesOf(nc);
  const settlement = new Settlement(nc, () => ownership.owned);
  const meters = metrics && engineMeters(metrics, () => ownership);
  const note = (event: OwnerEvent | OwnershipEvent | MemberEvent, partition?: number) =>
    log[levelOf[event.event]]({ engine: id, ...(partition === undefined ? {} : { partition }), ...event }, event.event);
  const ownership: Ownership<PartitionOwner> = new Ownership({
    id,
    partitions,
    clock: systemClock,
    members: () => members,
    newOwner: (partition, mayClaim, onFailed) =>
      new PartitionOwner({
        partition,
        partitions,
        build,
        catalogue,
        ports: jetstreamPorts(
          nc,
          publisher,
          partition,
          pace,
          (target, at) => settlement.relayStored(target, at),
          witnesses,
        ),
        clock,
        mayClaim,
        ...(trialFile !== undefined && { probe: proberOf(nc, trialFile, partition, config.stuckMs, log) }),
        onFailed,
        ...(meters && { meter: meters.owner }),
        ...(tracer && { tracer }),
        onEvent: (event) => {
          note(event, partition);
          if (event.event === 'journal_full' && !ownership.owned.has(partition)) void purger.rescue(partition);
        },
      }),
    onFatal,
    onEvent(event) {
      note(event);
      meters?.ownership(event);
      if (event.event === 'taken') tellCommits();
    },
  });
  const members = new Members({
    id,
    partitions,
    clockKind: clock,
    bus: new NatsBus(nc, id),
    clock: systemClock,
    self: () => ownership.told,
    onChange: () => ownership.look(),
    onEvent: note,
  });
  const positions = new ReaderPositions(sinks);
  const purger = new Purger({ nc, log, partitions, positions, owned: () => ownership.owned });
  const tellCommits = () => {
    const told: CommitPositions = {
      engine: id,
      partitions: [...ownership.owned].map(([p, owner]) => [
        p,
        owner.committed.offset,
        Math.max(owner.logEnd, owner.committed.offset),
        owner.lagMs,
        owner.epoch,
        purger.room(p, owner),
      ]),
    };
    if (!nc.isClosed()) nc.publish(internal.commits(id), packr.pack(told));
  };
  const heard = nc.subscribe(anyPositions, {
    callback: (error, message) => {
      if (!error) positions.heard(packr.unpack(message.data) as SinkPositions);
    },
  });
  const commits = setInterval(tellCommits, commitsEveryMs);
  await members.join();
  await ownership.begin();
  return {
    id,
    ready: { engine: id },
    probes: engineProbes(nc, ownership),
    get owners() {
      return [...ownership.owned.values()];
    },
    unserved: ownership.unserved,
    async close() {
      clearInterval(commits);
      purger.close();
      await ownership.leave();
      members.close();
      settlement.close();
      heard.unsubscribe();
      publisher.close();
      await nc.drain();
    },
  };
}

/** A partition that is further behind than this is still catching up, ms; beyond it doors refuse as well. */
const lagMsMax = 2_000;

function engineProbes(nc: NatsConnection, ownership: Ownership<PartitionOwner>): Probes {
  return {
    async log() {
      await nc.rtt();
    },
    async partitions() {
      const taking = ownership.told.held.flatMap(([partition, epoch]) => (epoch === 0 ? [partition] : []));
      if (taking.length > 0) throw new Error(`recovers partitions ${taking.join(', ')}`);
      const unserved = [...ownership.unserved].map(([partition, { message }]) => `${partition} (${message})`);
      if (unserved.length > 0) throw new Error(`cannot serve partition ${unserved.join(', ')}`);
      if (!ownership.isComplete) throw new Error('waits for partitions of other engines');
    },
    async lag() {
      const late = [...ownership.owned].flatMap(([partition, { lagMs }]) => (lagMs >= lagMsMax ? [partition] : []));
      if (late.length > 0) throw new Error(`partitions ${late.join(', ')} are ${lagMsMax} ms or more behind`);
    },
  };
}

/** One reading for all partitions that are taken at about the same time. */
function witnessesOf(nc: NatsConnection): () => Promise<Witnesses> {
  let readAt = -Infinity;
  let reading: Promise<Witnesses>;
  return () => {
    if (performance.now() - readAt > witnessesMs) {
      readAt = performance.now();
      reading = readWitnesses(nc);
      reading.catch(() => (readAt = -Infinity));
    }
    return reading;
  };
}

/** What an operator wants to find in the log of an engine is `info`, what he should see at once `warn`. */
const levelOf = {
  recovered: 'debug',
  uncertain: 'info',
  rebuilt: 'warn',
  snapshot: 'debug',
  snapshot_failed: 'warn',
  isolated: 'warn',
  journal_full: 'error',
  journal_has_room: 'warn',
  joined: 'info',
  lost: 'info',
  taken: 'info',
  given: 'info',
  superseded: 'info',
  unreachable: 'warn',
  unserved: 'error',
} as const satisfies Record<(OwnerEvent | OwnershipEvent | MemberEvent)['event'], string>;

/** A unit that takes longer than this never ends, ms. */
const stuckMsDefault = 15_000;

/** A trial of which nothing comes is told, and the partition begins as it would without. */
const proberOf =
  (nc: NatsConnection, file: string, partition: number, unitMs = stuckMsDefault, log: Logger) =>
  async (deadly: readonly string[], offset: number): Promise<DeadlyUnit | null> => {
    // Of nothing nobody dies: an idle partition may change hands as often as engines come and go.
    if ((await commandBounds(nc, partition)).last <= offset) return null;
    log.warn({ partition, deadly }, 'owners die of what comes next: it is tried in a process of its own');
    return trial({ file, partition, deadly, unitMs }).catch((error: Error) => {
      log.error({ partition, err: error }, 'trial failed');
      return null;
    });
  };
