/**
 * Start and stop. Every start gets a real transaction and every stop an answer, whatever is wrong with them; a resent one
 * gets the very same answer for as long as its session is kept.
 */
import type { ActorEvent, Decision, EntityAddress, PartitionView, Stored } from './actor.ts';
import { sessionAddress } from './addresses.ts';
import { blocksFor, meterEvent, sessionBlock, strayId, takeIn, type Blocks } from './charger_meter.ts';
import { connectorsMax, tagEntry, withConnector } from './charger_messages.ts';
import { answerTo, decidedOf, remember } from './decided.ts';
import type { DomainIndex } from './domain_index.ts';
import { plugged, released } from './load.ts';
import { chargerEvent, reply, type Outputs } from './machine.ts';
import { hash64 } from './sample_keys.ts';
import { pointsOf } from './samples.ts';
import type { EndedReply, SessionEndedBody, SessionStartedBody, StartedReply } from './schema/commands.ts';
import type {
  ChargerState,
  CounterState,
  DecidedState,
  SessionState,
  StrayState,
  TagEntryState,
} from './schema/entities.ts';
import type { SessionAdoptBody, SessionEndBody, SessionOpenBody } from './schema/internal.ts';
import { plausible } from './session_registers.ts';
import { tokenOf } from './tag.ts';

/** Transactions of one partition: 64 partitions share the positive int32 of OCPP 1.6. */
const transactionsPerPartition = 2 ** 25;
const counterId = 'transactions';

export interface Numbering {
  partition: number;
  next: number;
}

export const numbering = (view: PartitionView): Numbering => ({
  partition: view.partition,
  next: view.get<CounterState>('counter', counterId)?.context.next ?? 1,
});

export function number({ partition, next }: Numbering): { transaction: number; put: Outputs[number] } {
  if (next >= transactionsPerPartition) throw new RangeError(`partition ${partition} has used up its transaction ids`);
  return {
    transaction: partition * transactionsPerPartition + next,
    put: { type: 'put', params: { kind: 'counter', id: counterId, state: { next: next + 1 } } },
  };
}

export const sessionById = (view: PartitionView, id: string | number | undefined): SessionState | null => {
  const stored: Stored<SessionState> | undefined = id === undefined ? undefined : view.get('session', String(id));
  return stored?.context ?? null;
};

// --- start -------------------------------------------------------------------------------------------------------------

export interface StartFacts extends Numbering {
  /** The session this very message began. */
  known: SessionState | null;
  /** The open session of the connector. */
  open: SessionState | null;
  /** Sessions adopted from a stop whose start is missing. */
  adopted: SessionState[];
  entry: TagEntryState | null;
}

/** A charger with one connector may call it 0. */
const connectorOf = (charger: ChargerState | undefined, connector: number): number =>
  connector === 0 && charger?.connectors.length === 1 ? 1 : connector;

export function startFacts(view: PartitionView, id: string, body: SessionStartedBody): StartFacts {
  const index = view.index as DomainIndex;
  const charger = view.get<ChargerState>('charger', id)?.context;
  const open = charger?.connectors[connectorOf(charger, body.connector) - 1]?.transaction ?? 0;
  return {
    ...numbering(view),
    known: sessionById(view, index.sessionOfStart(id, body.key)),
    open: open === 0 ? null : sessionById(view, open),
    adopted: [...index.adoptedOf(id)]
      .map((session) => sessionById(view, session)!)
      .sort((a, b) => a.transaction - b.transaction),
    entry: tagEntry(view, body.tag),
  };
}

/** Whether the start belongs to a session that so far only has its stop. */
const completes = (session: SessionState, connector: number, body: SessionStartedBody, ratedW: number): boolean =>
  (session.connector === 0 || session.connector === connector) &&
  (session.tag === '' || session.tag === body.tag) &&
  body.at <= session.endAt! &&
  (body.meterStartWh ?? 0) <= session.meterStopWh! &&
  plausible(session.meterStopWh! - (body.meterStartWh ?? 0), session.endAt! - body.at, ratedW);

export function started(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<SessionStartedBody, StartFacts>,
): Decision<ChargerState> {
  if (facts.known) {
    const { transaction, tagStatus, tagExpiresAt, tagGroup } = facts.known;
    const answer = {
      transaction,
      token: { status: tagStatus, expiresAt: tagExpiresAt, group: tagGroup },
    } as StartedReply;
    return { outputs: [reply(answer)] };
  }
  const connector = connectorOf(charger, body.connector);
  const open: SessionOpenBody = {
    charger: self.id,
    station: charger.station,
    connector,
    tag: body.tag,
    // An offline start is judged by the time it happened.
    token: tokenOf(facts.entry, Math.min(body.at, now)),
    startKey: body.key,
    at: body.at,
    meterStartWh: body.meterStartWh ?? 0,
    flags: [],
    reference: '',
    remoteStartId: null,
  };
  if (body.clock) open.flags.push('clock');
  if (connector < 1 || connector > connectorsMax) open.flags.push('unknown_connector');
  const heard = { ...charger, lastHeardAt: now };

  const late = facts.adopted.find((session) => completes(session, connector, body, charger.ratedW));
  if (late) {
    return {
      context: heard,
      outputs: [
        reply({ transaction: late.transaction, token: open.token }),
        {
          type: 'send',
          params: { to: sessionAddress(self.key, late.transaction), type: 'session.merge', body: { ...open } },
        },
      ],
    };
  }

  const { transaction, put } = number(facts);
  const begun = begin(heard, self, transaction, { type: 'session.open', body: { ...open } }, open, facts.open, now);
  return { context: begun.charger, outputs: [reply({ transaction, token: open.token }), put, ...begun.outputs] };
}

