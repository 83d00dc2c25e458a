/** The state of a card that shows what a query said. */
import type { Refused } from '../api.ts';
import { refusedState, type CardState } from '../parts/card_state.ts';
import { t } from '../text/mod.ts';

export interface QueryShown {
  value: unknown;
  refused: Refused | null;
  offline: boolean;
  /** Why there is nothing, if there is nothing. */
  empty: string | null;
  retry: () => void;
  /** How old the newest value is and from when on that is too old; absent: it does not age. */
  aged?: { ageMs: number; staleAfterMs: number } | null;
}

export function queryState({ value, refused, offline, empty, retry, aged = null }: QueryShown): CardState {
  if (value === null) return refused === null ? { state: 'loading' } : refusedState(refused, retry);
  if (offline) return { state: 'offline' };
  if (refused !== null) return { state: 'partial', missing: t.refusals[refused.code], retry };
  if (empty !== null) return { state: 'empty', why: empty };
  return aged !== null && aged.ageMs > aged.staleAfterMs ? { state: 'stale', ageMs: aged.ageMs } : { state: 'live' };
}
