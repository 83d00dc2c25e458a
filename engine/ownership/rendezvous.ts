/**
 * Who should own a partition: of the living engines the one with the highest score for it. Each engine works it out by
 * itself, and all with the same list come to the same answer. An engine that comes takes only what it gets, one that goes
 * gives only what it had: nothing moves between others.
 */
import { fnv1a32 } from '#actors/partition_key';

/** The engine of `engines` that should own the partition; null when there is none. Their order does not matter. */
export function rendezvous(partition: number, engines: Iterable<string>): string | null {
  let best: string | null = null;
  let bestScore = -1;
  for (const engine of engines) {
    const score = mixed(fnv1a32(`${engine}/${partition}`));
    if (score > bestScore || (score === bestScore && best !== null && engine < best)) {
      best = engine;
      bestScore = score;
    }
  }
  return best;
}

/** FNV's high bits hardly depend on the last characters; these do (the finish of MurmurHash3). */
function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
