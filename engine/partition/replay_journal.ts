/**
 * A journal as its own witness: which records count, and whether every byte of them is what was written. The body is
 * covered by the hash chain; what stands outside of it (owner, build, epoch, batch, kind) must go together.
 */
import { LogDamaged } from '../log/errors.ts';
import type { CommitRecord } from '../wire.ts';
import { chainOf, decodeRecord, genesisHash } from './record.ts';
import { inFlightMax, RecordFilter } from './record_filter.ts';
import type { ReplaySource, StoredMessage } from './replay_source.ts';

/** A record that counts. */
export interface ReadRecord {
  sequence: number;
  record: CommitRecord;
}

/** Stored bytes that cannot be what was written. */
export class Corruption extends Error {
  override readonly name = 'Corruption';
  readonly stream: string;
  readonly sequence: number;
  constructor(stream: string, sequence: number, text: string) {
    super(text);
    this.stream = stream;
    this.sequence = sequence;
  }
}

export class JournalReader {
  strays = 0;
  epochs = 0;
  /** The last sequence that was looked at, whether it counts or not. */
  at: number;
  readonly #source: ReplaySource;
  readonly #messages: AsyncIterator<readonly StoredMessage[]>;
  readonly #name: string;
  #batch: readonly StoredMessage[] = [];
  #index = 0;
  #filter: RecordFilter | null = null;
  /** Of the record before, as it says and as it is: null before the first. */
  #hash: string | null;
  #last: CommitRecord | null = null;
  /** Strays since the last record that counts: `from` is the first of them. */
  #hanging: { from: number; count: number; hashes: string[] } = { from: 0, count: 0, hashes: [] };

  constructor(source: ReplaySource) {
    this.#source = source;
    this.#name = `J_${source.partition}`;
    this.at = source.journal.first - 1;
    this.#hash = source.journal.first <= 1 ? genesisHash : null;
    if (source.journal.first <= 1) this.#filter = new RecordFilter();
    this.#messages = source.records(source.journal.first)[Symbol.asyncIterator]();
  }

  /** The next record that counts; null at the end. @throws {@link Corruption} */
  async next(): Promise<ReadRecord | null> {
    for (;;) {
      const message = await this.#message();
      if (message === null) {
        // An owner has a few records in flight; more than that is no end of a journal.
        if (this.#hanging.count > inFlightMax) throw this.#detached();
        return null;
      }
      const entry = this.#read(message);
      if (entry) return entry;
    }
  }

  async close(): Promise<void> {
    await this.#messages.return?.();
  }

  async #message(): Promise<StoredMessage | null> {
    while (this.#index >= this.#batch.length) {
      try {
        const piece = await this.#messages.next();
        if (piece.done) return null;
        this.#batch = piece.value;
        this.#index = 0;
      } catch (error) {
        if (error instanceof LogDamaged && error.sequence !== null)
          throw new Corruption(error.stream, error.sequence, 'is stored, and the server cannot read it');
        throw error;
      }
    }
    return this.#batch[this.#index++]!;
  }

  #read({ sequence, bytes }: StoredMessage): ReadRecord | null {
    if (sequence !== this.at + 1)
      throw new Corruption(this.#name, this.at + 1, `is missing: ${sequence} follows ${this.at}`);
    this.at = sequence;
    let record: CommitRecord;
    try {
      record = decodeRecord(bytes);
    } catch (error) {
      throw new Corruption(this.#name, sequence, `is no commit record: ${(error as Error).message}`);
    }
    const wrong = this.#wrongHead(record);
    if (wrong) throw new Corruption(this.#name, sequence, wrong);
    this.#filter ??= new RecordFilter(
      record.batch === 0 ? { epoch: record.epoch - 1, batch: 0 } : { epoch: record.epoch, batch: record.batch - 1 },
    );
    if (!this.#filter.accepts(record)) {
      this.strays += 1;
      if (this.#hanging.count++ === 0) this.#hanging.from = sequence;
      this.#hanging.hashes = [...this.#hanging.hashes.slice(-inFlightMax), record.hash];
      return null;
    }
    const hash = this.#hash === null ? record.hash : chainOf(bytes, this.#hash);
    if (hash !== record.hash) {
      // A new owner may have followed one that was wrongly taken for a stray.
      if (this.#hanging.hashes.some((before) => chainOf(bytes, before) === record.hash)) throw this.#detached();
      throw new Corruption(this.#name, sequence, 'is not what its hash says');
    }
    this.#hash = hash;
    this.#hanging = { from: 0, count: 0, hashes: [] };
    if (record.kind === 'epoch') this.epochs += 1;
    this.#last = record;
    return { sequence, record };
  }

  #detached() {
    return new Corruption(this.#name, this.#hanging.from, 'does not follow the last record that counts');
  }

  /** What the head of a record says must fit its content and the epoch that it belongs to. */
  #wrongHead(record: CommitRecord): string | null {
    const { kind, epoch, batch, owner, build, snapshot } = record;
    if ((kind === 'epoch') !== (batch === 0)) return `is of kind '${kind}' with batch ${batch}`;
    if ((kind === 'snapshot') !== (snapshot !== null))
      return `is of kind '${kind}' with${snapshot ? '' : 'out'} a pointer`;
    const last = this.#last;
    if (!last || kind === 'epoch') return null;
    if (epoch > last.epoch) return `is of epoch ${epoch}, which nobody has begun`;
    if (epoch === last.epoch && (owner !== last.owner || build !== last.build))
      return `is of owner ${owner} and build ${build}, the epoch of ${last.owner} and ${last.build}`;
    return null;
  }
}
