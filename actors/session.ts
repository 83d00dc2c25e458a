/**
 * One transaction, start to stop, with its energy. The charger decides who it belongs to and sends the facts here in
 * their order; this machine keeps the account of registers and says when it started, ended and was settled anew.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide as act, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { customerAddress } from './addresses.ts';
import type { DomainIndex } from './domain_index.ts';
import { chargerEvent, withFlags, machineTypes, type Outputs } from './machine.ts';
import { CreditAnswered } from './schema/customer_internal.ts';
import { SessionState } from './schema/entities.ts';
import type { SessionEvent } from './schema/events.ts';
import {
  SessionAbandon,
  SessionAdopt,
  SessionDispute,
  SessionEnd,
  SessionIdentify,
  SessionLocate,
  SessionMerge,
  SessionOpen,
  SessionSampled,
  SessionSupersede,
  type SessionAdoptBody,
  type SessionEndBody,
  type SessionIdentifyBody,
  type SessionOpenBody,
  type SessionSampledBody,
} from './schema/internal.ts';
import { subject } from './schema/subjects.ts';
import {
  begunBilling,
  billDue,
  billingFacts,
  billRunning,
  billSettled,
  marked,
  shifted,
  type BillingFacts,
} from './session_billing.ts';
import { creditUnanswered, heardByCommands, sessionCommands } from './session_commands.ts';
import { begins, read, sampled, settled, startUnknown, stopped, type Refused } from './session_registers.ts';

/** Ended sessions are kept this long, so that resent messages are recognised. */
export const sessionKeptMs = 30 * 24 * 3_600_000;

const initial: SessionState = {
  site: '',
  station: '',
  charger: '',
  connector: 0,
  transaction: 0,
  tag: '',
  tagStatus: '',
  startKey: '',
  tagExpiresAt: null,
  tagGroup: null,
  startAt: 0,
  startedAt: 0,
  meterStartWh: 0,
  segmentsWh: 0,
  segmentFromWh: null,
  registerWh: null,
  registerAt: null,
  integralWMs: 0,
  samples: 0,
  powerW: null,
  registers: 0,
  lastSampleAt: null,
  intervalMs: 0,
  maxW: 0,
  endAt: null,
  endedAt: null,
  meterStopWh: null,
  energyWh: null,
  reason: '',
  stopKey: '',
  stopHash: '',
  stopToken: null,
  flags: [],
  version: 0,
  customer: null,
  periods: [],
  batches: 0,
  billedTo: 0,
  billedAt: 0,
  billDueAt: null,
  unassignedWh: 0,
  reference: '',
  remoteStartId: null,
  meterStartAt: null,
};

/** A command with what billing must know. */
type Billed<Body = Record<string, unknown>> = ActorEvent<Body, BillingFacts>;

function sessionEvent(s: SessionState, state: 'started' | 'ended', now: number): Outputs[number] {
  const payload: SessionEvent = {
    site: s.site,
    station: s.station,
    charger: s.charger,
    connector: s.connector,
    transaction: s.transaction,
    tag: s.tag,
    state,
    startAt: s.startAt,
    receivedAt: now,
    meterStartWh: s.meterStartWh,
    flags: s.flags,
    version: s.version,
  };
  if (state === 'ended') {
    payload.endAt = s.endAt!;
    payload.reason = s.reason;
    // A stop of OCPP 2.x need not carry a register: then the newest one stands for it.
    payload.meterStopWh = s.meterStopWh ?? s.registerWh ?? s.meterStartWh;
    if (s.energyWh !== null) payload.energyWh = s.energyWh;
  }
  return { type: 'emit', params: { kind: 'session', subject: subject.session(s.charger, s.transaction), payload } };
}

/** A register that cannot be believed goes where an operator finds it. */
const quarantined = (s: SessionState, refused: readonly Refused[], now: number): Outputs =>
  refused.map(({ at, registerWh, previousWh }) =>
    chargerEvent(s.charger, 'event', s.connector, at, now, {
      reason: 'implausible',
      transaction: s.transaction,
      registerWh,
      previousWh,
    }),
  );

