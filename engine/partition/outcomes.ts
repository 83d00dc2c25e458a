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

/** The id that was looked at last: each is looked at before its command is decided, and again after it. */
const lately = { id: '', n: 0 };

/** The n of `<series>:<n>`, without leading zeros; 0 for an id of another form. */
function denseNumber(id: string): number {
  if (id === lately.id) return lately.n;
  lately.id = id;
  return (lately.n = parseDenseNumber(id));
}

function parseDenseNumber(id: string): number {
  const colon = id.lastIndexOf(':');
  const digits = id.length - colon - 1;
  if (colon < 1 || colon > 64 || digits < 1 || digits > 15 || id.charCodeAt(colon + 1) === 48) return 0;
  let n = 0;
  for (let i = colon + 1; i < id.length; i++) {
    const digit = id.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return 0;
    n = n * 10 + digit;
  }
  return n;
}
const seriesName = (id: string) => id.slice(0, id.lastIndexOf(':'));

export type Verdict =
  | { kind: 'new' }
  /** The command was applied before: answer this. */
  | { kind: 'known'; result: ReplyResult }
  | { kind: 'refused'; code: 'too_many_recent_commands' | 'series_gap' | 'result_forgotten' };

const fresh: Verdict = { kind: 'new' };
const none: readonly never[] = [];

/** For the last `kept` of them, `results[place(n)]` belongs to n; a young series takes no more room than it has results. */
interface Series {
  name: string;
  last: number;
  results: (ReplyResult | undefined)[];
}
const place = (n: number) => (n - 1) % seriesResultsKept;
type StoredResults = (ReplyResult | null)[];

export class Outcomes {
  #uuids: Map<string, { result: ReplyResult; at: number }> | null = null;
  /** Replaced when one is added: most entities have one, and an array that grows takes room for many. */
  #series: readonly Series[] = none;

  #find(id: string): Series | undefined {
    const length = id.lastIndexOf(':');
    for (const series of this.#series) if (series.name.length === length && id.startsWith(series.name)) return series;
    return undefined;
  }

  judge(id: string, now: number): Verdict {
    const n = denseNumber(id);
    if (n === 0) {
      const known = this.#uuids?.get(id);
      if (known) return { kind: 'known', result: known.result };
      if (this.#uuids !== null && this.#uuids.size >= uuidsKept) {
        const oldest = this.#uuids.values().next().value!;
        if (now - oldest.at < uuidKeptMs) return { kind: 'refused', code: 'too_many_recent_commands' };
      }
      return fresh;
    }
    const series = this.#find(id);
    const last = series?.last ?? 0;
    if (series === undefined && this.#series.length >= seriesMax)
      return { kind: 'refused', code: 'too_many_recent_commands' };
    if (n === last + 1) return fresh;
    if (n > last) return { kind: 'refused', code: 'series_gap' };
    const result = n > last - seriesResultsKept ? series!.results[place(n)] : undefined;
    return result ? { kind: 'known', result } : { kind: 'refused', code: 'result_forgotten' };
  }

  remember(id: string, result: ReplyResult, now: number) {
    const n = denseNumber(id);
    if (n === 0) {
      const uuids = (this.#uuids ??= new Map());
      if (uuids.size >= uuidsKept && !uuids.has(id)) uuids.delete(uuids.keys().next().value);
      uuids.set(id, { result, at: now });
      return;
    }
    const series = this.#find(id);
    if (!series) {
      const results = n === 1 ? [result] : [];
      results[place(n)] = result;
      this.#series = [...this.#series, { name: seriesName(id), last: n, results }];
      return;
    }
    if (n <= series.last) return;
    series.last = n;
    series.results[place(n)] = result;
  }

  /** Plain data for a snapshot. In it the result of n stands at n modulo `kept`, and so one further than here. */
  dump(): unknown {
    const stored = ({ last, results }: Series): StoredResults =>
      Array.from(
        { length: Math.min(last + 1, seriesResultsKept) },
        (_, i) => results[(i + seriesResultsKept - 1) % seriesResultsKept] ?? null,
      );
    return [
      [...(this.#uuids ?? [])].map(([id, { result, at }]) => [id, result, at]),
      this.#series.map((series) => [series.name, series.last, stored(series)]),
    ];
  }

  static load(data: unknown): Outcomes {
    const [uuids, series] = data as [[string, ReplyResult, number][], [string, number, StoredResults][]];
    const outcomes = new Outcomes();
    if (uuids.length > 0) outcomes.#uuids = new Map(uuids.map(([id, result, at]) => [id, { result, at }]));
    if (series.length > 0)
      outcomes.#series = series.map(([name, last, stored]) => {
        const results = stored.slice(1).map((result) => result ?? undefined);
        if (stored[0]) results[seriesResultsKept - 1] = stored[0];
        return { name, last, results };
      });
    return outcomes;
  }
}
