/**
 * Sampled values are decimal strings; here they become scaled integers, exactly. No step goes through a float that could
 * round: short integers are read as such, all others by BigInt.
 */
import type { Sample } from './schema/events.ts';
import { divideHalfEven } from './units.ts';

const plain = /^-?\d{1,15}$/;
const decimal = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;
/** More digits or a larger exponent than any meter has. */
const lengthMax = 64;
const exponentMax = 40;

/**
 * `value × 10^power`, rounded half to even; null when the text is no decimal number or the result no safe integer.
 * @example scaled('12.345', 3) === 12_345
 */
export function scaled(value: string, power: number): number | null {
  if (power === 0 && plain.test(value)) return Number(value) + 0;
  if (value.length > lengthMax) return null;
  const parts = decimal.exec(value);
  if (!parts) return null;
  const [, sign, whole = '', fraction = '', exponentText] = parts;
  if (whole === '' && fraction === '') return null;
  const exponent = Number(exponentText ?? 0);
  if (Math.abs(exponent) > exponentMax) return null;
  const shift = power + exponent - fraction.length;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  const result = shift >= 0 ? digits * 10n ** BigInt(shift) : divideHalfEven(digits, 10n ** BigInt(-shift));
  const n = Number(result);
  return Number.isSafeInteger(n) ? n : null;
}

export type Quantity = 'energyWh' | 'powerW' | 'currentMa' | 'voltageMv' | 'socBp' | 'frequencyMhz' | 'temperatureMc';

/** Units as OCPP writes them, each with the integer unit we keep and the power of ten between them. */
export const units: Readonly<Record<string, { quantity: Quantity; power: number }>> = {
  Wh: { quantity: 'energyWh', power: 0 },
  kWh: { quantity: 'energyWh', power: 3 },
  W: { quantity: 'powerW', power: 0 },
  kW: { quantity: 'powerW', power: 3 },
  A: { quantity: 'currentMa', power: 3 },
  V: { quantity: 'voltageMv', power: 3 },
  Percent: { quantity: 'socBp', power: 2 },
  Hz: { quantity: 'frequencyMhz', power: 3 },
  Celsius: { quantity: 'temperatureMc', power: 3 },
  Celcius: { quantity: 'temperatureMc', power: 3 },
};

/** The sample in our integer unit, null when its unit or value is not understood. */
export function measured(sample: Pick<Sample, 'unit' | 'value'>): { quantity: Quantity; value: number } | null {
  const unit = Object.hasOwn(units, sample.unit) ? units[sample.unit] : undefined;
  if (!unit) return null;
  const value = scaled(sample.value, unit.power);
  return value === null ? null : { quantity: unit.quantity, value };
}
