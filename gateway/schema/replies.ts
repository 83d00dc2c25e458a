/** Queries and answers of the read routes. */
import Type, { type Static } from 'typebox';
import { Price } from '#actors/schema/events';
import { Charger, Connector, Site, Station } from './grid.ts';
import { closed, entityId, instant, now, nullable, ref } from './ref.ts';

export const pricesLimitMax = 5_000;
export const chargersLimitMax = 1_000;

export const SitesReply = Type.Object({ now, sites: Type.Array(ref(Site)) }, { $id: 'SitesReply', ...closed });
export type SitesReply = Static<typeof SitesReply>;

export const StationParams = Type.Object({ id: entityId('the station') }, closed);

export const StationReply = Type.Object(
  {
    now,
    cursor: Type.String({ description: 'join the live topic `station:<id>` from here' }),
    station: ref(Station),
    connectors: Type.Array(ref(Connector), { description: 'none for who may not view chargers' }),
  },
  { $id: 'StationReply', ...closed },
);
export type StationReply = Static<typeof StationReply>;

export const PricesQuery = Type.Object(
  {
    from: Type.Optional(instant('earliest producedAt, included; absent: as far back as `limit` reaches')),
    to: Type.Optional(instant('latest producedAt, excluded; absent: now')),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: pricesLimitMax, default: 300 })),
  },
  closed,
);
export type PricesQuery = Static<typeof PricesQuery>;

export const PricesReply = Type.Object(
  {
    now,
    cursor: Type.String({ description: 'join the live topic `station:<id>` from here: no price missing, none twice' }),
    station: Type.String(),
    prices: Type.Array(ref(Price), { description: 'the newest `limit` of the range, oldest first, one per slot' }),
  },
  { $id: 'PricesReply', ...closed },
);
export type PricesReply = Static<typeof PricesReply>;

export const ChargersQuery = Type.Object(
  {
    site: Type.Optional(entityId('only of this site')),
    station: Type.Optional(entityId('only of this station')),
    after: Type.Optional(entityId('continue after this charger')),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: chargersLimitMax, default: 200 })),
  },
  closed,
);
export type ChargersQuery = Static<typeof ChargersQuery>;

export const ChargersReply = Type.Object(
  {
    now,
    chargers: Type.Array(ref(Charger), { description: 'sorted by id' }),
    next: nullable(Type.String({ description: 'pass as `after` for the next page; null at the end' })),
  },
  { $id: 'ChargersReply', ...closed },
);
export type ChargersReply = Static<typeof ChargersReply>;
