/**
 * Transactions that the charger names itself (OCPP 2.x). Their events come in any order and again and again; none is ever
 * refused, because what it tells has happened.
 *
 * X1 A session is found by the charger's own id. Whichever event is heard first begins it; its start, heard later, says
 *    where it really began, and its end adopts it when nothing else was heard.
 * X2 Who pays: the tag of the start, else of the first event that authorises; whoever was found first stays it. The tag that
 *    stops is only answered.
 * X3 Nothing reopens what has ended: samples up to the end settle it anew, later ones go to quarantine.
 * X4 Samples are known by their own keys, so an event that comes twice, under another message id or over another socket,
 *    brings nothing new; its token gets the answer it got.
 */
import type { ActorEvent, Decision, PartitionView } from './actor.ts';
import { sessionAddress } from './addresses.ts';
import { blocksFor, meterEvent, powered, sessionBlock, takeIn, withPower, type Blocks } from './charger_meter.ts';
import { tagEntry, withConnector } from './charger_messages.ts';
import { begin, numbering, number, sessionById, type Numbering } from './charger_sessions.ts';
import { answerTo, decidedOf, remember, rememberAndSaw, saw } from './decided.ts';
import type { DomainIndex } from './domain_index.ts';
import { stated } from './load.ts';
import { chargerEvent, reply, type Outputs } from './machine.ts';
import { pointsOf } from './samples.ts';
import type { SessionProgressBody, SessionStartedBody, StartedReply, TokenReply } from './schema/commands.ts';
import type { ChargerState, DecidedState, SessionState, TagEntryState } from './schema/entities.ts';
import type { SessionOpenBody } from './schema/internal.ts';
import { isIdentified } from './session_billing.ts';
import { tokenOf } from './tag.ts';

export interface TransactionFacts extends Numbering {
  session: SessionState | null;
  /** Where it is as far as this event and those before it tell; 0: nobody has said. */
  connector: number;
  /** The other open session of that connector. */
  other: SessionState | null;
  entry: TagEntryState | null;
  decided: DecidedState;
  blocks: Blocks;
}

export const sessionOfReference = (view: PartitionView, charger: string, reference: string): SessionState | null =>
  sessionById(view, (view.index as DomainIndex).sessionOfReference(charger, reference));

/** Only the first event need name its EVSE; a charger with one needs no name for it. */
export const placeOf = (charger: ChargerState | undefined, session: SessionState | null, connector: number): number =>
  session?.connector || connector || (charger?.connectors.length === 1 ? 1 : 0);

type ToldBody = SessionStartedBody | SessionProgressBody;

export function transactionFacts(view: PartitionView, id: string, body: ToldBody): TransactionFacts {
  const charger = view.get<ChargerState>('charger', id)?.context;
  const numbers = numbering(view);
  const session = sessionOfReference(view, id, body.reference!);
  const connector = placeOf(charger, session, body.connector);
  const transaction = session?.transaction ?? number(numbers).transaction;
  const open = charger?.connectors[connector - 1]?.transaction ?? 0;
  return {
    ...numbers,
    session,
    connector,
    other: open === 0 || open === transaction ? null : sessionById(view, open),
    entry: body.tag === '' ? null : tagEntry(view, body.tag),
    decided: decidedOf(view, id),
    blocks: blocksFor(view, body.samples ?? [], sessionBlock(transaction)),
  };
}

/** Tokens that come with these end a transaction, they do not authorise it. */
const stopping: ReadonlySet<string> = new Set(['StopAuthorized', 'Deauthorized']);
/** What is kept of events that bring neither samples nor tokens, by their trigger. */
const notable: Readonly<Record<string, string>> = {
  ChargingStateChanged: 'charging_state',
  Deauthorized: 'deauthorized',
};

const isStart = (body: ToldBody): body is SessionStartedBody => 'meterStartWh' in body;

type Told = ActorEvent<ToldBody, TransactionFacts>;

