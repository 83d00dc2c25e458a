/** Repeatable random numbers for the simulated world; one stream per name, so that adding one disturbs no other. */
import { createHash } from 'node:crypto';

/** FNV-1a of the text, 32 bits, with a final mix: near names give unrelated numbers. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A UUID made of the text: the same text, the same id. */
export function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  // Version 8, "made in a way of one's own" (RFC 9562 §5.8).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** mulberry32. */
export class Random {
  #state: number;

  /** @example new Random('seed 1, day 0') */
  constructor(name: string) {
    this.#state = hashOf(name);
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** Events of a Poisson process with this mean (Knuth; for means below some hundreds). */
  poisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.next(); product > limit; product *= this.next()) count += 1;
    return count;
  }

  /** Index drawn by weight. */
  weighted(weights: readonly number[]): number {
    let left = this.next() * weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      left -= weight;
      if (left < 0) return index;
    }
    return weights.length - 1;
  }

  /** A value from quantiles [share ‰, value] in rising order, linear in between, rounded. */
  quantile(table: readonly (readonly [permille: number, value: number])[]): number {
    const at = this.next() * 1_000;
    for (let i = 1; i < table.length; i += 1) {
      const [fromAt, from] = table[i - 1] ?? [0, 0];
      const [toAt, to] = table[i] ?? [1_000, 0];
      if (at < toAt) return Math.round(from + ((to - from) * (at - fromAt)) / (toAt - fromAt));
    }
    return table.at(-1)?.[1] ?? 0;
  }
}
