/**
 * Public events: what leaves an actor through the journal, as integrators and the history see it.
 * Payloads are JSON with the unit in the name and times in unix ms; the header `Gridtick-Schema` carries `<kind>/1`.
 */
import Type, { type Static } from 'typebox';
import type { TradeLog } from '../trade_log.ts';

const at = (description: string) => Type.Integer({ description: `${description}; unix ms, UTC` });
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

export const Tier = Type.Enum(['normal', 'double', 'triple', 'capped'], {
  description: 'normal to 80 % of capacity, double to 100 %, triple to 120 %, capped above',
});
export type Tier = Static<typeof Tier>;

/** The price of one station in one slot of 12 s: made from the mean load of the slot before. */
export const Price = Type.Object(
  {
    station: Type.String(),
    slot: Type.Integer({ description: 'floor(time / 12,000 ms)' }),
    producedAt: at('start of the slot'),
    loadW: Type.Integer({ description: 'mean load of the preceding slot, W, rounded half to even' }),
    capacityW: Type.Integer(),
    utilisationBp: Type.Integer({ description: 'load / capacity in basis points, rounded up; 10,000 = 100 %' }),
    tier: Tier,
    importOpen: Type.Boolean({ description: 'false above the cap of 120 %' }),
    priceE5SekPerKwh: Type.Integer({ description: '10⁻⁵ SEK per kWh, signed' }),
    validUntil: at('when the price lapses: 24 s after the start of its slot'),
  },
  { $id: 'Price', additionalProperties: false },
);
export type Price = Static<typeof Price>;

/** Mean load of a node of the load tree over one slot. */
export const Load = Type.Object(
  {
    site: Type.String(),
    node: Type.String(),
    slot: Type.Integer({ description: 'the slot that was measured' }),
    loadW: Type.Integer(),
    capacityW: Type.Integer(),
    utilisationBp: Type.Integer(),
    stale: Type.Boolean({ description: 'true when a part of it is assumed, because a meter fell silent' }),
  },
  { $id: 'Load', additionalProperties: false },
);
export type Load = Static<typeof Load>;

/** One sampled value as the charger sent it, repaired to canonical names; `value` is an exact decimal string. */
export const Sample = Type.Object(
  {
    at: at("the sample's own time"),
    measurand: Type.String(),
    phase: Type.String({ description: "'' when the value is a total" }),
    location: Type.String(),
    context: Type.String(),
    unit: Type.String(),
    value: Type.String({ description: 'decimal string' }),
  },
  { $id: 'Sample', additionalProperties: false },
);
export type Sample = Static<typeof Sample>;

/** One MeterValues message (or the samples carried by a stop). */
export const Meter = Type.Object(
  {
    site: Type.String(),
    station: Type.String(),
    charger: Type.String(),
    connector: Type.Integer({ description: '0 = the main meter of the charger' }),
    transaction: nullable(Type.Integer()),
    receivedAt: at("the log's time at which it was applied"),
    samples: Type.Array(Sample),
  },
  { $id: 'Meter', additionalProperties: false },
);
export type Meter = Static<typeof Meter>;

export const ChargerEventKind = Type.Enum(['booted', 'connected', 'offline', 'status', 'command', 'event']);
export type ChargerEventKind = Static<typeof ChargerEventKind>;

/** What happened to a charger; `detail` depends on the kind. */
export const ChargerEvent = Type.Object(
  {
    charger: Type.String(),
    connector: Type.Optional(Type.Integer()),
    kind: ChargerEventKind,
    at: at("the charger's own time, or the log's where it has none"),
    receivedAt: at("the log's time"),
    detail: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'ChargerEvent', additionalProperties: false },
);
export type ChargerEvent = Static<typeof ChargerEvent>;

/** A session (one OCPP transaction) started or ended. */
export const SessionEvent = Type.Object(
  {
    site: Type.String(),
    station: Type.String(),
    charger: Type.String(),
    connector: Type.Integer(),
    transaction: Type.Integer(),
    tag: Type.String(),
    state: Type.Enum(['started', 'ended']),
    startAt: at('start, charger time'),
    endAt: Type.Optional(at('end, charger time')),
    receivedAt: at("the log's time at which the load changed"),
    meterStartWh: Type.Integer(),
    meterStopWh: Type.Optional(Type.Integer()),
    energyWh: Type.Optional(Type.Integer()),
    reason: Type.Optional(Type.String()),
    flags: Type.Array(Type.String()),
    version: Type.Integer({ description: '1 at the end, +1 at each re-settlement; 0 while it runs' }),
  },
  { $id: 'SessionEvent', additionalProperties: false },
);
export type SessionEvent = Static<typeof SessionEvent>;