/** What the start tells of a session, or any other event that is the first to be heard. */
function openingOf(charger: ChargerState, { self, body, facts }: Told, token: TokenReply | null): SessionOpenBody {
  const start = isStart(body);
  const named = start ? body.tag !== '' : authorises(body, facts.entry);
  const flags = [
    ...(body.clock ? ['clock'] : []),
    ...(body.offline ? ['offline'] : []),
    ...(facts.connector === 0 ? ['unknown_connector'] : []),
  ];
  return {
    charger: self.id,
    station: charger.station,
    connector: facts.connector,
    tag: named ? body.tag : '',
    token: named ? token : null,
    startKey: start ? body.key : '',
    at: body.at,
    meterStartWh: start ? (pointsOf(body.samples ?? []).find((p) => p.registerWh !== null)?.registerWh ?? null) : null,
    flags,
    reference: body.reference!,
    remoteStartId: (start ? body.remoteStartId : null) ?? null,
  };
}

const authorises = ({ tag, trigger = '' }: ToldBody, entry: TagEntryState | null): boolean =>
  tag !== '' && entry !== null && !stopping.has(trigger);

/** The answer to its token: what was said before, if it is still known (X4). */
function tokenFor({ body, facts: { session, decided, entry }, now }: Told): TokenReply | null {
  if (body.tag === '') return null;
  if (isStart(body) && session?.startKey === body.key) {
    const { tagStatus, tagExpiresAt, tagGroup } = session;
    return { status: tagStatus, expiresAt: tagExpiresAt, group: tagGroup } as TokenReply;
  }
  const known = answerTo(decided, body.key) as StartedReply | undefined;
  return known === undefined ? tokenOf(entry, Math.min(body.at, now)) : known.token;
}

/** A start or an event in between (X1–X4). */
export function transactionTold(charger: ChargerState, event: Told): Decision<ChargerState> {
  const { self, now, body, facts } = event;
  const { session } = facts;
  const { transaction, put } = session ? { transaction: session.transaction, put: null } : number(facts);
  const token = tokenFor(event);
  const answer: StartedReply = { transaction, token };
  const outputs: Outputs = [];
  const send = (type: string, sent: Record<string, unknown>) =>
    outputs.push({ type: 'send', params: { to: sessionAddress(self.key, transaction), type, body: sent } });
  let next: ChargerState = { ...charger, lastHeardAt: now };

  const opening = openingOf(charger, event, token);
  const place = { connector: opening.connector, at: opening.at, meterStartWh: opening.meterStartWh };
  if (session === null) {
    const begun = begin(
      next,
      self,
      transaction,
      { type: 'session.open', body: { ...opening } },
      place,
      facts.other,
      now,
    );
    next = begun.charger;
    outputs.push(put!, ...begun.outputs);
  } else {
    if (session.connector === 0 && facts.connector !== 0) {
      const locate = { type: 'session.locate' as const, body: { connector: facts.connector } };
      if (session.endAt !== null) send(locate.type, locate.body);
      else {
        const from = { ...place, at: Math.min(place.at, session.startAt), meterStartWh: session.registerWh };
        const located = begin(next, self, transaction, locate, from, facts.other, now);
        next = located.charger;
        outputs.push(...located.outputs);
      }
    }
    if (isStart(body) && session.startKey === '') send('session.merge', { ...opening });
    else if (!isIdentified(session) && authorises(body, facts.entry))
      send('session.identify', { tag: body.tag, token, at: session.startAt });
  }

  next = withSamples(next, event, transaction, opening, outputs);
  const flowing = withState(next, event, transaction);
  const isStated = flowing !== next;
  next = flowing;
  outputs.push(...notes(event, transaction, answer));
  if (outputs.length === 0 && !isStated) return { outputs: [reply(answer)] };
  return { context: next, outputs: [reply(answer), ...outputs] };
}

