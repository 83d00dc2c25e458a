/** Sites, stations, chargers and connectors as people see them; the same shapes on HTTP and on the live socket. */
import Type, { type Static } from 'typebox';
import { Tier } from '#actors/schema/events';
import { Actions } from './refusal.ts';
import { closed, nullable, ref, unixMs } from './ref.ts';

const w = (description: string) => Type.Integer({ description: `${description}, W` });

export const Station = Type.Object(
  {
    station: Type.String(),
    site: Type.String(),
    name: Type.String(),
    capacityW: w('100 % of its grid connection'),
    baseE5SekPerKwh: Type.Integer({ description: 'price at normal load, 10⁻⁵ SEK per kWh' }),
    tier: nullable(Tier),
    slot: nullable(Type.Integer({ description: 'floor(time / 12,000 ms) of the newest price' })),
    producedAt: nullable(unixMs('when the newest price was produced')),
    validUntil: nullable(unixMs('when it lapses')),
    priceE5SekPerKwh: nullable(Type.Integer({ description: '10⁻⁵ SEK per kWh, signed; null before the first slot' })),
    importOpen: Type.Boolean({ description: 'false above the cap of 120 %' }),
    utilisationBp: nullable(Type.Integer({ description: 'of the slot that made the price; 10,000 = 100 %' })),
    loadW: nullable(w('mean load of the slot that made the price')),
    stale: Type.Boolean({ description: 'part of that load is assumed, because a meter fell silent' }),
    liveW: w("sum of its connectors' power now"),
    actions: ref(Actions),
  },
  { $id: 'Station', ...closed },
);
export type Station = Static<typeof Station>;

export const Connector = Type.Object(
  {
    charger: Type.String(),
    connector: Type.Integer({ minimum: 1 }),
    station: Type.String(),
    online: Type.Boolean({ description: 'whether its charger is connected' }),
    status: Type.String({ description: "OCPP 1.6 status; '' until the first report" }),
    errorCode: Type.String(),
    statusAt: unixMs('of the status'),
    w: w('power in force'),
    at: nullable(unixMs('of the newest sample')),
    intervalMs: nullable(Type.Integer({ description: 'between samples; older than three of them is stale' })),
    transaction: nullable(Type.Integer({ description: 'of the open session' })),
    tag: nullable(Type.String({ description: 'masked: … and its last three characters' })),
    startAt: nullable(unixMs('start of the open session')),
    energyWh: nullable(Type.Integer({ description: 'of the open session so far' })),
  },
  { $id: 'Connector', ...closed },
);
export type Connector = Static<typeof Connector>;

export const Charger = Type.Object(
  {
    charger: Type.String(),
    site: Type.String(),
    station: Type.String(),
    state: Type.Enum(['unregistered', 'pending', 'accepted', 'rejected']),
    online: Type.Boolean(),
    lastHeardAt: nullable(unixMs('of the last message')),
    protocol: nullable(Type.String({ description: 'of its connection, e.g. ocpp1.6' })),
    vendor: Type.String(),
    model: Type.String(),
    firmware: Type.String(),
    ratedW: w('rating'),
    w: w("sum of its connectors' power"),
    connectors: Type.Array(ref(Connector)),
    actions: ref(Actions),
  },
  { $id: 'Charger', ...closed },
);
export type Charger = Static<typeof Charger>;

export const Site = Type.Object(
  {
    site: Type.String(),
    name: Type.String(),
    timeZone: Type.String(),
    capacityW: nullable(w('limit of its grid connection')),
    slot: nullable(Type.Integer({ description: 'newest measured slot' })),
    loadW: nullable(w('mean load of that slot')),
    stale: Type.Boolean(),
    liveW: w("sum of its connectors' power now"),
    stations: Type.Array(Type.Object({ station: Type.String(), name: Type.String(), capacityW: w('limit') }, closed)),
    actions: ref(Actions),
  },
  { $id: 'Site', ...closed },
);
export type Site = Static<typeof Site>;
