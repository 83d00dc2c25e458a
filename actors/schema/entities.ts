/**
 * States of the entities, field by field in canonical order: this order is the order of the post-image.
 * The machine's state value is kept beside the context (`value`), not in it.
 */
import Type, { type Static } from 'typebox';

const int = () => Type.Integer();
const str = () => Type.String();
const nullableInt = () => Type.Union([Type.Integer(), Type.Null()]);
const nullableStr = () => Type.Union([Type.String(), Type.Null()]);

/** value: `open`. id = key = the site's id. */
export const SiteState = Type.Object({
  name: str(),
  timeZone: str(),
  capacityW: nullableInt(),
  createdAt: int(),
  /** Networks (CIDR) from which chargers of security profile 0 may connect; empty: profile 0 is not allowed. */
  profile0Networks: Type.Array(str()),
  /** The newest measured slot of the site as a node. */
  slot: nullableInt(),
  loadW: nullableInt(),
  stale: Type.Boolean(),
});
export type SiteState = Static<typeof SiteState>;

/** Power that acts since `sinceMs` (log time), and the W·ms gathered in `slot` before that. */
export const FlowState = Type.Object({ powerW: int(), sinceMs: int(), slot: int(), wMs: int() });
export type FlowState = Static<typeof FlowState>;

/** value: `unpriced` | `normal` | `double` | `triple` | `capped`. key = site. */
export const StationState = Type.Object({
  site: str(),
  name: str(),
  capacityW: int(),
  baseE5SekPerKwh: int(),
  createdAt: int(),
  slot: nullableInt(),
  producedAt: nullableInt(),
  loadW: nullableInt(),
  utilisationBp: nullableInt(),
  priceE5SekPerKwh: nullableInt(),
  importOpen: Type.Boolean(),
  stale: Type.Boolean(),
  /** What customers' orders draw together: − where they sell more than they buy. Since version 2. */
  draws: FlowState,
});
export type StationState = Static<typeof StationState>;

export const ConnectorState = Type.Object({
  /** OCPP status as the charger's version names it, '' until the first report. */
  status: str(),
  errorCode: str(),
  statusAt: int(),
  /** Open transaction, 0 = none. */
  transaction: int(),
  /** Power in force, since when (log time), and the W·ms gathered in `slot` before that. */
  powerW: int(),
  sinceMs: int(),
  slot: int(),
  wMs: int(),
  /** When the silence rule starts to count `silentW` instead of `powerW`; null: no open session. */
  silentFromMs: nullableInt(),
  silentW: int(),
  /** The newest slot a part of which was counted with `silentW`. */
  assumedSlot: nullableInt(),
  lastSampleAt: nullableInt(),
  lastEnergyWh: nullableInt(),
});
export type ConnectorState = Static<typeof ConnectorState>;

/** value: `unregistered` (name not confirmed) | `pending` | `accepted` | `rejected`. key = site, id = registered identity. */
export const ChargerState = Type.Object({
  site: str(),
  station: str(),
  ratedW: int(),
  createdAt: int(),
  /** OCPP security profile 0..3 required of it, and the stored verifier of its password ('' without). */
  securityProfile: int(),
  passwordHash: str(),
  vendor: str(),
  model: str(),
  serial: str(),
  firmware: str(),
  bootedAt: nullableInt(),
  /** Dense number of connections granted so far; the newest wins. */
  connectionSeq: int(),
  connection: Type.Union([
    Type.Null(),
    Type.Object({ gateway: str(), connection: str(), protocol: str(), since: int() }),
  ]),
  online: Type.Boolean(),
  lastHeardAt: int(),
  connectors: Type.Array(ConnectorState),
});
export type ChargerState = Static<typeof ChargerState>;

/**
 * The stretch of a session from the first sample in a period of one price to the first sample of the next such period:
 * energy between two samples has the price in force at the earlier one.
 */
export const BilledPeriod = Type.Object({
  /** Slot with which the price period began. */
  since: int(),
  /** The sample: its time, and the session's energy up to it. */
  at: int(),
  fromWh: int(),
  priceE5SekPerKwh: int(),
  billedWh: int(),
});
export type BilledPeriod = Static<typeof BilledPeriod>;

