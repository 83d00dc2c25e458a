/** Internal subjects, stream names and inbox prefixes, built in one place. Public subjects are in `actors/schema`. */
import { randomUUID } from 'node:crypto';
import { token } from '#actors/schema/subjects';

export const stream = {
  commands: (partition: number) => `C_${partition}`,
  journal: (partition: number) => `J_${partition}`,
  snapshots: (partition: number) => `S_${partition}`,
  /** The public stream of a kind: `price` → `PRICE`. */
  public: (kind: string) => kind.toUpperCase(),
  /** What goes over the chargers' sockets; no account but core hears it. */
  messages: 'OCPP',
};

export const internal = {
  commands: (partition: number) => `c.${partition}`,
  journal: (partition: number) => `j.${partition}`,
  snapshot: (partition: number, gen: number, chunk: number | '*') => `s.${partition}.${gen}.${chunk}`,
  /** What the one publisher writes; the stream republishes it without `pub.`. */
  publicInput: (subject: string) => `pub.${subject}`,
  /** The publisher's vector of positions for one public stream. */
  publicPosition: (streamName: string) => `pos.${streamName}`,
  /** Commit positions of an engine, every 250 ms. */
  commits: (engine: string) => `engine.${token(engine)}.commits`,
  /** Positions of a sink or the publisher, every 5 s. */
  positions: (sink: string) => `engine.${token(sink)}.positions`,
  /** Asks the history role to drop a projection and make it anew. */
  rebuild: 'engine.rebuild',
  /** Makes every sink announce its positions at once. */
  positionsAsked: 'engine.positions',
  /** Answers while that engine lives; "no responders" means it is gone. */
  ping: (engine: string) => `engine.${token(engine)}.ping`,
  /** What an engine says of itself to the others. */
  member: (engine: string) => `engine.${token(engine)}.member`,
  /** Asks all engines to say it now. */
  rollCall: 'engine.members',
  /** Log time of a driven clock, told by the driver when it is stored. */
  clock: 'engine.clock',
  /** Asks all engines to answer once their part of the command log is decided up to given sequences, relays and all. */
  settled: 'engine.settled',
  /** Batches of frames of one gateway process. */
  messages: (gateway: string) => `raw.${token(gateway)}`,
  effects: (gateway: string) => `effect.${token(gateway)}`,
};

export const anyCommits = 'engine.*.commits';
export const anyMember = 'engine.*.member';
export const anyPositions = 'engine.*.positions';

/** Prefix of reply inboxes. nats-server keeps it for itself as a *reply* address, so no client can redirect a reply here. */
export const replyPrefix = '_R_.';
export const newReplyInbox = () => `${replyPrefix}${randomUUID()}`;
/** Inboxes of requests to JetStream (acks, pulls). */
export const newInbox = () => `_INBOX.${randomUUID()}`;

/** What an integrator's commands begin with: `in.<integrator>`. */
export const commandsOf = (integrator: string) => `in.${integrator}`;

/** Prefix under which an integrator's account sees its two JetStream requests per stream; clients set it as API prefix. */
export const integratorApiPrefix = 'gridtick.js';