/** A session takes its connector. There is one on each: the one that began later is the open one, it closes the other. */
export function begin(
  charger: ChargerState,
  self: EntityAddress,
  transaction: number,
  take: { type: 'session.open' | 'session.locate'; body: Record<string, unknown> },
  { connector, at, meterStartWh }: Pick<SessionOpenBody, 'connector' | 'at' | 'meterStartWh'>,
  other: SessionState | null,
  now: number,
): { charger: ChargerState; outputs: Outputs } {
  const outputs: Outputs = [];
  const send = (to: number, type: string, body: Record<string, unknown>) =>
    outputs.push({ type: 'send', params: { to: sessionAddress(self.key, to), type, body } });
  const overtaken = other !== null && at < other.startAt;
  if (other && !overtaken) send(other.transaction, 'session.supersede', { at });
  send(transaction, take.type, take.body);
  if (overtaken) {
    send(transaction, 'session.supersede', { at: other.startAt });
    return { charger, outputs };
  }
  const { ratedW } = charger;
  return {
    charger: withConnector(charger, connector, (c) => plugged(c, transaction, ratedW, meterStartWh, now)),
    outputs,
  };
}

// --- stop --------------------------------------------------------------------------------------------------------------

export interface StopFacts extends Numbering {
  session: SessionState | null;
  stray: (StrayState & { connector: number }) | null;
  entry: TagEntryState | null;
  decided: DecidedState;
  blocks: Blocks;
}

export function stopFacts(view: PartitionView, id: string, body: SessionEndedBody): StopFacts {
  const charger = view.get<ChargerState>('charger', id)?.context;
  const numbers = numbering(view);
  const session = stoppedSession(view, id, charger, body);
  const named = body.reference !== undefined;
  const stray = session || named || !charger ? null : strayOf(view, id, charger, body.transaction);
  const transaction = session?.transaction ?? number(numbers).transaction;
  return {
    ...numbers,
    session,
    stray,
    entry: body.tag === null ? null : tagEntry(view, body.tag),
    decided: decidedOf(view, id),
    blocks: blocksFor(view, body.samples, sessionBlock(transaction)),
  };
}

function stoppedSession(
  view: PartitionView,
  id: string,
  charger: ChargerState | undefined,
  body: SessionEndedBody,
): SessionState | null {
  const index = view.index as DomainIndex;
  if (body.reference !== undefined) return sessionById(view, index.sessionOfReference(id, body.reference));
  if (body.transaction > 0) {
    const session = sessionById(view, body.transaction);
    if (session?.charger === id) return session;
  }
  const known = sessionById(view, index.sessionOfStop(id, body.key));
  if (known || body.transaction > 0) return known;
  const open = (charger?.connectors ?? [])
    .map((connector) => (connector.transaction === 0 ? null : sessionById(view, connector.transaction)))
    .filter((session) => session !== null && session.startAt <= body.at) as SessionState[];
  return open.length === 1 ? open[0]! : closest(open, body);
}

/** Of several open sessions the one whose last register fits the stop and is closest to it in time. */
function closest(open: readonly SessionState[], body: SessionEndedBody): SessionState | null {
  let best: SessionState | null = null;
  const distance = (session: SessionState) => Math.abs(body.at - (session.lastSampleAt ?? session.startAt));
  for (const session of open) {
    if ((session.registerWh ?? session.meterStartWh) > body.meterStopWh!) continue;
    if (best === null || distance(session) < distance(best)) best = session;
  }
  return best;
}

function strayOf(view: PartitionView, id: string, charger: ChargerState, transaction: number): StopFacts['stray'] {
  for (let connector = 1; connector <= charger.connectors.length; connector++) {
    const stray = view.get<StrayState>('stray', strayId(id, connector))?.context;
    if (stray?.transaction === transaction) return { ...stray, connector };
  }
  return null;
}

/** All that a stop says: the raw time, because a repaired one differs at each delivery. */
const stopHash = (body: SessionEndedBody): string =>
  hash64(`${body.atRaw}|${body.meterStopWh}|${body.tag ?? ''}|${body.reason}`);

/** With OCPP 2.x the register is among the samples: the newest one. */
function withRegister(body: SessionEndedBody): SessionEndedBody {
  if (body.reference === undefined) return body;
  const newest = pointsOf(body.samples).findLast((point) => point.registerWh !== null);
  return { ...body, meterStopWh: newest?.registerWh ?? null };
}