/** value: `started` | `energising` | `suspended` | `ended`. key = site, id = String(transaction). */
export const SessionState = Type.Object({
  site: str(),
  station: str(),
  charger: str(),
  connector: int(),
  transaction: int(),
  tag: str(),
  tagStatus: str(),
  startKey: str(),
  /** The answer to the start beside the tag's status, for a resend. */
  tagExpiresAt: nullableInt(),
  tagGroup: nullableStr(),
  startAt: int(),
  startedAt: int(),
  meterStartWh: int(),
  /** Register segments: energy closed by resets, first and last register of the running one. */
  segmentsWh: int(),
  segmentFromWh: nullableInt(),
  registerWh: nullableInt(),
  registerAt: nullableInt(),
  /** Integral of power, W·ms, for chargers without a register. */
  integralWMs: int(),
  samples: int(),
  powerW: nullableInt(),
  /** Samples that carried a register. */
  registers: int(),
  lastSampleAt: nullableInt(),
  intervalMs: int(),
  maxW: int(),
  endAt: nullableInt(),
  endedAt: nullableInt(),
  meterStopWh: nullableInt(),
  energyWh: nullableInt(),
  reason: str(),
  stopKey: str(),
  /** Hash of what the stop said, and the answer it got: a resend is told from a second, different stop. */
  stopHash: str(),
  stopToken: Type.Union([
    Type.Null(),
    Type.Object({
      status: str(),
      expiresAt: nullableInt(),
      group: nullableStr(),
    }),
  ]),
  flags: Type.Array(str()),
  version: int(),
  // Since version 2:
  /** Who pays: the owner of the tag when the session began; null: nobody, its energy is posted as unassigned. */
  customer: nullableStr(),
  /** Where a new price began to count, oldest first; empty when nobody pays. */
  periods: Type.Array(BilledPeriod),
  /** Batches of postings made. */
  batches: int(),
  /** Up to which time of the charger energy has been billed. */
  billedTo: int(),
  /** Log time of the last bill (at first: of the start), and when the next one is due; null: there is nothing to bill. */
  billedAt: int(),
  billDueAt: nullableInt(),
  /** Posted as unassigned, Wh. */
  unassignedWh: int(),
  // Since version 3:
  /** The charger's own id of the transaction (OCPP 2.x), '' where we number it. */
  reference: str(),
  /** Request of ours that it answers to (OCPP 2.x). */
  remoteStartId: nullableInt(),
  /** Charger time of the register in `meterStartWh`; null: none has been heard yet. */
  meterStartAt: nullableInt(),
});
export type SessionState = Static<typeof SessionState>;

/** Tag table: one entry in every partition that holds a site. value: `listed`. id = the tag, key = `@<partition>`. */
export const TagEntryState = Type.Object({
  customer: nullableStr(),
  group: nullableStr(),
  status: Type.Enum(['Accepted', 'Blocked', 'Expired', 'Invalid']),
  credit: Type.Enum(['ok', 'empty']),
  expiresAt: nullableInt(),
  version: int(),
});
export type TagEntryState = Static<typeof TagEntryState>;

/** value: `claimed` (waiting for the owner's confirmation) | `confirmed`. id = key = the name, e.g. `identity:CP-0001`. */
export const NameState = Type.Object({
  owner: Type.Object({ kind: str(), key: str(), id: str() }),
  /** What a door needs before it can route: for `tag:` the tag's own record, for others null. */
  tag: Type.Union([Type.Null(), TagEntryState]),
  claimedAt: int(),
});
export type NameState = Static<typeof NameState>;

/** value: `invited` (e-mail not confirmed as unique) | `active` | `disabled`. id = key = the user's id. */
export const UserState = Type.Object({
  email: str(),
  name: str(),
  passwordHash: str(),
  roles: Type.Array(str()),
  createdAt: int(),
});
export type UserState = Static<typeof UserState>;

/** One per partition, key `@<p>`: which partitions hold sites and so want the tag table. value: `open`. */
export const RosterState = Type.Object({
  sitePartitions: Type.Array(int()),
  /** Partitions that are still being sent the tags of this one, a page at a time: all up to `after` are sent. */
  spreading: Type.Array(Type.Object({ partition: int(), after: str() })),
});
export type RosterState = Static<typeof RosterState>;

/** One per partition and gateway, key `@<p>`: its last sign of life. value: `alive` | `lost`. */
export const GatewayState = Type.Object({ gateway: str(), lastAliveAt: int() });
export type GatewayState = Static<typeof GatewayState>;

/** A dead letter that was dealt with, in the partition of its command. value: `settled`. id = its place in the journal. */
export const LetterState = Type.Object({
  outcome: Type.Enum(['retried', 'discarded']),
  code: nullableStr(),
  command: str(),
  by: str(),
  at: int(),
});
export type LetterState = Static<typeof LetterState>;

/** Record, one per partition: dense counters. */
export const CounterState = Type.Object({ next: int() });
export type CounterState = Static<typeof CounterState>;

/**
 * Record, a row of them per session and 10 min of sample time, and one per connector for samples outside sessions: content
 * keys and value hashes of known samples in order of arrival, 18 characters each (64 and 32 bit).
 */
export const SampleKeysState = Type.Object({ keys: str() });
export type SampleKeysState = Static<typeof SampleKeysState>;

/**
 * Record, one per charger: what it was answered, oldest first, at most 32, so that a resent message gets the same answer;
 * and content keys of its last 32 status reports and messages.
 */
export const DecidedState = Type.Object({
  answers: Type.Array(Type.Object({ key: str(), answer: Type.Unknown() })),
  seen: Type.Array(str()),
});
export type DecidedState = Static<typeof DecidedState>;

/**
 * Record, one per station and customer whose orders draw there: the load of those orders, and the number of the word that
 * said so. id = `<station>/<customer>`, both as subject tokens.
 */
export const StationDrawState = Type.Object({ powerW: int(), count: int() });
export type StationDrawState = Static<typeof StationDrawState>;

/** Record, one per connector: the first register seen of a transaction nobody started here. */
export const StrayState = Type.Object({ transaction: int(), at: int(), registerWh: int() });
export type StrayState = Static<typeof StrayState>;
