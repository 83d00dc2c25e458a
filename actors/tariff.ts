/** From load to price: utilisation, tiers with hysteresis, multiplier. Boundaries are fixed; the upper one is inclusive. */
import type { Tier } from './schema/events.ts';
import { divideUp, safe, type Bp, type PricePerKwh } from './units.ts';

export const tiers = ['normal', 'double', 'triple', 'capped'] as const satisfies Tier[];

/** Above the boundary i the tier is i + 1. */
export const boundariesBp = [8_000, 10_000, 12_000] as const;
/** A tier is left downward only this far below its boundary, so noise does not make the price flap. */
export const hysteresisBp = 200;

export const multiplier: Readonly<Record<Tier, number>> = { normal: 1, double: 2, triple: 3, capped: 3 };
/** What one step of congestion costs at least, so that a negative base never makes a congested site cheaper. */
export const stepFloorE5 = 20_000;

/** Load over capacity, rounded up to whole basis points: anything above 80 % counts as above. Negative load is 0. */
export function utilisationBp(loadWMs: number, capacityW: number, durationMs: number): Bp {
  if (loadWMs <= 0) return 0 as Bp;
  return safe(divideUp(BigInt(loadWMs) * 10_000n, BigInt(capacityW) * BigInt(durationMs))) as Bp;
}

/** The tier after `before` at utilisation `u`: up at once, down only at ≤ boundary − 2 points. */
export function tierAfter(before: Tier | 'unpriced', u: number): Tier {
  let level = before === 'unpriced' ? 0 : tiers.indexOf(before);
  while (level < boundariesBp.length && u > boundariesBp[level]!) level += 1;
  while (level > 0 && u <= boundariesBp[level - 1]! - hysteresisBp) level -= 1;
  return tiers[level]!;
}

/** `base + (m − 1) × max(base, 0.20 SEK)`. */
export function priceOf(tier: Tier, baseE5SekPerKwh: number): PricePerKwh {
  return safe(baseE5SekPerKwh + (multiplier[tier] - 1) * Math.max(baseE5SekPerKwh, stepFloorE5)) as PricePerKwh;
}
