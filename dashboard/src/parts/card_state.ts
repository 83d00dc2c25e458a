/** A card has exactly one of these; the switch in Card.svelte is complete. */
import type { Refused } from '../api.ts';

export type CardState =
  | { state: 'loading' }
  | { state: 'live' }
  | { state: 'stale'; ageMs: number }
  | { state: 'empty'; why: string }
  /** What is shown is right, and `missing` did not come. */
  | { state: 'partial'; missing: string; retry: () => void }
  | { state: 'error'; refused: Refused; retry: () => void }
  | { state: 'no_right'; right: string | null }
  | { state: 'offline' };

/** What a refusal means for a card that has nothing to show. */
export function refusedState(refused: Refused, retry: () => void): CardState {
  if (refused.code !== 'role_missing') return { state: 'error', refused, retry };
  const right = refused.detail?.['right'];
  return { state: 'no_right', right: typeof right === 'string' ? right : null };
}

/** What a card with values is in: the connection first, then the age of what it shows. */
export function freshness(options: {
  offline: boolean;
  at: number | null;
  now: number;
  staleAfterMs: number;
}): CardState {
  const { offline, at, now, staleAfterMs } = options;
  if (offline) return { state: 'offline' };
  if (at !== null && now - at > staleAfterMs) return { state: 'stale', ageMs: now - at };
  return { state: 'live' };
}
