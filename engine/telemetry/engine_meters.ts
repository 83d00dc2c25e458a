/** What an engine measures: how far its partitions are, what commits cost, who fenced whom. */
import { Counter, Histogram } from 'prom-client';
import type { OwnershipEvent } from '../ownership/ownership.ts';
import type { OwnerMeter, PartitionOwner } from '../partition/owner.ts';
import { readCounter, readGauge, type Registry } from './registry.ts';

type Owner = Pick<PartitionOwner, 'epoch' | 'committed' | 'logEnd' | 'lagMs' | 'snapshotAgeMs' | 'state'>;

export interface EngineMeters {
  /** Of all partitions of the process. */
  owner: OwnerMeter;
  ownership(event: OwnershipEvent): void;
}

const secondBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const commandBuckets = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];
const byteBuckets = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 921_600];

export interface Partitions {
  owned: ReadonlyMap<number, Owner>;
  /** What this process should own and cannot, with the code of what is wrong. */
  unserved: ReadonlyMap<number, { code: string }>;
}

/** @param partitions of this process at the moment of a scrape */
export function engineMeters(registry: Registry, partitions: () => Partitions): EngineMeters {
  const registers = [registry];
  const perPartition = (name: string, help: string, value: (owner: Owner) => number) =>
    readGauge(registry, { name: `gridtick_partition_${name}`, help, labels: ['partition'] }, () =>
      [...partitions().owned].map(([partition, owner]) => [{ partition }, value(owner)] as const),
    );
  perPartition('lag_messages', 'Messages of the command log that are stored and not committed', (owner) =>
    Math.max(0, owner.logEnd - owner.committed.offset),
  );
  perPartition('lag_seconds', 'Age of the oldest message that is not decided', (owner) => owner.lagMs / 1_000);
  perPartition('epoch', 'Ownership of the partition, counted from its first', (owner) => owner.epoch);
  perPartition('record', 'Journal sequence of the newest committed record', (owner) => owner.committed.sequence);
  perPartition('entities', 'Entities in memory', (owner) => owner.state.entityCount);
  perPartition(
    'snapshot_age_seconds',
    'Time since the newest snapshot of this owner, or since it began',
    (owner) => owner.snapshotAgeMs / 1_000,
  );
  readGauge(
    registry,
    {
      name: 'gridtick_partition_unserved',
      help: '1: something is wrong with the partition itself, and nothing is decided in it',
      labels: ['partition', 'code'],
    },
    () => [...partitions().unserved].map(([partition, { code }]) => [{ partition, code }, 1] as const),
  );
  const waited = new Histogram({
    name: 'gridtick_commit_seconds',
    help: 'From the storing of the oldest command in a record to the acknowledgement of the record',
    buckets: secondBuckets,
    registers,
  });
  const size = new Histogram({
    name: 'gridtick_record_commands',
    help: 'Commands per record; 0: timers alone',
    buckets: commandBuckets,
    registers,
  });
  const bytes = new Histogram({
    name: 'gridtick_record_bytes',
    help: 'Size of a record',
    buckets: byteBuckets,
    registers,
  });
  const late = new Histogram({
    name: 'gridtick_timer_late_seconds',
    help: 'By how much the most overdue timer of a record came late, by the clock of the log',
    buckets: secondBuckets,
    registers,
  });
  const counts = { known: 0, resent: 0, refused: 0, taken: 0, given: 0, superseded: 0 };
  readCounter(
    registry,
    { name: 'gridtick_duplicates_total', help: 'Commands that had been decided before', labels: ['by'] },
    () => [
      [{ by: 'command_id' }, counts.known],
      [{ by: 'writer' }, counts.resent],
    ],
  );
  const count = (name: string, help: string, value: () => number) =>
    readCounter(registry, { name, help }, () => [[{}, value()]]);
  count('gridtick_appends_refused_total', 'Appends that the fence of the journal refused', () => counts.refused);
  count('gridtick_takeovers_total', 'Partitions that this engine took', () => counts.taken);
  count('gridtick_handovers_total', 'Partitions that it gave away in order', () => counts.given);
  count('gridtick_partitions_lost_total', 'Partitions that another engine took from it', () => counts.superseded);
  const taking = new Counter({
    name: 'gridtick_takeover_seconds_total',
    help: 'Time spent in takeovers: fence, snapshot, replay',
    registers,
  });
  return {
    owner: {
      committed(tally, recordBytes, waitedMs) {
        waited.observe(waitedMs / 1_000);
        size.observe(tally.commands);
        bytes.observe(recordBytes);
        if (tally.timerLateMs >= 0) late.observe(tally.timerLateMs / 1_000);
        counts.known += tally.known;
        counts.resent += tally.resent;
      },
      refused() {
        counts.refused += 1;
      },
    },
    ownership(event) {
      if (event.event === 'unreachable' || event.event === 'unserved') return;
      counts[event.event] += 1;
      if (event.event === 'taken') taking.inc(event.ms / 1_000);
    },
  };
}