/** What operators must be able to look up later: a command that failed, a message that could not be used. */
export const Audit = Type.Object(
  {
    kind: Type.Enum(['dead_letter', 'quarantine', 'letter_settled']),
    at: at("the log's time"),
    entity: Type.String({ description: '<kind>/<id>' }),
    command: Type.String({ description: 'type of the command' }),
    reason: Type.String(),
    correlation: nullable(Type.String()),
    detail: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Audit', additionalProperties: false },
);
export type Audit = Static<typeof Audit>;

/** A customer's battery, sampled every 5 s while signed in, connected or with energy moving. */
export const Battery = Type.Object(
  {
    customer: Type.String(),
    slot: Type.Integer({ description: 'floor(time / 5,000 ms)' }),
    at: at('when it was sampled'),
    energyWh: Type.Integer({ description: 'stored energy, Wh' }),
    capacityWh: Type.Integer(),
    levelBp: Type.Integer({ description: 'energy / capacity in basis points, rounded down' }),
    powerW: Type.Integer({ description: '+ charging, − discharging' }),
  },
  { $id: 'Battery', additionalProperties: false },
);
export type Battery = Static<typeof Battery>;

/** A step in the life of an order. */
export const Trade = Type.Object(
  {
    customer: Type.String(),
    order: Type.String(),
    side: Type.Enum(['buy', 'sell']),
    state: Type.Enum(['held', 'cancelled', 'expired', 'delivering', 'completed', 'partial', 'void']),
    at: at("the log's time"),
    site: Type.String(),
    station: Type.String(),
    slot: Type.Integer({ description: 'the slot whose price is held' }),
    energyWh: Type.Integer({ description: 'ordered, Wh' }),
    priceE5SekPerKwh: Type.Integer({ description: 'all components included' }),
    amountE5Sek: Type.Integer({ description: 'for all of the order at that price' }),
    deliveredWh: Type.Integer(),
    settledE5Sek: Type.Integer({ description: 'posted for what was delivered' }),
    expiresAt: at('the last moment at which a held order can be committed'),
  },
  { $id: 'Trade', additionalProperties: false },
);
export type Trade = Static<typeof Trade>;

/** One batch of postings: its legs sum to 0 per ledger. */
export const Ledger = Type.Object(
  {
    customer: nullable(Type.String({ description: 'null: system accounts only' })),
    batch: Type.String({ description: 'unique; a posting with the same id was made once' }),
    kind: Type.Enum([
      'deposit',
      'withdrawal',
      'hold',
      'release',
      'expiry',
      'settlement',
      'metered',
      'delivery',
      'reversal',
      'reserve',
    ]),
    cause: Type.String({ description: 'the order, session or command it was made for' }),
    at: at("the log's time"),
    legs: Type.Array(
      Type.Object(
        {
          ledger: Type.String({ pattern: '^(SEK|Wh|SHARE:[A-Za-z]{1,3})$', description: 'SEK, Wh, or SHARE:<symbol>' }),
          account: Type.String({
            description: 'customer:<id>:available | :pending | :reserved, or a system account',
          }),
          amount: Type.Integer({ description: 'signed; 10⁻⁵ SEK, Wh or shares' }),
          balance: nullable(
            Type.Integer({ description: "the party's balance after the batch; null for system accounts" }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { $id: 'Ledger', additionalProperties: false },
);
export type Ledger = Static<typeof Ledger>;

/**
 * Kinds are stream names in lower case; each is captured by one stream. `trade_log` alone is recorded and not published: the
 * history takes it from the journal.
 */
export type PublicEvent =
  | { kind: 'price'; subject: string; payload: Price }
  | { kind: 'load'; subject: string; payload: Load }
  | { kind: 'meter'; subject: string; payload: Meter }
  | { kind: 'charger'; subject: string; payload: ChargerEvent }
  | { kind: 'session'; subject: string; payload: SessionEvent }
  | { kind: 'battery'; subject: string; payload: Battery }
  | { kind: 'trade'; subject: string; payload: Trade }
  | { kind: 'ledger'; subject: string; payload: Ledger }
  | { kind: 'audit'; subject: string; payload: Audit }
  | { kind: 'trade_log'; subject: string; payload: TradeLog };
/** Kinds that have a stream. */
export type PublishedKind = Exclude<PublicEvent['kind'], 'trade_log'>;

export const publicKinds = [
  'price',
  'load',
  'meter',
  'charger',
  'session',
  'battery',
  'trade',
  'ledger',
  'audit',
] as const satisfies PublishedKind[];
export const publicSchemas = {
  price: Price,
  load: Load,
  meter: Meter,
  charger: ChargerEvent,
  session: SessionEvent,
  battery: Battery,
  trade: Trade,
  ledger: Ledger,
  audit: Audit,
};
