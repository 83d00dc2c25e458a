/** Plays a day and watches every price on its way: NATS, ClickHouse, HTTP, live socket. */
import { expect } from 'vitest';
import { connectLog } from '#engine/log/mod';
import type { Price } from '#actors/schema/events';
import type { PricesReply } from '#gateway/schema/replies';
import { atRest, type PriceRow } from './at_rest.ts';
import { expectNothingLostOrDoubled, expectRightPrices, summary } from './checks.ts';
import { Operator, select } from './doors.ts';
import { until, type Installation } from './installation.ts';

/** How far from the border of its slot a price may arrive. */
const borderMsMax = 200;
export const recordedStation = { station: 'jpl-1', ratedW: 6_600 } as const;

const ofRow = (station: string, row: PriceRow): Price => ({
  station,
  slot: Number(row.slot),
  producedAt: Number(row.produced_at_ms),
  loadW: Number(row.load_w),
  capacityW: Number(row.capacity_w),
  utilisationBp: Number(row.utilisation_bp),
  tier: row.tier as Price['tier'],
  importOpen: row.import_open,
  priceE5SekPerKwh: Number(row.price_e5_sek_per_kwh),
  validUntil: Number(row.valid_until_ms),
});

export const storedPrices = async (installation: Installation, station: string): Promise<Price[]> =>
  (
    await select<PriceRow>(
      installation.endpoints,
      `SELECT slot, toUnixTimestamp64Milli(produced_at) AS produced_at_ms, toUnixTimestamp64Milli(valid_until) AS valid_until_ms,
         load_w, capacity_w, utilisation_bp, tier, import_open, price_e5_sek_per_kwh
       FROM prices WHERE station = '${station}' ORDER BY slot`,
    )
  ).map((row) => ofRow(station, row));

/** Follows `slots` borders of a running installation, brings it to rest and checks every price and every watt-hour. */
export async function watchPrices(installation: Installation, slots: number) {
  const { endpoints } = installation;
  const { station } = recordedStation;
  const arrived: { price: Price; errorMs: number }[] = [];
  const live: Price[] = [];
  const operator = await Operator.signIn(endpoints);
  const screen = await operator.follow(station, (price) => live.push(price));
  const outside = await connectLog(installation.integratorUrl, 'system test');
  outside.subscribe(`price.${station}`, {
    callback: (error, message) => {
      if (error) throw error;
      const price = message.json<Price>();
      arrived.push({ price, errorMs: Date.now() - price.producedAt });
    },
  });
  await outside.flush();
  await until(`${slots} prices`, (slots + 2) * 12_000, () => (arrived.length >= slots ? true : undefined));
  // The last one has its own way to the screen.
  await until('the screen has the newest price', 2_000, () =>
    live.some(({ slot }) => slot === arrived.at(-1)!.price.slot) ? true : undefined,
  );
  const heard = arrived.map(({ price }) => price);
  const figures = await installation.quiet();
  screen.close();
  await outside.close();

  const first = heard[0]!.slot;
  expect(heard.map(({ slot }) => slot)).toEqual(heard.map((_, i) => first + i));
  const bySlot = (prices: readonly Price[]) => new Map(prices.map((price) => [price.slot, price]));
  const same = (prices: readonly Price[]) => heard.map(({ slot }) => bySlot(prices).get(slot));
  expect(same(live)).toEqual(heard);
  const stored = await until('the newest price is stored', 5_000, async () => {
    const rows = await storedPrices(installation, station);
    return rows.some(({ slot }) => slot === heard.at(-1)!.slot) ? rows : undefined;
  });
  expect(same(stored)).toEqual(heard);
  const { prices } = await operator.get<PricesReply>(`/stations/${station}/prices?limit=5000`);
  expect(same(prices)).toEqual(heard);

  const state = await atRest(installation, figures, recordedStation);
  expectNothingLostOrDoubled(state);
  expect(expectRightPrices(state)).toEqual([]);

  const errorsMs = arrived.map(({ errorMs }) => errorMs);
  const worstMs = Math.max(...errorsMs.map(Math.abs));
  console.log(
    `${heard.length} prices heard, ${errorsMs.join(', ')} ms after their border; ` +
      `${heard.map(({ tier, utilisationBp }) => `${tier} ${utilisationBp / 100} %`).join(', ')}; ${summary(state)}`,
  );
  expect(worstMs).toBeLessThanOrEqual(borderMsMax);
  return { heard, state };
}
