/**
 * Which samples are known already. Keys are fixed-width entries in order of arrival: a 64-bit hash of the content key and a
 * 32-bit hash of the value, 18 characters together. A block of sample time is a row of chunks, one string each: a message
 * writes the last one again and leaves the full ones alone, so that its cost does not grow with what came before it.
 */
import type { Sample } from './schema/events.ts';

/** Samples of a session are kept in blocks of this much sample time. */
export const blockMs = 600_000;
/** Keys in one chunk; the next message begins another, which may exceed it by what one message brings. */
export const chunkEntries = 32;
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
/** Charger identities hold no slash, so this cannot be a session's block. It has one chunk only. */
export const outsideBlockId = (charger: string, connector: number): string => `-/${charger}/${connector}`;
/** Id of the record that holds the n-th chunk of a block, from 0. */
export const chunkId = (block: string, n: number): string => (n === 0 ? block : `${block}/${n}`);

export type Novelty = 'new' | 'duplicate' | 'conflict';

/** The keys of one block while a message is taken in. */
export class KeyBlock {
  readonly #chunks: string[];
  /** Chunks that were there before, and how long the last of them was. */
  readonly #chunksBefore: number;
  readonly #charsBefore: number;
  #changedFrom = Infinity;

  /** @param chunks all chunks of the block, oldest first */
  constructor(chunks: readonly string[]) {
    this.#chunks = chunks.slice();
    this.#chunksBefore = chunks.length;
    this.#charsBefore = chunks.at(-1)?.length ?? 0;
  }

  /**
   * Compares a sample with the known ones and adds it unless it is a duplicate. `unheard`: nothing before this message can
   * hold it, so only what the message itself brought is searched.
   */
  take(sample: Sample, unheard: boolean): Novelty {
    const key = contentKey(sample);
    const value = valueHash(sample.value);
    let novelty: Novelty = 'new';
    const last = this.#chunksBefore - 1;
    for (let n = unheard ? Math.max(0, last) : 0; n < this.#chunks.length; n++) {
      const keys = this.#chunks[n]!;
      const from = unheard && n === last ? this.#charsBefore : 0;
      for (let i = keys.indexOf(key, from); i >= 0; i = keys.indexOf(key, i + 1)) {
        if (i % entryChars !== 0) continue;
        if (keys.startsWith(value, i + keyChars)) return 'duplicate';
        novelty = 'conflict';
      }
    }
    this.#add(key + value);
    return novelty;
  }

  /** Number and keys of each chunk that is new or longer than before. */
  changed(): [n: number, keys: string][] {
    return this.#chunks.flatMap((keys, n): [number, string][] => (n >= this.#changedFrom ? [[n, keys]] : []));
  }

  #add(entry: string): void {
    const n = this.#chunks.length - 1;
    // A chunk that was full before this message is never written again; within a message they only grow.
    const open = n >= 0 && (n >= this.#chunksBefore || this.#charsBefore < chunkEntries * entryChars);
    if (open) this.#chunks[n] += entry;
    else this.#chunks.push(entry);
    this.#changedFrom = Math.min(this.#changedFrom, this.#chunks.length - 1);
  }
}

/** The newest `outsideKept` entries. */
export const trimmed = (keys: string): string => keys.slice(-outsideKept * entryChars);