/** Settles an ended session, for the first time or anew. */
function settle(
  s: SessionState,
  refused: readonly Refused[],
  { now, facts }: Pick<Billed, 'now' | 'facts'>,
): Decision<SessionState> {
  const account = s.reference === '' ? s : withStart(s);
  const total = { ...account, ...settled(account), version: s.version + 1 };
  const { session, outputs } = billSettled(total, s.version === 0, now, facts.partition);
  return {
    context: session,
    outputs: [
      ...quarantined(session, refused, now),
      ...outputs,
      { type: 'arm', params: { name: 'forget', dueAt: now + sessionKeptMs } },
      sessionEvent(session, 'ended', now),
    ],
  };
}

/** Whether the energy's beginning is known may change with every late word of a charger of OCPP 2.x. */
function withStart(s: SessionState): SessionState {
  if (s.flags.includes('unknown_start') === startUnknown(s)) return s;
  const others = s.flags.filter((flag) => flag !== 'unknown_start');
  return { ...s, flags: startUnknown(s) ? [...others, 'unknown_start'] : others };
}

const owned = (tag: string, token: SessionOpenBody['token']) => ({
  tag,
  tagStatus: token?.status ?? '',
  tagExpiresAt: token?.expiresAt ?? null,
  tagGroup: token?.group ?? null,
});

const unplaced = 'unknown_connector';

const begun = (s: SessionState, body: SessionOpenBody) => ({
  charger: body.charger,
  station: body.station,
  connector: body.connector,
  ...owned(body.tag, body.token),
  startKey: body.startKey,
  startAt: body.at,
  reference: body.reference,
  remoteStartId: body.remoteStartId,
  flags: withFlags(
    s.flags.filter((flag) => flag !== 'unknown_start' && flag !== unplaced),
    ...body.flags,
  ),
});

/** The register that the start told; none: the first one that is heard (R6). */
const register = ({ at, meterStartWh }: SessionOpenBody) =>
  meterStartWh === null
    ? {}
    : {
        meterStartWh,
        meterStartAt: at,
        segmentsWh: 0,
        segmentFromWh: meterStartWh,
        registerWh: meterStartWh,
        registerAt: at,
      };

/** Asks whoever pays, once it is known who. */
function holdOf({ customer, site, station, transaction, tag }: SessionState): Outputs {
  if (customer === null) return [];
  const body = { site, station, transaction, tag };
  return [{ type: 'send', params: { to: customerAddress(customer), type: 'credit.hold', body } }];
}

function open(s: SessionState, { self, now, body, facts }: Billed<SessionOpenBody>): Decision<SessionState> {
  const { key: site, id } = self;
  const started = { ...s, site, transaction: Number(id), ...begun(s, body), ...register(body), startedAt: now };
  const session = begunBilling(s, started, facts, now);
  return { context: session, outputs: [sessionEvent(session, 'started', now), ...holdOf(session)] };
}

/** While no register was known, no period could say with how much energy it began. */
const withoutGuesses = (s: SessionState): SessionState =>
  s.meterStartAt === null ? { ...s, periods: s.periods.filter(({ billedWh }) => billedWh !== 0) } : s;

/** What is known of a session after samples. Before its start is heard, the oldest of them is where it begins (R6). */
function measuredBy(s: SessionState, { now, body, facts }: Billed<SessionSampledBody>) {
  const { session, refused, marks } = sampled(s, body.points, body.samples, body.ratedW);
  const flagged = { ...session, flags: withFlags(session.flags, ...body.flags) };
  const firstAt = body.points[0]?.at ?? s.startAt;
  const earlier = s.reference !== '' && s.startKey === '' && firstAt < s.startAt;
  const known = earlier
    ? begunBilling(
        withoutGuesses(s),
        { ...flagged, startAt: firstAt },
        { ...facts, start: facts.prices[0] ?? null },
        now,
      )
    : shifted(s, flagged);
  return { measured: marked(known, body.points, marks, facts), refused };
}

