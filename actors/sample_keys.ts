/**
 * Which samples are known already. A block of keys is one string of fixed-width entries in order of arrival: a 64-bit hash
 * of the content key and a 32-bit hash of the value, 18 characters together. Appending and searching stay cheap, and the
 * state writes as one string.
 */
import type { Sample } from './schema/events.ts';

/** Samples of a session are kept in blocks of this much sample time. */
export const blockMs = 600_000;
/** Samples outside sessions are told apart among the last so many of their connector. */
export const outsideKept = 64;

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const keyChars = 12;
const valueChars = 6;
export const entryChars = keyChars + valueChars;

const word = (n: number): string =>
  digits[n >>> 26]! +
  digits[(n >>> 20) & 63]! +
  digits[(n >>> 14) & 63]! +
  digits[(n >>> 8) & 63]! +
  digits[(n >>> 2) & 63]! +
  digits[n & 3]!;

/** Two 32-bit lanes mixed into each other (the construction of cyrb53, with all 64 bits kept). */
export function hash64(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return word(a >>> 0) + word(b >>> 0);
}

/** Connector and session are in the record's id, so they are not part of the key. */
const contentKey = (s: Sample): string =>
  hash64(`${s.at}|${s.measurand}|${s.phase}|${s.location}|${s.context}|${s.unit}`);
const valueHash = (value: string): string => hash64(value).slice(0, valueChars);

export const blockOf = (at: number): number => Math.floor(at / blockMs);
export const sessionBlockId = (transaction: number, block: number): string => `${transaction}/${block}`;
/** Charger identities hold no slash, so this cannot be a session's block. */
export const outsideBlockId = (charger: string, connector: number): string => `-/${charger}/${connector}`;

export type Novelty = 'new' | 'duplicate' | 'conflict';

/** The sample against the known ones from entry `since` on; the entry to append unless it is a duplicate. */
export function judge(keys: string, sample: Sample, since = 0): { novelty: Novelty; entry: string } {
  const key = contentKey(sample);
  const value = valueHash(sample.value);
  const entry = key + value;
  let novelty: Novelty = 'new';
  for (let i = keys.indexOf(key, since); i >= 0; i = keys.indexOf(key, i + 1)) {
    if (i % entryChars !== 0) continue;
    if (keys.startsWith(value, i + keyChars)) return { novelty: 'duplicate', entry };
    novelty = 'conflict';
  }
  return { novelty, entry };
}

/** The newest `outsideKept` entries. */
export const trimmed = (keys: string): string => keys.slice(-outsideKept * entryChars);
