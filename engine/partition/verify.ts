/** `gridtick verify`: reads whole journals and says whether they are what they claim to be. */
import type { NatsConnection } from '@nats-io/transport-node';
import { checkWhole, journalBounds, readRange, stream } from '../log/mod.ts';
import { decodeRecord, genesisHash, verifyChain } from './record.ts';
import { RecordFilter } from './record_filter.ts';
import { readWitnesses, type Witnesses } from './witnesses.ts';

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
 * A purged journal is checked from its first record on; that record's own predecessor is not at hand. One that lacks its end
 * is sound in itself: what public streams were written from tells that there was more.
 */
export async function verifyPartitions(
  nc: NatsConnection,
  partitions: readonly number[],
  onProgress: (partition: number, sequence: number, last: number) => void = () => {},
): Promise<PartitionVerdict[]> {
  const verdicts: PartitionVerdict[] = [];
  // Before the journals, which grow meanwhile.
  const witnesses = await readWitnesses(nc);
  for (const partition of partitions) verdicts.push(await verifyPartition(nc, partition, witnesses, onProgress));
  return verdicts;
}

async function verifyPartition(
  nc: NatsConnection,
  partition: number,
  witnesses: Witnesses,
  onProgress: (partition: number, sequence: number, last: number) => void,
) {
  const name = stream.journal(partition);
  const bounds = await journalBounds(nc, partition);
  const { first, last } = bounds;
  const verdict: PartitionVerdict = { partition, first, last, records: 0, epochs: 0, strays: 0, problems: [] };
  const problem = (text: string) => {
    if (verdict.problems.length < problemsMax) verdict.problems.push(text);
  };
  const seen = witnesses.get(partition);
  if (seen && seen.sequence > last)
    problem(`${name} ends at ${last}, and ${seen.by} was written up to ${seen.sequence}`);
  if (last < first || last === 0) return verdict;
  let filter = first === 1 ? new RecordFilter() : null;
  let hash: string | null = first === 1 ? genesisHash : null;
  let expected = first;
  let offset = 0;
  let now = 0;
  const versions = new Map<string, number>();
  const check = (stored: readonly { sequence: number; bytes: Uint8Array }[]) => {
    for (const { sequence, bytes } of stored) {
      const record = decodeRecord(bytes);
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
    onProgress(partition, expected - 1, last);
  };
  try {
    checkWhole(name, bounds);
    for await (const stored of readRange(nc, name, first, last)) check(stored);
  } catch (error) {
    problem(`${partition}:${expected} cannot be read: ${(error as Error).message}`);
  }
  return verdict;
}
