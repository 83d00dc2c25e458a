/** What the customers of the money tests do: the same deeds under the same ids, however often they are begun. */
import { chargerAddress, customerAddress, nameAddress, siteAddress, stationAddress, userAddress } from '#actors/mod';
import type { HeldReply } from '#actors/schema/customer_commands';
import type { CommandResult } from '#engine/wire';
import type { DoorCommand } from '#engine/log/mod';

export const partitions = 4;
export const site = 'kvarter';
const stations = ['nord', 'syd'] as const;
/** They live in all partitions; two share their own with the stations. The first trade at a door, the others by the API. */
export const traders = ['ada', 'bo', 'cleo', 'dan', 'eva', 'finn'];
export const people = ['gun', 'hugo'];
export const customers = [...traders, ...people];
/** Of both; not one that Gridtick itself uses. */
export const commandSeries = { trader: 'trader', api: 'api' } as const;
export const password = 'a password of a test';

/** Far above what flows here, so that a second moves many Wh. */
export const plugRatedW = 360_000;
export interface PlugPlan {
  charger: string;
  station: (typeof stations)[number];
}
export const plugs: readonly PlugPlan[] = [
  { charger: 'CP-1', station: 'nord' },
  { charger: 'CP-2', station: 'syd' },
];
/** Tags that are shown to the chargers, and who pays. */
export const tags = [
  ...['ada', 'bo', 'cleo', 'dan', 'gun'].map((customer) => ({ tag: `TAG-${customer}`, customer })),
  { tag: 'TAG-guest', customer: null },
];
/** Enough for whatever is charged here. */
const openingE5Sek = 1_000_000_000;
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

/** @param passwordHash of {@link password} */
export const foundingOf = (passwordHash: string): DoorCommand[] =>
  [
    {
      to: siteAddress(site),
      type: 'site.create',
      body: { name: 'Kvarteret', timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: ['127.0.0.0/8'] },
    },
    ...stations.map((station, i) => ({
      to: stationAddress(site, station),
      type: 'station.create',
      body: { site, name: station, capacityW: 60_000, baseE5SekPerKwh: 99_999 + 23_458 * i },
    })),
    ...people.map((id) => ({
      to: userAddress(id),
      type: 'user.create',
      body: { email: `${id}@kvarter.example`, name: id, passwordHash, roles: ['customer'] },
    })),
    ...plugs.map(({ charger, station }) => ({
      to: chargerAddress(site, charger),
      type: 'charger.register',
      body: { site, station, ratedW: plugRatedW, connectors: 1, securityProfile: 0, passwordHash: '' },
    })),
    ...customers.map((name) => ({ to: customerAddress(name), type: 'customer.open', body: { name } })),
    ...tags.map(({ tag, customer }) => ({
      to: nameAddress('tag', tag),
      type: 'tag.put',
      body: { customer, group: null, status: 'Accepted', expiresAt: null },
    })),
    // The first of its series at each entity.
  ].map((command) => ({ ...command, id: 'founding:1' }));

/** What customers begin with. */
export const opening: readonly (DoorCommand & { id: string })[] = customers.map((customer) => ({
  id: 'founding:2',
  to: customerAddress(customer),
  type: 'customer.deposit',
  body: { amountE5Sek: openingE5Sek },
}));

/** `n`: of the command, dense per customer. */
type Ask = (n: number, type: string, body: Record<string, unknown>) => Promise<CommandResult>;

/** Pays in, buys and commits, sells and commits, buys and cancels; every other customer stops the first order. */
export async function trade(customer: string, round: number, ask: Ask): Promise<void> {
  const i = customers.indexOf(customer);
  const station = stations[(i + round) % 2]!;
  let n = round * deedsPerRound;
  const next = (type: string, body: Record<string, unknown>) => ask(++n, type, body);
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
