/**
 * Which records of a journal count: those whose (epoch, batch) directly follows the last that counted.
 *
 * Appends are pipelined, each expecting the sequence before it. A paused owner may have several on the wire when it is
 * superseded: its successor's epoch record then stands exactly where the first of them wanted to be, so the first fails,
 * but the second finds the sequence that it expected and is stored. In the same way such a *stray* can let the successor's
 * own second record in before its first. Neither writer releases anything of it (release is in order), the rightful owner
 * appends its records again behind it, and every reader passes over what does not follow.
 */
import type { CommitRecord } from '../wire.ts';

/** Records in flight per owner. Strays and what they displace stand within a few of these behind an epoch record. */
export const inFlightMax = 4;
/**
 * Records to look back over to find the end of the valid chain: more than the 64 that one frame can become when its
 * commands are decided one by one.
 */
export const tailWindow = 96;

export class RecordFilter {
  #epoch: number;
  #batch: number;
  /** Begins behind the given valid record, or before the first of the journal. */
  constructor(last: { epoch: number; batch: number } = { epoch: 0, batch: 0 }) {
    this.#epoch = last.epoch;
    this.#batch = last.batch;
  }

  accepts({ epoch, batch }: Pick<CommitRecord, 'epoch' | 'batch'>): boolean {
    const follows = batch === 0 ? epoch === this.#epoch + 1 : epoch === this.#epoch && batch === this.#batch + 1;
    if (follows) {
      this.#epoch = epoch;
      this.#batch = batch;
    }
    return follows;
  }

  /**
   * For the end of a journal whose beginning is not at hand: starts at the newest epoch record of the window; without one
   * there was no change of owner within reach, so the newest epoch's records are all there is.
   */
  static forWindow(window: readonly Pick<CommitRecord, 'epoch' | 'batch'>[]): RecordFilter {
    const newest = Math.max(0, ...window.map((record) => record.epoch));
    const batches = window.filter((record) => record.epoch === newest).map((record) => record.batch);
    const first = Math.min(...batches);
    return first === 0
      ? new RecordFilter({ epoch: newest - 1, batch: 0 })
      : new RecordFilter({ epoch: newest, batch: first - 1 });
  }
}
