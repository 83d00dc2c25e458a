/**
 * What became of the latest commands of one entity, by command id, so that a retry gets the stored result.
 *
 * UUIDs: a ring of 64, each kept at least 10 min of log time; a ring full of younger ids refuses. Series
 * (`<series>:<n>`, dense per entity): a watermark, so there is no window; the last 16 results are at hand.
 */
import type { ReplyResult } from '../wire.ts';

export const uuidsKept = 64;
export const uuidKeptMs = 10 * 60_000;
export const seriesMax = 8;
const seriesResultsKept = 16;

const dense = /^(.{1,64}):([1-9]\d{0,15})$/;

export type Verdict =
  | { kind: 'new' }
  /** The command was applied before: answer this. */
  | { kind: 'known'; result: ReplyResult }
  | { kind: 'refused'; code: 'too_many_recent_commands' | 'series_gap' | 'result_forgotten' };

interface Series { last: number; results: Map<number, ReplyResult> }

export class Outcomes {
  #uuids = new Map<string, { result: ReplyResult; at: number }>();
  #series = new Map<string, Series>();

  judge(id: string, now: number): Verdict {
    const parts = dense.exec(id);
    if (parts === null) {
      const known = this.#uuids.get(id);
      if (known) return { kind: 'known', result: known.result };
      if (this.#uuids.size >= uuidsKept) {
        const oldest = this.#uuids.values().next().value!;
        if (now - oldest.at < uuidKeptMs) return { kind: 'refused', code: 'too_many_recent_commands' };
      }
      return { kind: 'new' };
    }
    const n = Number(parts[2]);
    const series = this.#series.get(parts[1]!);
    const last = series?.last ?? 0;
    if (series === undefined && this.#series.size >= seriesMax) return { kind: 'refused', code: 'too_many_recent_commands' };
    if (n === last + 1) return { kind: 'new' };
    if (n > last) return { kind: 'refused', code: 'series_gap' };
    const result = series!.results.get(n);
    return result ? { kind: 'known', result } : { kind: 'refused', code: 'result_forgotten' };
  }

  remember(id: string, result: ReplyResult, now: number) {
    const parts = dense.exec(id);
    if (parts === null) {
      if (this.#uuids.size >= uuidsKept && !this.#uuids.has(id)) this.#uuids.delete(this.#uuids.keys().next().value!);
      this.#uuids.set(id, { result, at: now });
      return;
    }
    const n = Number(parts[2]);
    let series = this.#series.get(parts[1]!);
    if (!series) this.#series.set(parts[1]!, (series = { last: 0, results: new Map() }));
    if (n <= series.last) return;
    series.last = n;
    series.results.set(n, result);
    series.results.delete(n - seriesResultsKept);
  }

  /** Plain data for a snapshot. */
  dump(): unknown {
    return [
      [...this.#uuids].map(([id, { result, at }]) => [id, result, at]),
      [...this.#series].map(([name, { last, results }]) => [name, last, [...results]]),
    ];
  }

  static load(data: unknown): Outcomes {
    const [uuids, series] = data as [[string, ReplyResult, number][], [string, number, [number, ReplyResult][]][]];
    const outcomes = new Outcomes();
    for (const [id, result, at] of uuids) outcomes.#uuids.set(id, { result, at });
    for (const [name, last, results] of series) outcomes.#series.set(name, { last, results: new Map(results) });
    return outcomes;
  }
}