function sample(s: SessionState, event: Billed<SessionSampledBody>): Decision<SessionState> {
  const { now, facts } = event;
  const { measured, refused } = measuredBy(s, event);
  const billing = billRunning(s, measured, now, facts.partition);
  return { context: billing.session, outputs: [...quarantined(s, refused, now), ...billing.outputs] };
}

/** Samples from before the end that come after it: the session is settled anew. */
function sampleLate(s: SessionState, event: Billed<SessionSampledBody>): Decision<SessionState> {
  const { measured, refused } = measuredBy(s, event);
  // Until a session that was closed without one has met its real stop, its last register stands for it.
  const meterStopWh = s.stopKey === '' ? measured.registerWh : s.meterStopWh;
  return settle({ ...measured, meterStopWh }, refused, event);
}

function end(s: SessionState, event: Billed<SessionEndBody>): Decision<SessionState> {
  const { now, body } = event;
  const flags = withFlags(s.flags, ...body.flags, ...(body.at < s.startAt ? ['clock'] : []));
  const before = sampled({ ...s, flags }, body.points, body.samples, body.ratedW);
  const measured = marked(shifted(s, before.session), body.points, before.marks, event.facts);
  const { session, refused } =
    body.meterStopWh === null
      ? { session: { ...measured, meterStopWh: null }, refused: [] }
      : stopped(measured, body.at, body.meterStopWh, body.ratedW);
  return settle(
    {
      ...session,
      endAt: Math.max(body.at, s.startAt),
      endedAt: s.endedAt ?? now,
      reason: body.reason,
      stopKey: body.stopKey,
      stopHash: body.stopHash,
      stopToken: body.stopToken,
    },
    [...before.refused, ...refused],
    event,
  );
}

/** A newer start on the connector: closed with its last sample, reopened by its real stop. */
function supersede(s: SessionState, event: Billed<Static<typeof SessionSupersede>>): Decision<SessionState> {
  const { now, body } = event;
  return settle(
    {
      ...s,
      endAt: Math.max(body.at, s.startAt),
      endedAt: now,
      meterStopWh: s.registerWh,
      reason: 'Superseded',
      flags: withFlags(s.flags, 'superseded'),
    },
    [],
    event,
  );
}

/** Nobody ends it, so an operator does: closed like a superseded one, but with the time of its last sample. */
function abandon(s: SessionState, event: Billed): Decision<SessionState> {
  return settle(
    {
      ...s,
      endAt: Math.max(s.lastSampleAt ?? s.startAt, s.startAt),
      endedAt: event.now,
      meterStopWh: s.registerWh,
      reason: 'Operator',
      flags: withFlags(s.flags, 'abandoned'),
    },
    [],
    event,
  );
}

/** A stop without a start. From an unknown start no energy follows, until its start comes late. */
function adopt(s: SessionState, event: Billed<SessionAdoptBody>): Decision<SessionState> {
  const { self, now, body, facts } = event;
  const stop = body.meterStopWh === null ? null : { at: body.at, registerWh: body.meterStopWh };
  const first = body.from ?? stop;
  const startAt = Math.min(first?.at ?? body.at, body.at);
  const adopted: SessionState = {
    ...s,
    site: self.key,
    transaction: Number(self.id),
    charger: body.charger,
    station: body.station,
    connector: body.connector,
    tag: body.tag,
    reference: body.reference,
    startAt,
    startedAt: now,
    meterStartWh: first?.registerWh ?? 0,
    meterStartAt: first?.at ?? null,
    segmentFromWh: first?.registerWh ?? null,
    registerWh: first?.registerWh ?? null,
    registerAt: first === null ? null : startAt,
    flags: withFlags(s.flags, 'adopted', ...(body.from === null ? ['unknown_start'] : [])),
  };
  return end(begunBilling(s, adopted, facts, now), event);
}