export function ended(charger: ChargerState, event: ActorEvent<SessionEndedBody, StopFacts>): Decision<ChargerState> {
  const { self, now, facts } = event;
  const body = withRegister(event.body);
  const hash = stopHash(body);
  if (facts.session && facts.session.stopKey !== '')
    return stoppedTwice(charger, { ...event, body }, facts.session, hash);

  const token = body.tag === null ? null : tokenOf(facts.entry, Math.min(body.at, now));
  const { transaction, put } = facts.session ? { transaction: facts.session.transaction, put: null } : number(facts);
  // 0 is no connector of a session: nobody has told it, or it was the charger as a whole.
  const told = facts.session?.connector ?? facts.stray?.connector ?? 0;
  const connector = told || body.connector || (charger.connectors.length === 1 && !facts.session ? 1 : 0);
  const answer: EndedReply = { transaction, token };
  const outputs: Outputs = [reply(answer)];
  if (put) outputs.push(put);

  const { fresh, conflicts, puts } = takeIn(body.samples, facts.blocks, sessionBlock(transaction), Infinity, null);
  outputs.push(...puts);
  if (conflicts.length > 0) {
    outputs.push(
      chargerEvent(self.id, 'event', connector, conflicts[0]!.at, now, {
        reason: 'conflict',
        transaction,
        samples: conflicts,
      }),
    );
  }
  if (fresh.length > 0) outputs.push(meterEvent(charger, self.id, connector, transaction, now, fresh));

  const named = body.reference !== undefined;
  const flags = [
    ...(!named && body.transaction <= 0 ? ['repaired_id'] : []),
    ...(body.clock ? ['clock'] : []),
    ...(body.offline ? ['offline'] : []),
  ];
  const end: SessionEndBody = {
    at: body.at,
    meterStopWh: body.meterStopWh,
    reason: body.reason,
    stopKey: body.key,
    stopHash: hash,
    stopToken: token,
    points: pointsOf(fresh),
    samples: fresh.length,
    ratedW: charger.ratedW,
    flags,
  };
  if (facts.session) {
    const to = sessionAddress(self.key, transaction);
    if (named && told === 0 && connector !== 0)
      outputs.push({ type: 'send', params: { to, type: 'session.locate', body: { connector } } });
    outputs.push({ type: 'send', params: { to, type: 'session.end', body: { ...end } } });
  } else {
    const adopt: SessionAdoptBody = {
      ...end,
      charger: self.id,
      station: charger.station,
      connector,
      // The tag that stopped it may be another's than the one it began with, which may still be told.
      tag: named ? '' : (body.tag ?? ''),
      reference: body.reference ?? '',
      from: firstRegister(end, facts.stray, named ? body.at : Infinity),
    };
    outputs.push({
      type: 'send',
      params: { to: sessionAddress(self.key, transaction), type: 'session.adopt', body: { ...adopt } },
    });
    if (facts.stray)
      outputs.push({ type: 'drop', params: { kind: 'stray', id: strayId(self.id, facts.stray.connector) } });
  }

  const heard = { ...charger, lastHeardAt: now };
  const plugged = charger.connectors[connector - 1]?.transaction === transaction;
  return { context: plugged ? withConnector(heard, connector, (c) => released(c, now)) : heard, outputs };
}

/** Where the energy of an adopted session begins: the earliest register known of it from before `until`. */
function firstRegister(end: SessionEndBody, stray: StrayState | null, until: number): SessionAdoptBody['from'] {
  const point = end.points.find((p) => p.registerWh !== null && p.at < until);
  const from = point ? { at: point.at, registerWh: point.registerWh! } : null;
  if (stray && (from === null || stray.at < from.at)) return { at: stray.at, registerWh: stray.registerWh };
  return from;
}

/** The same stop gets the same answer; another one is kept for an operator and the first stands. */
function stoppedTwice(
  charger: ChargerState,
  { self, now, body, facts }: ActorEvent<SessionEndedBody, StopFacts>,
  session: SessionState,
  hash: string,
): Decision<ChargerState> {
  if (session.stopHash === hash) {
    return { outputs: [reply({ transaction: session.transaction, token: session.stopToken })] };
  }
  const key = `${body.key}/${hash}`;
  const known = answerTo(facts.decided, key);
  if (known !== undefined) return { outputs: [reply(known)] };
  const token = body.tag === null ? null : tokenOf(facts.entry, Math.min(body.at, now));
  const answer: EndedReply = { transaction: session.transaction, token };
  return {
    context: { ...charger, lastHeardAt: now },
    outputs: [
      reply(answer),
      remember(self.id, facts.decided, key, answer),
      chargerEvent(self.id, 'event', session.connector, body.at, now, {
        reason: 'disputed',
        transaction: session.transaction,
        meterStopWh: body.meterStopWh,
        endAt: body.at,
        stopReason: body.reason,
      }),
      {
        type: 'send',
        params: { to: sessionAddress(self.key, session.transaction), type: 'session.dispute', body: {} },
      },
    ],
  };
}
