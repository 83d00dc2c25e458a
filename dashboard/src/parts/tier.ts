/** Where the price steps up. Boundaries are drawn, never decided here: the tier of a price comes with it. */
import type { Tier } from '#gateway/schema/mod';

/** Shares of capacity in basis points at which the bands end. */
export const bandEnds = { normal: 8_000, double: 10_000, triple: 12_000 } as const;

/** How often the base price, for people. */
export const factors: Record<Tier, string> = { normal: '×1', double: '×2', triple: '×3', capped: '×3' };

/** The band that a utilisation lies in; upper bounds belong to the band below. */
export function bandOf(utilisationBp: number): Tier {
  if (utilisationBp <= bandEnds.normal) return 'normal';
  if (utilisationBp <= bandEnds.double) return 'double';
  return utilisationBp <= bandEnds.triple ? 'triple' : 'capped';
}