/** The start of an adopted session comes late: the same transaction, settled anew, never a second one. */
function merge(s: SessionState, event: Billed<SessionOpenBody>): Decision<SessionState> {
  const { now, body, facts } = event;
  if (s.reference !== '') return settle(completed(s, event), [], event);
  const started = begunBilling(s, { ...s, ...begun(s, body), ...register(body) }, facts, now);
  const { registers } = read(started, s.endAt!, s.meterStopWh!, Number.MAX_SAFE_INTEGER);
  return settle({ ...registers, flags: withFlags(registers.flags, 'late_start') }, [], event);
}

/** The start of a transaction of OCPP 2.x, heard after other events of it: what those said stays, it says where all began. */
function completed(s: SessionState, { now, body, facts }: Billed<SessionOpenBody>): SessionState {
  const connector = body.connector === 0 ? s.connector : body.connector;
  const identified = body.tag === '' || (s.tag !== '' && body.token?.status === 'Unknown');
  const owner = identified ? owned(s.tag, tokenOfStart(s)) : {};
  const told: SessionState = { ...s, ...begun(s, { ...body, connector }), ...owner };
  const account = body.meterStartWh === null ? told : begins(told, body.at, body.meterStartWh);
  return begunBilling(withoutGuesses(s), { ...account, flags: withFlags(account.flags, 'late_start') }, facts, now);
}

const tokenOfStart = (s: SessionState) =>
  ({ status: s.tagStatus, expiresAt: s.tagExpiresAt, group: s.tagGroup }) as SessionOpenBody['token'];

/** Who pays may become known by what is told late. */
function mergeRunning(s: SessionState, event: Billed<SessionOpenBody>): Decision<SessionState> {
  const session = completed(s, event);
  const hold = s.customer === null ? holdOf(session) : [];
  return { context: session, outputs: [sessionEvent(session, 'started', event.now), ...hold] };
}

const identified = (s: SessionState, { now, body, facts }: Billed<SessionIdentifyBody>): SessionState =>
  begunBilling(s, { ...s, ...owned(body.tag, body.token) }, facts, now);

function identify(s: SessionState, event: Billed<SessionIdentifyBody>): Decision<SessionState> {
  const session = identified(s, event);
  return { context: session, outputs: [sessionEvent(session, 'started', event.now), ...holdOf(session)] };
}

const identifyLate = (s: SessionState, event: Billed<SessionIdentifyBody>): Decision<SessionState> =>
  settle(identified(s, event), [], event);

const locate = (s: SessionState, { now, body }: Billed<Static<typeof SessionLocate>>): Decision<SessionState> => {
  const session = { ...s, connector: body.connector, flags: s.flags.filter((flag) => flag !== unplaced) };
  return { context: session, outputs: s.endAt === null ? [sessionEvent(session, 'started', now)] : [] };
};

const dispute = (s: SessionState, event: Billed): Decision<SessionState> =>
  s.flags.includes('disputed') ? {} : settle({ ...s, flags: withFlags(s.flags, 'disputed') }, [], event);

/** Whoever pays has no money for it: energy that flows all the same is billed as metered. */
const isNews = (s: SessionState, granted: boolean) => !granted && !s.flags.includes('unfunded');
const answered = (s: SessionState, { body }: Billed<Static<typeof CreditAnswered>>): Decision<SessionState> =>
  isNews(s, body.granted) ? { context: { ...s, flags: withFlags(s.flags, 'unfunded') } } : {};
const answeredLate = (s: SessionState, event: Billed<Static<typeof CreditAnswered>>): Decision<SessionState> =>
  isNews(s, event.body.granted) ? settle({ ...s, flags: withFlags(s.flags, 'unfunded') }, [], event) : {};

function billOnTime(s: SessionState, { now, facts }: Billed): Decision<SessionState> {
  const { session, outputs } = billDue(s, now, facts.partition);
  return { context: session, outputs };
}

function forget(
  _s: SessionState,
  { self, facts }: ActorEvent<Record<string, unknown>, { blocks: string[] }>,
): Decision<SessionState> {
  const outputs: Outputs = facts.blocks.map((id) => ({ type: 'drop', params: { kind: 'sample_keys', id } }));
  outputs.push({ type: 'drop', params: { kind: 'session', id: self.id } });
  return { outputs };
}

