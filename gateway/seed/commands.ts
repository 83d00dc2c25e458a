/** What a demo installation is made of, as commands through the door: the same scenario gives the same commands. */
import { chargerAddress, customerAddress, nameAddress, siteAddress, stationAddress, userAddress } from '#actors/mod';
import type { DoorCommand } from '#engine/log/mod';
import { demoEmails } from '#engine/supervisor/endpoints';
import type { Scenario } from '#gateway/simulator/scenario';

/** Who may sign in to the demo; ids never change, so that a second run meets the same users. */
export const seedUsers = [
  { id: 'operator', email: demoEmails.operator, name: 'Demo operator', roles: ['operator'] },
  { id: 'admin', email: demoEmails.admin, name: 'Demo admin', roles: ['admin', 'operator'] },
  { id: 'customer', email: demoEmails.customer, name: 'Demo customer', roles: ['customer'] },
  { id: 'trader', email: demoEmails.trader, name: 'Demo trader', roles: ['customer'] },
] as const;
export type SeedUser = (typeof seedUsers)[number];
export const seedCustomers = seedUsers.filter(({ roles }) => (roles as readonly string[]).includes('customer'));

/** Ids are dense per entity: what is sent again changes nothing. */
const id = 'seed:1';

/** Site, station, chargers, tags: in this order, each after what it needs. */
export function seedCommands({ site, station, timeline, spareTags }: Scenario): DoorCommand[] {
  return [
    {
      id,
      to: siteAddress(site.id),
      type: 'site.create',
      // Simulated chargers bring no password; only from this machine is that allowed.
      body: { name: site.name, timeZone: site.timeZone, capacityW: null, profile0Networks: ['127.0.0.0/8', '::1/128'] },
    },
    {
      id,
      to: stationAddress(site.id, station.id),
      type: 'station.create',
      // 1.00 SEK/kWh.
      body: { site: site.id, name: station.name, capacityW: station.capacityW, baseE5SekPerKwh: 100_000 },
    },
    ...timeline.chargers.map((charger) => ({
      id,
      to: chargerAddress(site.id, charger),
      type: 'charger.register',
      body: {
        site: site.id,
        station: station.id,
        ratedW: timeline.ratedW,
        connectors: 1,
        securityProfile: 0,
        passwordHash: '',
      },
    })),
    ...[...timeline.tags, ...spareTags].map((tag) => ({
      id,
      to: nameAddress('tag', tag),
      type: 'tag.put',
      body: { customer: null, group: null, status: 'Accepted', expiresAt: null },
    })),
  ];
}

export const userCommand = (user: SeedUser, passwordHash: string): DoorCommand => ({
  id,
  to: userAddress(user.id),
  type: 'user.create',
  body: { email: user.email, name: user.name, passwordHash, roles: [...user.roles] },
});

/** Accounts first, then what they may owe, then the cards that they pay for: each step when the one before is decided. */
export function customerCommands({ holders }: Scenario): DoorCommand[][] {
  const opened = holders.flatMap(({ customer, opened }) => (opened === undefined ? [] : [{ customer, ...opened }]));
  const open = (customer: string, name: string) => ({
    id,
    to: customerAddress(customer),
    type: 'customer.open',
    body: { name },
  });
  return [
    [
      ...seedCustomers.map((user) => open(user.id, user.name)),
      ...opened.map(({ customer, name }) => open(customer, name)),
    ],
    opened.map(({ customer, creditE5Sek }) => ({
      id: 'seed:2',
      to: customerAddress(customer),
      type: 'customer.credit',
      body: { limitE5Sek: creditE5Sek },
    })),
    // A tag without an owner came first, also in data of earlier builds.
    holders.map(({ tag, customer }) => ({
      id: 'seed:2',
      to: nameAddress('tag', tag),
      type: 'tag.put',
      body: { customer, group: null, status: 'Accepted', expiresAt: null },
    })),
  ];
}
