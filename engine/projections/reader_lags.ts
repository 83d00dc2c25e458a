/** How far each reader of the journal is behind what is stored, in records and in seconds. */
import type { NatsConnection } from '@nats-io/transport-node';
import { journalBounds, readMessage, stream } from '../log/mod.ts';
import { readGauge, type Registry } from '../telemetry/registry.ts';
import { partitionList } from './journal.ts';

interface ReaderLag {
  /** Records stored that the reader has not durably written, over all partitions. */
  records: number;
  /** Age of the oldest of them; 0 = there is none. */
  seconds: number;
}

export type Positions = Readonly<Record<string, () => [partition: number, sequence: number][]>>;

/** Positions are written every 5 s at the latest; what is older than this is catching up. */
const behindSecondsMax = 30;
/** Scrape and readiness that come together look once. */
const keptMs = 1_000;

export class ReaderLags {
  readonly #nc: NatsConnection;
  readonly #partitions: number;
  readonly #positions: Positions;
  #looked: { at: number; lags: Promise<Map<string, ReaderLag>> } | null = null;

  constructor(nc: NatsConnection, partitions: number, positions: Positions) {
    this.#nc = nc;
    this.#partitions = partitions;
    this.#positions = positions;
  }

  /** Per reader. Rejects when the log does not answer. */
  read(): Promise<Map<string, ReaderLag>> {
    const now = performance.now();
    if (!this.#looked || now - this.#looked.at > keptMs) this.#looked = { at: now, lags: this.#look() };
    return this.#looked.lags;
  }

  /** Rejects with the readers that are catching up. */
  async check(): Promise<void> {
    const late = [...(await this.read())].filter(([, { seconds }]) => seconds > behindSecondsMax);
    if (late.length === 0) return;
    const told = late.map(
      ([reader, { records, seconds }]) => `${reader} (${records} records, ${Math.round(seconds)} s)`,
    );
    throw new Error(`behind the journal: ${told.join(', ')}`);
  }

  show(registry: Registry): void {
    // A log that does not answer leaves the values out; the probe tells that it does not.
    const samples = async (of: keyof ReaderLag) =>
      [...(await this.read().catch(() => new Map<string, ReaderLag>()))].map(
        ([reader, lag]) => [{ reader }, lag[of]] as const,
      );
    const labels = ['reader'] as const;
    readGauge(
      registry,
      { name: 'gridtick_reader_lag_records', help: 'Journal records that a reader has yet to write durably', labels },
      () => samples('records'),
    );
    readGauge(registry, { name: 'gridtick_reader_lag_seconds', help: 'Age of the oldest of them', labels }, () =>
      samples('seconds'),
    );
  }

  async #look(): Promise<Map<string, ReaderLag>> {
    const lasts = await Promise.all(
      partitionList(this.#partitions).map(async (p) => (await journalBounds(this.#nc, p)).last),
    );
    const lags = Object.entries(this.#positions).map(async ([reader, positions]): Promise<[string, ReaderLag]> => {
      const at = new Map(positions());
      const behind = lasts.map((last, p) => Math.max(0, last - (at.get(p) ?? 0)));
      const ages = await Promise.all(
        behind.map(async (records, p) => (records === 0 ? 0 : this.#age(p, (at.get(p) ?? 0) + 1))),
      );
      return [reader, { records: behind.reduce((sum, n) => sum + n, 0), seconds: Math.max(0, ...ages) }];
    });
    return new Map(await Promise.all(lags));
  }

  /** Seconds since the record was stored; 0 when it was purged, which never happens before all readers have it. */
  async #age(partition: number, sequence: number): Promise<number> {
    const stored = await readMessage(this.#nc, stream.journal(partition), { seq: sequence });
    return stored ? Math.max(0, Date.now() - stored.at) / 1_000 : 0;
  }
}
