/** GET /api/stations/:id/prices: the history store, joined with what the journal said since, so there is no seam. */
import type { Price } from '#actors/schema/events';
import type { Grid } from '../../live/grid.ts';
import { ref } from '../../schema/ref.ts';
import { PricesQuery, PricesReply, StationParams } from '../../schema/replies.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { cursorOf } from './grid.ts';

/** What this needs of the history store: the newest `limit` prices produced in [from, to), oldest first. */
export interface PriceHistory {
  prices(station: string, range: { from: number; to: number; limit: number }): Promise<Price[]>;
}

/** One per slot; of two the later named one counts (they are equal, the journal's came first). */
export function joinPrices(stored: readonly Price[], live: readonly Price[], limit: number): Price[] {
  const bySlot = new Map<number, Price>();
  for (const price of [...stored, ...live]) bySlot.set(price.slot, price);
  return [...bySlot.values()].sort((a, b) => a.slot - b.slot).slice(-limit);
}

export function priceRoutes(app: ApiScope, grid: Grid, history: PriceHistory): void {
  app.get(
    '/api/stations/:id/prices',
    {
      config: { access: 'view_prices' },
      schema: {
        tags: ['grid'],
        summary: 'Prices of a station by the time they were produced',
        params: StationParams,
        querystring: PricesQuery,
        response: { 200: ref(PricesReply), ...failures },
      },
    },
    async (request) => {
      const { id } = request.params;
      const found = grid.station(id);
      if (found === undefined) throw new Refused('unknown_station', { station: id });
      const now = app.now();
      // A price is produced at the log's clock, which may be a little ahead of ours.
      const { from = 0, to = now + 60_000, limit = 300 } = request.query;
      if (from >= to)
        throw new Refused('bad_request', { in: 'querystring', field: '/from', reason: 'must be before to' });
      // Read before the history is asked: what comes in between is then in the live tail or after the cursor, never lost.
      const cursor = cursorOf(grid, found.context.site);
      let stored: Price[];
      try {
        stored = await history.prices(id, { from, to, limit });
      } catch (error) {
        request.log.error({ event: 'history_failed', err: error }, 'prices could not be read');
        throw new Refused('history_unavailable');
      }
      return { now, cursor, station: id, prices: joinPrices(stored, grid.prices.between(id, from, to), limit) };
    },
  );
}
