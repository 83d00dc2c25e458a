/** What the money tests found at a moment, against what customers and chargers say: no öre and no Wh more or less. */
import { Meters } from '#engine/simulation/money_meters';
import { Shadow } from '#engine/simulation/money_shadow';
import type { Market } from './money_market.ts';
import { customers, site } from './money_plan.ts';

/** Sums of single differences, so that one that is lost and one that is doubled do not cancel each other. */
export interface Tally {
  lostE5Sek: number;
  doubledE5Sek: number;
  lostWh: number;
  doubledWh: number;
  problems: string[];
}

/** The commands that were answered, by nothing but what each was told. */
export function shadowOf(market: Market): Shadow {
  const shadow = new Shadow();
  for (const told of market.told.values()) shadow.acknowledged(told, told.result);
  for (const told of market.told.values()) shadow.decided(told, told.result);
  return shadow;
}

/** What chargers must be billed for, by the prices that were published and the postings that were told. */
export function metersOf({ journals }: Market): Meters {
  const meters = new Meters(site);
  for (const { event } of journals.eventsOf('price')) meters.price(event.payload);
  for (const { event } of journals.eventsOf('ledger')) meters.posted(event.payload);
  return meters;
}

/** Of everything that was answered until now; orders and sessions may be running. The journals must have been read. */
export function tallyOf(market: Market): Tally {
  const tally: Tally = { lostE5Sek: 0, doubledE5Sek: 0, lostWh: 0, doubledWh: 0, problems: [] };
  const note = (what: string, { e5Sek, wh }: { e5Sek: number; wh: number }) => {
    if (e5Sek !== 0 || wh !== 0) tally.problems.push(`${what}: ${e5Sek} · 10⁻⁵ SEK and ${wh} Wh beyond what is due`);
    tally.lostE5Sek += Math.max(0, -e5Sek);
    tally.doubledE5Sek += Math.max(0, e5Sek);
    tally.lostWh += Math.max(0, -wh);
    tally.doubledWh += Math.max(0, wh);
  };
  const shadow = shadowOf(market);
  const meters = metersOf(market);
  tally.problems.push(...shadow.problems);
  for (const id of customers) {
    const { sek, wh, orders } = market.journals.customers.get(id)!;
    const due = shadow.owned(id, new Map(orders.map(({ order, deliveredWh }) => [order, deliveredWh])));
    note(id, {
      e5Sek: sek.available + sek.pending - due.e5Sek + (meters.paidE5Sek.get(id) ?? 0),
      wh: wh.available + wh.pending - due.wh,
    });
  }
  for (const plug of market.plugs) {
    for (const drawn of plug.drawn) {
      note(`session ${drawn.transaction}`, meters.beyondDue(drawn));
      meters.check(drawn, (problem) => tally.problems.push(problem));
    }
  }
  return tally;
}
