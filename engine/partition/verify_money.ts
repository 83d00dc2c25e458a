/**
 * `gridtick verify`: whether the journals make or lose anything that is owned. Reads them from their beginning, or from the
 * oldest snapshot where that was purged.
 *
 * M1 At every record, what all entities of a partition own comes to 0 in every ledger; so do the legs of every batch.
 * M2 What is in transit, over all partitions, is what relays carry that were sent and not yet applied.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Domain } from '#actors/actor';
import { journalBounds, tailJournalBatches } from '../log/mod.ts';
import { compileDomain } from './catalogue.ts';
import { LedgerSums } from './ledger_sums.ts';
import { PartitionMoney } from './partition_money.ts';
import { RecordFilter } from './record_filter.ts';
import { readOldestSnapshot } from './snapshot.ts';
import { snapshotStore } from './snapshot_store.ts';

type Sums = [ledger: string, sum: bigint][];

export interface MoneyVerdict {
  partitions: { partition: number; records: number; owners: number; sums: Sums }[];
  /** Over all partitions; null when only some were read. */
  between: { transit: Sums; carried: Sums } | null;
  /** What is wrong, with the sequence; empty = clean. */
  problems: string[];
}

const problemsMax = 20;
const silentMsMax = 20_000;

/**
 * @param partitions how many there are
 * @param only a single one of them; what is between partitions is then not checked
 */
export async function verifyMoney(
  nc: NatsConnection,
  domain: Domain,
  partitions: number,
  only?: number,
): Promise<MoneyVerdict> {
  const problems: string[] = [];
  const problem = (text: string) => {
    if (problems.length < problemsMax) problems.push(text);
  };
  const catalogue = compileDomain(domain);
  const readers: Reader[] = [];
  for (let p = 0; p < partitions; p++) {
    if (only !== undefined && only !== p) continue;
    const reader = new Reader(nc, new PartitionMoney(p, domain, catalogue, problem));
    readers.push(reader);
    try {
      await reader.open();
      const { last } = await journalBounds(nc, p);
      await reader.read((sequence) => sequence >= last, last);
    } catch (error) {
      problem(`partition ${p} cannot be read: ${(error as Error).message}`);
    }
  }
  const between = only === undefined && problems.length === 0 ? await compareTransit(readers, problem) : null;
  return {
    partitions: readers.map(({ money }) => ({
      partition: money.partition,
      records: money.records,
      owners: money.owners,
      sums: [...money.sums],
    })),
    between,
    problems,
  };
}

/** M2. The journals were read one after the other: a relay may have been applied behind the end of its sender's. */
async function compareTransit(readers: readonly Reader[], problem: (text: string) => void) {
  for (let behind = true; behind;) {
    behind = false;
    for (const source of readers) {
      for (const { money: target } of readers) {
        const applied = target.appliedFrom(source.money.partition);
        const sent = () => source.money.sent.get(target.partition) ?? 0;
        if (applied <= sent()) continue;
        behind = true;
        await source.read(() => sent() >= applied, Infinity);
      }
    }
  }
  const transit = new LedgerSums();
  const carried = new LedgerSums();
  for (const { money } of readers) {
    for (const [ledger, sum] of money.transit) transit.add(ledger, sum);
    for (const { money: target } of readers)
      carried.addAll(money.carriedTo(target.partition, target.appliedFrom(money.partition)));
  }
  for (const ledger of new Set([...transit, ...carried].map(([name]) => name))) {
    const difference = transit.get(ledger) + carried.get(ledger);
    if (difference !== 0n)
      problem(
        `all partitions: ${transit.get(ledger)} ${ledger} in transit, relays under way carry ${carried.get(ledger)}: ${difference} too much`,
      );
  }
  return { transit: [...transit], carried: [...carried] };
}

/** Reads a journal in pieces. */
class Reader {
  readonly money: PartitionMoney;
  readonly #nc: NatsConnection;
  #next = 1;
  #filter = new RecordFilter();

  constructor(nc: NatsConnection, money: PartitionMoney) {
    this.#nc = nc;
    this.money = money;
  }

  /** @throws when the beginning is purged and no snapshot stands in for it */
  async open(): Promise<void> {
    const { partition } = this.money;
    const { first, last } = await journalBounds(this.#nc, partition);
    if (last === 0 || first === 1) return;
    const snapshot = await readOldestSnapshot(snapshotStore(this.#nc, null, partition));
    if (!snapshot || snapshot.sequence + 1 < first)
      throw new Error(`the journal begins at ${first} and no snapshot reaches it`);
    this.money.load(snapshot);
    this.#next = snapshot.sequence + 1;
    this.#filter = new RecordFilter(snapshot);
  }

  /** Applies records until one fulfils `done`; nothing when the end at `last` is already behind. */
  async read(done: (sequence: number) => boolean, last: number): Promise<void> {
    if (this.#next > last) return;
    const { partition } = this.money;
    let finish!: () => void;
    let heardAt = performance.now();
    const complete = new Promise<void>((resolve) => (finish = resolve));
    let ended = false;
    const reader = await tailJournalBatches(this.#nc, partition, this.#next, (stored) => {
      heardAt = performance.now();
      for (const { sequence, record } of stored) {
        if (ended) return;
        this.#next = sequence + 1;
        if (this.#filter.accepts(record)) this.money.apply(sequence, record);
        if ((ended = done(sequence))) finish();
      }
    });
    let watch: NodeJS.Timeout | undefined;
    const silent = new Promise<Error>((resolve) => {
      watch = setInterval(() => {
        if (performance.now() - heardAt > silentMsMax)
          resolve(new Error(`nothing came behind ${this.#next - 1} for ${silentMsMax / 1_000} s`));
      }, 1_000);
    });
    const error = await Promise.race([complete, reader.ended, silent]);
    clearInterval(watch);
    await reader.stop();
    if (error) throw error;
  }
}
