/** A price for tests: 80.00 % of 138 kW unless told. */
import type { Price } from '#gateway/schema/mod';

export const aPrice = (slot: number, changes: Partial<Price> = {}): Price => ({
  station: 'nord-1',
  slot,
  producedAt: slot * 12_000,
  loadW: 110_400,
  capacityW: 138_000,
  utilisationBp: 8_000,
  tier: 'normal',
  importOpen: true,
  priceE5SekPerKwh: 100_000,
  validUntil: slot * 12_000 + 24_000,
  ...changes,
});
