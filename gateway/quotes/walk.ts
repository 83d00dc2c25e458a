/**
 * Prices that walk, made of a seed: any process finds the price of any tick without having walked there.
 *
 * W1 The price is a function of (seed, symbol, tick) alone.
 * W2 A step is at most 15 % up or down, also between blocks. No price is below 0.01 SEK.
 * W3 A block of ticks starts between 20 and 50 SEK. Within it the price walks freely, but never so far that the start of
 *    the next block could not be reached by W2.
 */
import { hashOf, Random } from '../simulator/random.ts';
import type { QuoteFeed } from './feed.ts';

const blockTicks = 64;
const startE5 = { least: 2_000_000, most: 5_000_000 };
const floorE5 = 1_000;
/** Per cent of the price before: what a step may come to. */
const [down, up] = [85, 115];
/** Blocks that a feed keeps, the oldest go first. */
const blocksKept = 4_096;

const below = (price: number) => Math.max(floorE5, Math.ceil((price * down) / 100));
const above = (price: number) => Math.floor((price * up) / 100);

const startOf = (seed: string, symbol: string, block: number) =>
  startE5.least + (hashOf(`${seed} ${symbol} ${block}`) % (startE5.most - startE5.least + 1));

/** All prices of a block, 10⁻⁵ SEK. */
function walkBlock(seed: string, symbol: string, block: number): number[] {
  const random = new Random(`${seed} ${symbol} ${block} steps`);
  // From where the next start is reached in so many steps.
  const next = startOf(seed, symbol, block + 1);
  const reach = [{ least: next, most: next }];
  for (let left = 1; left < blockTicks; left += 1) {
    const { least, most } = reach[left - 1]!;
    reach.push({
      least: Math.max(floorE5, Math.ceil((least * 100) / up)),
      most: Math.min(Math.floor((most * 100) / down), 1e12),
    });
  }
  const prices = [startOf(seed, symbol, block)];
  for (let left = blockTicks - 1; left > 0; left -= 1) {
    const price = prices.at(-1)!;
    const [least, most] = [below(price), above(price)];
    const wanted = least + random.below(most - least + 1);
    prices.push(Math.min(Math.max(wanted, reach[left]!.least), reach[left]!.most));
  }
  return prices;
}

/** The price of a tick, 10⁻⁵ SEK per share; ticks are counted from 0. */
export function walkPrice(seed: string, symbol: string, tick: number): number {
  return walkBlock(seed, symbol, Math.floor(tick / blockTicks))[tick % blockTicks]!;
}

export interface WalkOptions {
  seed: string;
  /** The log's clock, unix ms: all processes of an installation are at the same tick. */
  now(): number;
  /** @default 12_000, as long as a price of a station is in force */ tickMs?: number;
}

export function walkFeed({ seed, now, tickMs = 12_000 }: WalkOptions): QuoteFeed {
  const blocks = new Map<string, number[]>();
  return {
    name: `walk:${seed}`,
    async ask(symbol, user) {
      const tick = Math.floor(now() / tickMs);
      const key = `${symbol} ${Math.floor(tick / blockTicks)}`;
      let prices = blocks.get(key);
      if (prices === undefined) {
        prices = walkBlock(seed, symbol, Math.floor(tick / blockTicks));
        if (blocks.size >= blocksKept) blocks.delete(blocks.keys().next().value!);
        blocks.set(key, prices);
      }
      return { symbol, user, priceE5Sek: prices[tick % blockTicks]!, serverAt: null, serverKey: null };
    },
    async close() {},
  };
}
