/** The states of the cards that show one station: the same on its page and on the trader's. */
import type { Price, Station } from '#gateway/schema/mod';
import { staleAfterMs } from '../live/prices.ts';
import type { StationFeed } from '../live/station_feed.svelte.ts';
import { t } from '../text/mod.ts';
import { freshness, refusedState, type CardState } from './card_state.ts';

export interface Shown {
  feed: StationFeed;
  station: Station | undefined;
  prices: readonly Price[];
  offline: boolean;
  /** The time that is shown: paused values keep the state they had. */
  now: number;
}

export function stationStates({ feed, station, prices, offline, now }: Shown) {
  const retry = () => void feed.load();
  const base: CardState | null =
    feed.state.state === 'failed'
      ? refusedState(feed.state.refused, retry)
      : feed.state.state === 'loading' || station === undefined
        ? { state: 'loading' }
        : null;
  const fresh = freshness({ offline, at: station?.producedAt ?? null, now, staleAfterMs });
  const rows = base ?? pricesState(feed, prices, fresh, retry);
  // Where no price was produced yet the chart still has its bands.
  return { base, fresh, shown: base ?? fresh, prices: rows, chart: rows.state === 'empty' ? fresh : rows };
}

function pricesState(feed: StationFeed, prices: readonly Price[], fresh: CardState, retry: () => void): CardState {
  const { pricesRefused } = feed;
  if (pricesRefused?.code === 'role_missing') return refusedState(pricesRefused, retry);
  if (pricesRefused)
    return { state: 'partial', missing: t.station.pricesPartial, retry: () => void feed.retryPrices() };
  return prices.length === 0 ? { state: 'empty', why: t.station.pricesEmpty } : fresh;
}
