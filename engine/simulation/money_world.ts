/** A site with two stations and three chargers, customers all over the partitions, and what they may think of doing. */
import { chargerAddress, customerAddress, nameAddress, siteAddress, stationAddress } from '#actors/mod';
import type { Trade } from '#actors/schema/events';
import type { EntityAddress } from '#actors/actor';
import type { HeldReply } from '#actors/schema/customer_commands';
import type { Given } from './money_shadow.ts';
import type { Chance } from './world.ts';

export const partitions = 3;
export const site = 'grid';
export const stations = ['nord', 'syd'];
export const customers = ['ada', 'bo', 'cleo', 'dan', 'eva', 'finn'];
export const ratedW = 22_000;

export interface PlugFounding {
  charger: string;
  station: string;
}
export const plugs: readonly PlugFounding[] = [
  { charger: 'CP-1', station: 'nord' },
  { charger: 'CP-2', station: 'syd' },
  { charger: 'CP-3', station: 'nord' },
];
/** Tags that are shown to the chargers, and who pays. */
export const tags: readonly { tag: string; customer: string | null }[] = [
  ...['ada', 'bo', 'cleo', 'dan'].map((customer) => ({ tag: `TAG-${customer}`, customer })),
  { tag: 'TAG-eva-2', customer: 'eva' },
  { tag: 'TAG-guest', customer: null },
  { tag: 'NOBODY', customer: null },
];
/** Those that the directory knows. */
export const namedTags = tags.filter(({ tag }) => tag !== 'NOBODY');

export const terminalStates: ReadonlySet<Trade['state']> = new Set<Trade['state']>([
  'cancelled',
  'expired',
  'completed',
  'partial',
  'void',
]);

const slotMs = 12_000;

interface Founding {
  to: EntityAddress;
  type: string;
  body: Record<string, unknown>;
}

/** Small stations: two cars and two orders are too much for them, so prices move. Prices that do not divide evenly. */
export const founding: readonly Founding[] = [
  {
    to: siteAddress(site),
    type: 'site.create',
    body: { name: 'Grid', timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: [] },
  },
  ...stations.map((station, i) => ({
    to: stationAddress(site, station),
    type: 'station.create',
    body: { site, name: station, capacityW: 25_000, baseE5SekPerKwh: 99_999 + 23_458 * i },
  })),
  ...customers.map((customer) => ({
    to: customerAddress(customer),
    type: 'customer.open',
    body: { name: customer },
  })),
  ...plugs.map(({ charger, station }) => ({
    to: chargerAddress(site, charger),
    type: 'charger.register',
    body: { site, station, ratedW, connectors: 1, securityProfile: 0, passwordHash: '' },
  })),
  ...namedTags.map(({ tag, customer }) => ({
    to: nameAddress('tag', tag),
    type: 'tag.put',
    body: { customer, group: null, status: 'Accepted', expiresAt: null },
  })),
];

/** What a customer wants next. `held`: orders that are known from answers. */
export function wish(chance: Chance, now: number, held: readonly HeldReply[]): Given {
  const customer = customers[chance.below(customers.length)]!;
  const side = chance.of(60) ? 'buy' : 'sell';
  const own = held.filter(({ order }) => order.startsWith(`${customer}-`));
  const known = own.length > 0 && chance.of(50) ? own[chance.below(own.length)]! : null;
  const roll = chance.below(100);
  const give = (type: string, body: Record<string, unknown>): Given => ({ customer, type, body });
  if (roll < 14) return give('customer.deposit', { amountE5Sek: 1 + chance.below(60_000) });
  if (roll < 18) return give('customer.withdraw', { amountE5Sek: 1 + chance.below(30_000) });
  if (roll < 48) {
    const slot = chance.of(70) ? null : Math.floor(now / slotMs) - chance.below(3);
    const energyWh = chance.of(5) ? 90_000 : 1 + chance.below(90);
    return give(`order.${side}`, { station: stations[chance.below(stations.length)]!, slot, energyWh });
  }
  if (roll < 74) return give('order.commit', { side: known?.side ?? side, order: known?.order ?? null });
  if (roll < 82) return give('order.cancel', { side: known?.side ?? side, order: known?.order ?? null });
  if (roll < 92) return give('order.stop', { order: known?.order ?? `${customer}-${1 + chance.below(6)}` });
  if (roll < 96) return give('customer.present', { until: now + chance.below(20_000) });
  return give('customer.deposit', { amountE5Sek: -5 });
}
