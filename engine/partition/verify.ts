/** `gridtick verify`: reads whole journals and says whether they are what they claim to be. */
import type { NatsConnection } from '@nats-io/transport-node';
import { journalBounds, tailJournalBatches } from '../log/mod.ts';
import { genesisHash, verifyChain } from './record.ts';
import { RecordFilter } from './record_filter.ts';

export interface PartitionVerdict {
  partition: number;
  /** Sequences read: [first, last]; an empty journal has last = 0. */
  first: number;
  last: number;
  records: number;
  epochs: number;
  /** Records of superseded owners that do not count. */
  strays: number;
  /** What is wrong, with the sequence; empty = clean. */
  problems: string[];
}

const problemsMax = 20;

/**
 * Checks hash chain, dense sequences, epochs, batches, offsets, clock and versions +1 of the given partitions.
 * A purged journal is checked from its first record on; that record's own predecessor is not at hand.
 */
export async function verifyPartitions(
  nc: NatsConnection,
  partitions: readonly number[],
  onProgress: (partition: number, sequence: number, last: number) => void = () => {},
): Promise<PartitionVerdict[]> {
  const verdicts: PartitionVerdict[] = [];
  for (const partition of partitions) verdicts.push(await verifyPartition(nc, partition, onProgress));
  return verdicts;
}

async function verifyPartition(
  nc: NatsConnection,
  partition: number,
  onProgress: (partition: number, sequence: number, last: number) => void,
) {
  const { first, last } = await journalBounds(nc, partition);
  const verdict: PartitionVerdict = { partition, first, last, records: 0, epochs: 0, strays: 0, problems: [] };
  if (last < first || last === 0) return verdict;
  const problem = (text: string) => {
    if (verdict.problems.length < problemsMax) verdict.problems.push(text);
  };
  let filter = first === 1 ? new RecordFilter() : null;
  let hash: string | null = first === 1 ? genesisHash : null;
  let expected = first;
  let offset = 0;
  let now = 0;
  const versions = new Map<string, number>();
  let finish!: () => void;
  const complete = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const reader = await tailJournalBatches(nc, partition, first, (stored) => {
    for (const { sequence, bytes, record } of stored) {
      if (sequence > last) break;
      if (sequence !== expected) problem(`${partition}:${sequence} follows ${expected - 1}: records are missing`);
      expected = sequence + 1;
      filter ??= new RecordFilter(
        record.batch === 0 ? { epoch: record.epoch - 1, batch: 0 } : { epoch: record.epoch, batch: record.batch - 1 },
      );
      if (!filter.accepts(record)) {
        verdict.strays += 1;
        continue;
      }
      verdict.records += 1;
      if (record.kind === 'epoch') verdict.epochs += 1;
      if (hash !== null && !verifyChain(bytes, hash))
        problem(`${partition}:${sequence} does not follow the hash chain`);
      if (record.offset < offset) problem(`${partition}:${sequence} offset ${record.offset} after ${offset}`);
      if (record.now < now) problem(`${partition}:${sequence} the clock went back from ${now} to ${record.now}`);
      for (const { kind, id, version, image } of record.entities) {
        const name = `${kind}/${id}`;
        const before = versions.get(name);
        if (before !== undefined ? version !== before + 1 : first === 1 && version !== 1) {
          problem(`${partition}:${sequence} ${name} has version ${version} after ${before ?? 0}`);
        }
        if (image === null) versions.delete(name);
        else versions.set(name, version);
      }
      ({ hash, offset, now } = record);
    }
    const at = stored.at(-1)!.sequence;
    onProgress(partition, Math.min(at, last), last);
    if (at >= last) finish();
  });
  const error = await Promise.race([complete, reader.ended]);
  await reader.stop();
  if (error) problem(`${partition}:${expected} cannot be read: ${error.message}`);
  return verdict;
}