/** Power of the newest sample that a message brings; null when it says nothing of the present. */
function powerNow(s: SessionState, event: ActorEvent): number | null {
  const { points } = (event as ActorEvent<SessionSampledBody>).body;
  for (let i = points.length - 1; i >= 0; i--) {
    const point = points[i]!;
    if (s.lastSampleAt !== null && point.at < s.lastSampleAt) return null;
    if (point.powerW !== null) return point.powerW;
  }
  return null;
}

/** Whatever changes a session, commands that wait for it hear of it. */
const decide = <Body, Facts>(rule: (s: SessionState, event: ActorEvent<Body, Facts>) => Decision<SessionState>) =>
  act(heardByCommands(rule) as (s: SessionState, event: ActorEvent) => Decision<SessionState>);

const running = {
  'session.sampled': [
    {
      guard: ({ context, event }: { context: SessionState; event: ActorEvent }) =>
        (powerNow(context, event) ?? 0) !== 0,
      target: 'energising',
      actions: decide(sample),
    },
    {
      guard: ({ context, event }: { context: SessionState; event: ActorEvent }) => powerNow(context, event) === 0,
      target: 'suspended',
      actions: decide(sample),
    },
    { actions: decide(sample) },
  ],
  'session.merge': { actions: decide(mergeRunning) },
  'session.identify': { actions: decide(identify) },
  'session.locate': { actions: decide(locate) },
  'session.end': { target: 'ended', actions: decide(end) },
  'session.supersede': { target: 'ended', actions: decide(supersede) },
  'session.abandon': { target: 'ended', actions: decide(abandon) },
  'credit.answered': { actions: decide(answered) },
  'timer.bill': { actions: decide(billOnTime) },
  'timer.credit': { actions: decide(creditUnanswered) },
};

export const sessionMachine = setup({ types: machineTypes<SessionState>() }).createMachine({
  id: 'session',
  initial: 'absent',
  context: initial,
  states: {
    absent: {
      on: {
        'session.open': { target: 'started', actions: decide(open) },
        'session.adopt': { target: 'ended', actions: decide(adopt) },
      },
    },
    started: { on: running },
    energising: { on: running },
    suspended: { on: running },
    ended: {
      on: {
        'session.sampled': { actions: decide(sampleLate) },
        'session.end': { guard: ({ context }) => context.stopKey === '', actions: decide(end) },
        'session.merge': { guard: ({ context }) => context.startKey === '', actions: decide(merge) },
        'session.identify': { actions: decide(identifyLate) },
        'session.locate': { actions: decide(locate) },
        'session.dispute': { actions: decide(dispute) },
        'credit.answered': { actions: decide(answeredLate) },
        'timer.forget': { actions: act(forget) },
      },
    },
  },
});

export const session: ActorDefinition = {
  kind: 'session',
  version: 3,
  machine: sessionMachine,
  context: SessionState,
  commands: {
    'session.open': SessionOpen,
    'session.adopt': SessionAdopt,
    'session.merge': SessionMerge,
    'session.identify': SessionIdentify,
    'session.locate': SessionLocate,
    'session.sampled': SessionSampled,
    'session.end': SessionEnd,
    'session.supersede': SessionSupersede,
    'session.dispute': SessionDispute,
    'session.abandon': SessionAbandon,
    'credit.answered': CreditAnswered,
  },
  timers: ['forget', 'bill', 'credit'],
  creates: ['session.open', 'session.adopt'],
  facts: (view, self, type, body) =>
    type === 'timer.forget'
      ? { blocks: [...(view.index as DomainIndex).blocksOf(self.id)].sort() }
      : { ...billingFacts(view, self.id, body), ...sessionCommands(view, self.id, body) },
  // Sessions from before had no customers: their energy is unassigned once they end.
  migrate: {
    1: (before) => ({
      ...before,
      customer: null,
      periods: [],
      batches: 0,
      billedTo: 0,
      billedAt: 0,
      billDueAt: null,
      unassignedWh: 0,
    }),
    2: (before) => ({ ...before, reference: '', remoteStartId: null, meterStartAt: before['startAt'] }),
  },
};
