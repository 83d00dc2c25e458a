/**
 * Energy of a session by quarters of an hour: between two readings of the register it flows evenly. All zones of the world
 * have their midnight at a quarter of an UTC hour, so quarters sum to the days of any of them.
 *
 * Q1 The quarters of an ended session sum to its energy exactly, whatever its registers did.
 * Q2 Same session and readings, same quarters.
 */
import { safe } from '#actors/units';

export const quarterMs = 900_000;

/** A session as far as its energy is concerned. Times in unix ms by the charger's clock. */
export interface MeteredSession {
  site: string;
  station: string;
  charger: string;
  connector: number;
  transaction: number;
  startedAt: number;
  meterStartWh: number;
  /** null: it is still running. */
  end: { at: number; meterStopWh: number; energyWh: number | null } | null;
}

export interface Reading {
  at: number;
  wh: number;
}

export interface Quarter {
  /** Start, unix ms. */
  at: number;
  energyWh: number;
}

/** Sessions that seem to last longer have a clock that nobody can believe: all of it counts at their end. */
const quartersMax = 366 * 96;
/** What the history's seconds hold. */
const atMax = 0xffff_ffff * 1_000;

export const quarterOf = (at: number): number => Math.floor(Math.min(Math.max(at, 0), atMax) / quarterMs) * quarterMs;

/** Readings in any order; those from before the start or after the end count nothing. Begins with the quarter of the start. */
export function quartersOf(session: MeteredSession, readings: readonly Reading[]): Quarter[] {
  const { startedAt, meterStartWh, end } = session;
  const within = readings
    .filter(({ at }) => at >= startedAt && (end === null || at <= end.at))
    .sort((a, b) => a.at - b.at || a.wh - b.wh);
  const stop = end === null ? [] : [{ at: Math.max(end.at, startedAt), wh: end.meterStopWh }];
  const flow = new Flow([{ at: startedAt, wh: meterStartWh }, ...within, ...stop]);
  const total = end === null ? flow.gainWh : (end.energyWh ?? 0);
  const first = quarterOf(startedAt);
  const last = quarterOf(flow.until);
  if ((last - first) / quarterMs >= quartersMax) return [{ at: last, energyWh: total }];
  const quarters: Quarter[] = [];
  let before = 0;
  for (let at = first; at <= last; at += quarterMs) {
    const sum = at === last ? total : flow.shareUntil(at + quarterMs, total);
    if (sum !== before || at === first) quarters.push({ at, energyWh: safe(sum - before) });
    before = sum;
  }
  return quarters;
}

/** What flowed by readings in order of time; drops of the register count nothing. */
class Flow {
  readonly gainWh: number;
  readonly until: number;
  readonly #readings: readonly Reading[];
  #next = 1;
  #sumWh = 0;

  constructor(readings: readonly Reading[]) {
    this.#readings = readings;
    this.until = readings.at(-1)?.at ?? 0;
    this.gainWh = readings.reduce((sum, _, i) => sum + this.#gain(i), 0);
  }

  #gain(i: number): number {
    const [from, to] = [this.#readings[i - 1], this.#readings[i]];
    return from && to ? Math.max(0, to.wh - from.wh) : 0;
  }

  /** Of `total` Wh, what had flowed by `at`, rounded down. To be asked in order of time. */
  shareUntil(at: number, total: number): number {
    const start = this.#readings[0]?.at ?? at;
    // Nothing was metered in between, so it flowed evenly.
    if (this.gainWh === 0) return portion(total, at - start, this.until - start);
    for (;;) {
      const [from, to] = [this.#readings[this.#next - 1], this.#readings[this.#next]];
      if (!from || !to) return total;
      const gain = this.#gain(this.#next);
      if (to.at > at) {
        const spanMs = BigInt(to.at - from.at);
        const flowed = BigInt(this.#sumWh) * spanMs + BigInt(gain) * BigInt(Math.max(0, at - from.at));
        return Number((flowed * BigInt(total)) / (BigInt(this.gainWh) * spanMs));
      }
      this.#sumWh += gain;
      this.#next++;
    }
  }
}

const portion = (total: number, part: number, whole: number): number =>
  whole <= 0 ? total : Number((BigInt(total) * BigInt(Math.min(Math.max(part, 0), whole))) / BigInt(whole));
