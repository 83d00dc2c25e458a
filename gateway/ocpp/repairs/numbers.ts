/**
 * R05: numbers as strings and the reverse, decimal commas, padding, the word "null".
 *
 * Integers become JSON integers, sampled values exact decimal strings; nothing passes through a float on the way, so a
 * register of 15 digits keeps them all.
 */
import type { Notes, Payload } from './notes.ts';

const digitsMax = 64;
const plainDecimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** The exact decimal string of what a charger sent as a number, or null when it is none. */
export function decimalString(value: unknown): string | null {
  if (typeof value === 'number') {
    const text = String(value);
    return plainDecimal.test(text) ? text : Number.isFinite(value) ? expand(text) : null;
  }
  if (typeof value !== 'string' || value.length > digitsMax) return null;
  if (plainDecimal.test(value)) return value.startsWith('-') && !/[1-9]/.test(value) ? value.slice(1) : value;
  const text = value.trim().replace(/^\+/, '');
  const commas = text.split(',').length - 1;
  // "1.234,5" could mean two different numbers.
  if (commas > 1 || (commas === 1 && text.includes('.'))) return null;
  return expand(text.replace(',', '.'));
}

/** Writes out exponents, drops leading zeros; null when the text is no decimal number. */
function expand(text: string): string | null {
  const parts = /^(-?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,2}))?$/i.exec(text);
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts ?? [];
  if (!parts || whole + fraction === '') return null;
  const shift = Number(exponent);
  const digits =
    shift >= 0
      ? (whole + fraction).padEnd(whole.length + shift, '0')
      : (whole + fraction).padStart(fraction.length - shift, '0');
  const point = shift >= 0 ? whole.length + shift : digits.length - fraction.length + shift;
  const left = digits.slice(0, point).replace(/^0+(?=\d)/, '') || '0';
  const right = digits.slice(point);
  const number = right === '' ? left : `${left}.${right}`;
  return /[1-9]/.test(number) ? sign + number : number;
}

/** A safe integer from a decimal string, rounded half to even; null beyond what a double holds exactly. */
function toInteger(decimal: string): number | null {
  const [whole = '0', fraction = ''] = decimal.replace('-', '').split('.');
  const half = `5${'0'.repeat(Math.max(0, fraction.length - 1))}`;
  let magnitude = BigInt(whole);
  if (fraction > half || (fraction === half && fraction !== '' && magnitude % 2n === 1n)) magnitude += 1n;
  const value = Number(decimal.startsWith('-') ? -magnitude : magnitude);
  return Number.isSafeInteger(value) ? (value === 0 ? 0 : value) : null;
}

const saysNull = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && /^\s*(?:null)?\s*$/i.test(value));

/** Makes a field an integer where that is possible; otherwise strict validation gets to see what came. */
export function repairInteger(payload: Payload, field: string, notes: Notes): void {
  const value = payload[field];
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value))) return;
  const decimal = decimalString(value);
  const integer = decimal === null ? null : toInteger(decimal);
  if (integer === null) return;
  payload[field] = integer;
  notes.hit('R05');
}

/** Like {@link repairInteger}; null, "" and "null" mean that the field is absent. */
export function repairOptionalInteger(payload: Payload, field: string, notes: Notes): void {
  if (field in payload && saysNull(payload[field])) {
    delete payload[field];
    notes.hit('R05');
  } else repairInteger(payload, field, notes);
}

/** Makes a number a string, e.g. an RFID tag of digits only. */
export function repairString(payload: Payload, field: string, notes: Notes): void {
  if (typeof payload[field] !== 'number') return;
  payload[field] = decimalString(payload[field]) ?? payload[field];
  notes.hit('R05');
}

/** Like {@link repairString}; null and "null" mean that the field is absent, an empty string stays. */
export function repairOptionalString(payload: Payload, field: string, notes: Notes): void {
  const value = payload[field];
  if (value === null || value === 'null') {
    delete payload[field];
    notes.hit('R05');
  } else repairString(payload, field, notes);
}