/** Takes its samples in; `outputs` gets what comes of them. */
function withSamples(
  charger: ChargerState,
  { self, now, body, facts }: Told,
  transaction: number,
  opening: SessionOpenBody,
  outputs: Outputs,
): ChargerState {
  const { session, connector } = facts;
  const endAt = session?.endAt ?? null;
  const knownUntil = session && endAt === null ? (session.lastSampleAt ?? 0) : Infinity;
  const all = body.samples ?? [];
  const { fresh, late, conflicts, puts } = takeIn(all, facts.blocks, sessionBlock(transaction), knownUntil, endAt);
  outputs.push(...puts);
  for (const [reason, samples] of [['late_value', late] as const, ['conflict', conflicts] as const]) {
    if (samples.length > 0)
      outputs.push(chargerEvent(self.id, 'event', connector, samples[0]!.at, now, { reason, transaction, samples }));
  }
  if (fresh.length === 0) return charger;

  outputs.push(meterEvent(charger, self.id, connector, transaction, now, fresh));
  const before = {
    transaction,
    connector,
    lastSampleAt: session?.lastSampleAt ?? null,
    intervalMs: session?.intervalMs ?? 0,
    maxW: session?.maxW ?? 0,
    powerW: session?.powerW ?? null,
    registerWh: session ? session.registerWh : opening.meterStartWh,
    registerAt: session ? session.registerAt : opening.at,
  };
  const points = endAt === null ? withPower(before, pointsOf(fresh), charger.ratedW) : pointsOf(fresh);
  outputs.push({
    type: 'send',
    params: {
      to: sessionAddress(self.key, transaction),
      type: 'session.sampled',
      body: { points, samples: fresh.length, ratedW: charger.ratedW, flags: body.offline ? ['offline'] : [] },
    },
  });
  return powered(charger, before, points, now);
}

/** Where no sample tells it, the charging state says whether power flows; of an event from the past it says nothing. */
function withState(charger: ChargerState, { now, body, facts }: Told, transaction: number): ChargerState {
  const { chargingState = '' } = body;
  const { session, connector } = facts;
  const known = charger.connectors[connector - 1];
  if (chargingState === '' || known?.transaction !== transaction) return charger;
  if (body.at < (session?.lastSampleAt ?? session?.startAt ?? body.at)) return charger;
  if (pointsOf(body.samples ?? []).some((point) => point.powerW !== null)) return charger;
  const silentW = session?.maxW || charger.ratedW;
  const after = stated(known, chargingState === 'Charging', silentW, session?.intervalMs ?? 0, now);
  return after === known ? charger : withConnector({ ...charger, lastHeardAt: now }, connector, () => after);
}

/** Events for the charger's history, and what must be remembered to know the message again. */
function notes({ self, now, body, facts }: Told, transaction: number, answer: StartedReply): Outputs {
  const { session, decided, connector } = facts;
  const outputs: Outputs = [];
  const event = (detail: Record<string, unknown>) =>
    outputs.push(chargerEvent(self.id, 'event', connector, body.at, now, { ...detail, transaction }));
  if (!decided.seen.includes(body.key)) {
    const { reference, tag, trigger = '' } = body;
    const reason = isStart(body) ? undefined : notable[trigger];
    if (reason) event({ reason, chargingState: body.chargingState ?? '', trigger });
    // A second start that says something else: the first stands.
    if (isStart(body) && session && session.startKey !== '' && session.startKey !== body.key)
      event({ reason: 'conflict', reference, tag, startAt: body.at });
  }
  const isNews = outputs.length > 0;
  const decides = answer.token !== null && !isStart(body) && answerTo(decided, body.key) === undefined;
  if (isNews && decides) outputs.push(rememberAndSaw(self.id, decided, body.key, answer));
  else if (decides) outputs.push(remember(self.id, decided, body.key, answer));
  else if (isNews) outputs.push(saw(self.id, decided, body.key));
  return outputs;
}
