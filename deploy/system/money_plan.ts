/** What the customers of the money tests do: the same deeds under the same ids, however often they are begun. */
import { customerAddress, siteAddress, stationAddress } from '#actors/mod';
import type { HeldReply } from '#actors/schema/customer_commands';
import type { CommandResult } from '#engine/wire';
import type { DoorCommand } from '#engine/log/mod';

export const partitions = 4;
const site = 'kvarter';
const stations = ['nord', 'syd'] as const;
/** They live in all partitions; two share their own with the stations. */
export const customers = ['ada', 'bo', 'cleo', 'dan', 'eva', 'finn'];
/** Commands of a customer in one round; fewer than the results that are kept of a series. */
const deedsPerRound = 8;

/** One line of a trader's output: what a customer was answered. */
export interface Told {
  id: string;
  customer: string;
  type: string;
  body: Record<string, unknown>;
  result: CommandResult;
}

export const founding: readonly DoorCommand[] = [
  {
    to: siteAddress(site),
    type: 'site.create',
    body: { name: 'Kvarteret', timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: [] },
  },
  ...stations.map((station, i) => ({
    to: stationAddress(site, station),
    type: 'station.create',
    body: { site, name: station, capacityW: 60_000, baseE5SekPerKwh: 99_999 + 23_458 * i },
  })),
  ...customers.map((name) => ({ to: customerAddress(name), type: 'customer.open', body: { name } })),
  // The first of its series at each entity.
].map((command) => ({ ...command, id: 'founding:1' }));

type Ask = (id: string, type: string, body: Record<string, unknown>) => Promise<CommandResult>;

/** Pays in, buys and commits, sells and commits, buys and cancels; every other customer stops the first order. */
export async function trade(customer: string, round: number, ask: Ask): Promise<void> {
  const i = customers.indexOf(customer);
  const station = stations[(i + round) % 2]!;
  let n = round * deedsPerRound;
  const next = (type: string, body: Record<string, unknown>) => ask(`trader:${++n}`, type, body);
  await next('customer.deposit', { amountE5Sek: 1_000_003 + i });
  const bought = await next('order.buy', { station, slot: null, energyWh: 11 + i });
  await next('order.commit', { side: 'buy', order: null });
  await next('order.sell', { station, slot: null, energyWh: 7 + i });
  await next('order.commit', { side: 'sell', order: null });
  await next('order.buy', { station, slot: null, energyWh: 300 });
  await next('order.cancel', { side: 'buy', order: null });
  const order = bought.ok ? (bought.value as HeldReply).order : `${customer}-1`;
  if (i % 2 === 0) await next('order.stop', { order });
  else await next('customer.withdraw', { amountE5Sek: 1_001 });
}
