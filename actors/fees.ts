/**
 * What a customer pays beside the tier price, per kWh: `buy = tier price + grid fee + energy tax + VAT on all`,
 * `sell = tier price − service fee`. Each component is its own leg of the ledger.
 */
import { divideHalfEven, safe } from './units.ts';

export interface Fees {
  gridFeeE5SekPerKwh: number;
  energyTaxE5SekPerKwh: number;
  /** On the tier price, the grid fee and the tax; 10,000 = 100 %. */
  vatBp: number;
  serviceFeeE5SekPerKwh: number;
}

/** All zero: the price is the tier price, and buying costs what selling brings. */
export const demoFees: Fees = { gridFeeE5SekPerKwh: 0, energyTaxE5SekPerKwh: 0, vatBp: 0, serviceFeeE5SekPerKwh: 0 };

/** A system account and what it gets of 1 kWh; 10⁻⁵ SEK. */
export interface Component {
  account: 'revenue' | 'grid_fee' | 'energy_tax' | 'vat' | 'service_fee';
  priceE5SekPerKwh: number;
}

const share = (price: number, numerator: number, denominator: number): number =>
  safe(divideHalfEven(BigInt(price) * BigInt(numerator), BigInt(denominator)));

export function buyPrice(tierPrice: number, fees: Fees = demoFees): number {
  const net = tierPrice + fees.gridFeeE5SekPerKwh + fees.energyTaxE5SekPerKwh;
  return safe(net + share(net, fees.vatBp, 10_000));
}

export const sellPrice = (tierPrice: number, fees: Fees = demoFees): number =>
  safe(tierPrice - fees.serviceFeeE5SekPerKwh);

/** What a price paid by a customer consists of; the sum of the components is the price, to the unit. */
export function buyComponents(price: number, fees: Fees = demoFees): Component[] {
  // VAT is at most 1 : 1, so the net price that was rounded up or down to this one is found again exactly.
  const net = share(price, 10_000, 10_000 + fees.vatBp);
  const { gridFeeE5SekPerKwh, energyTaxE5SekPerKwh } = fees;
  return present([
    { account: 'revenue', priceE5SekPerKwh: net - gridFeeE5SekPerKwh - energyTaxE5SekPerKwh },
    { account: 'grid_fee', priceE5SekPerKwh: gridFeeE5SekPerKwh },
    { account: 'energy_tax', priceE5SekPerKwh: energyTaxE5SekPerKwh },
    { account: 'vat', priceE5SekPerKwh: price - net },
  ]);
}

/** The same for what a customer is paid; the service fee comes back, so the sum is minus the price. */
export const sellComponents = (price: number, fees: Fees = demoFees): Component[] =>
  present([
    { account: 'revenue', priceE5SekPerKwh: -(price + fees.serviceFeeE5SekPerKwh) },
    { account: 'service_fee', priceE5SekPerKwh: fees.serviceFeeE5SekPerKwh },
  ]);

const present = (components: Component[]): Component[] =>
  components.filter(({ priceE5SekPerKwh }) => priceE5SekPerKwh !== 0);
