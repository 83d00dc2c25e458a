/** Bodies of the commands that entities send each other. Times are unix ms, UTC. */
import Type, { type Static } from 'typebox';
import { TagEntryState } from './entities.ts';
import { TokenReply } from './commands.ts';

const int = () => Type.Integer();
const str = () => Type.String();
const nullableInt = () => Type.Union([Type.Integer(), Type.Null()]);
const closed = { additionalProperties: false };
const empty = Type.Object({}, closed);

// --- directory ---------------------------------------------------------------------------------------------------------

const Owner = Type.Object({ kind: str(), key: str(), id: str() }, closed);
/** to: name. Answered by `name.granted` or `name.refused` to the owner. */
export const NameClaim = Type.Object({ owner: Owner }, closed);
/** to: name, from the owner that has taken it in. */
export const NameConfirm = Type.Object({ owner: Owner }, closed);
/** to: the owner. */
export const NameGranted = Type.Object({ name: str() }, closed);
export const NameRefused = Type.Object({ name: str() }, closed);

/** to: roster. A partition holds a site and wants the tag table. */
export const RosterSite = Type.Object({ partition: int() }, closed);
/** to: tag. The older version is ignored. */
export const TagListed = TagEntryState;

/** to: charger. Its gateway fell silent. */
export const ChargerLost = Type.Object({ gateway: str() }, closed);

// --- slots -------------------------------------------------------------------------------------------------------------

/** to: station. `loadWMs` was drawn in the `durationMs` before `slot` began. */
/** `siteUtilisationBp`: of the connection above the station, absent where that has no limit of its own. */
export const StationTick = Type.Object(
  {
    slot: int(),
    durationMs: int(),
    loadWMs: int(),
    stale: Type.Boolean(),
    siteUtilisationBp: Type.Optional(int()),
  },
  closed,
);
/** to: site. `capacityW` = the sum of its stations', for a site without a limit of its own. */
export const SiteTick = Type.Object(
  {
    slot: int(),
    durationMs: int(),
    loadWMs: int(),
    stale: Type.Boolean(),
    capacityW: int(),
  },
  closed,
);

// --- sessions; from the charger, in the same partition -------------------------------------------------------------------

/** What the samples of one time say: register of imported energy and power in force, where they are given. */
export const Point = Type.Object({ at: int(), registerWh: nullableInt(), powerW: nullableInt() }, closed);
export type Point = Static<typeof Point>;

/** `startKey` '': not the start itself, but the first that is heard of the transaction. `meterStartWh` null: it told none. */
const start = {
  charger: str(),
  station: str(),
  connector: int(),
  tag: str(),
  token: Type.Union([TokenReply, Type.Null()]),
  startKey: str(),
  at: int(),
  meterStartWh: nullableInt(),
  flags: Type.Array(str()),
  reference: str(),
  remoteStartId: nullableInt(),
};
export const SessionOpen = Type.Object(start, closed);
/** The start of a session that began with something else: with its stop, or with any event of OCPP 2.x. */
export const SessionMerge = Type.Object(start, closed);
/** Whose session it is, where its start did not tell. `at` = the session's start. */
export const SessionIdentify = Type.Object({ tag: str(), token: TokenReply, at: int() }, closed);
/** Where it is, where nothing told before. */
export const SessionLocate = Type.Object({ connector: int() }, closed);

const stop = {
  at: int(),
  meterStopWh: nullableInt(),
  reason: str(),
  stopKey: str(),
  stopHash: str(),
  stopToken: Type.Union([Type.Null(), TokenReply]),
  points: Type.Array(Point),
  samples: int(),
  ratedW: int(),
  flags: Type.Array(str()),
};
export const SessionEnd = Type.Object(stop, closed);
/** A stop without a start: `from` = the first known register, null when there is none. */
export const SessionAdopt = Type.Object(
  {
    ...stop,
    charger: str(),
    station: str(),
    connector: int(),
    tag: str(),
    reference: str(),
    from: Type.Union([Type.Null(), Type.Object({ at: int(), registerWh: int() }, closed)]),
  },
  closed,
);
export const SessionSampled = Type.Object(
  {
    points: Type.Array(Point),
    samples: int(),
    ratedW: int(),
    flags: Type.Array(str()),
  },
  closed,
);
/** A new start on the same connector; `at` = its time. */
export const SessionSupersede = Type.Object({ at: int() }, closed);
/** An operator has closed it. */
export const SessionAbandon = empty;
/** A second stop that says something else. */
export const SessionDispute = empty;

export type SessionOpenBody = Static<typeof SessionOpen>;
export type SessionIdentifyBody = Static<typeof SessionIdentify>;
export type SessionEndBody = Static<typeof SessionEnd>;
export type SessionAdoptBody = Static<typeof SessionAdopt>;
export type SessionSampledBody = Static<typeof SessionSampled>;
export type StationTickBody = Static<typeof StationTick>;
export type SiteTickBody = Static<typeof SiteTick>;
