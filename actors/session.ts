/**
 * One transaction, start to stop, with its energy. The charger decides who it belongs to and sends the facts here in
 * their order; this machine keeps the account of registers and says when it started, ended and was settled anew.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
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
  SessionMerge,
  SessionOpen,
  SessionSampled,
  SessionSupersede,
  type SessionAdoptBody,
  type SessionEndBody,
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
  type BillingFacts,
} from './session_billing.ts';
import { read, sampled, settled, stopped, type Refused } from './session_registers.ts';

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
    if (s.meterStopWh !== null) payload.meterStopWh = s.meterStopWh;
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
  const total = { ...s, ...settled(s), version: s.version + 1 };
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

const begun = (s: SessionState, body: SessionOpenBody) => ({
  charger: body.charger,
  station: body.station,
  connector: body.connector,
  tag: body.tag,
  tagStatus: body.token.status,
  tagExpiresAt: body.token.expiresAt,
  tagGroup: body.token.group,
  startKey: body.startKey,
  startAt: body.at,
  meterStartWh: body.meterStartWh,
  segmentsWh: 0,
  segmentFromWh: body.meterStartWh,
  registerWh: body.meterStartWh,
  registerAt: body.at,
  flags: withFlags(
    s.flags.filter((flag) => flag !== 'unknown_start'),
    ...body.flags,
  ),
});

function open(s: SessionState, { self, now, body, facts }: Billed<SessionOpenBody>): Decision<SessionState> {
  const started = { ...s, site: self.key, transaction: Number(self.id), ...begun(s, body), startedAt: now };
  const session = begunBilling(s, started, facts, now);
  const outputs: Outputs = [sessionEvent(session, 'started', now)];
  if (session.customer !== null) {
    const { site, station, transaction, tag } = session;
    outputs.push({
      type: 'send',
      params: {
        to: customerAddress(session.customer),
        type: 'credit.hold',
        body: { site, station, transaction, tag },
      },
    });
  }
  return { context: session, outputs };
}

function sample(s: SessionState, { now, body, facts }: Billed<SessionSampledBody>): Decision<SessionState> {
  const { session, refused, marks } = sampled(s, body.points, body.samples, body.ratedW);
  const measured = marked({ ...session, flags: withFlags(session.flags, ...body.flags) }, body.points, marks, facts);
  const billing = billRunning(s, measured, now, facts.partition);
  return { context: billing.session, outputs: [...quarantined(s, refused, now), ...billing.outputs] };
}

/** Samples from before the end that come after it: the session is settled anew. */
function sampleLate(s: SessionState, event: Billed<SessionSampledBody>): Decision<SessionState> {
  const { body } = event;
  const { session, refused, marks } = sampled(s, body.points, body.samples, body.ratedW);
  // Until a session that was closed without one has met its real stop, its last register stands for it.
  const meterStopWh = s.stopKey === '' ? session.registerWh : s.meterStopWh;
  const settledAnew = { ...session, meterStopWh, flags: withFlags(session.flags, ...body.flags) };
  return settle(marked(settledAnew, body.points, marks, event.facts), refused, event);
}

function end(s: SessionState, event: Billed<SessionEndBody>): Decision<SessionState> {
  const { now, body } = event;
  const flags = withFlags(s.flags, ...body.flags, ...(body.at < s.startAt ? ['clock'] : []));
  const before = sampled({ ...s, flags }, body.points, body.samples, body.ratedW);
  const measured = marked(before.session, body.points, before.marks, event.facts);
  const { session, refused } = stopped(measured, body.at, body.meterStopWh, body.ratedW);
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
  const first = body.from ?? { at: body.at, registerWh: body.meterStopWh };
  const adopted: SessionState = {
    ...s,
    site: self.key,
    transaction: Number(self.id),
    charger: body.charger,
    station: body.station,
    connector: body.connector,
    tag: body.tag,
    startAt: Math.min(first.at, body.at),
    startedAt: now,
    meterStartWh: first.registerWh,
    segmentFromWh: first.registerWh,
    registerWh: first.registerWh,
    registerAt: Math.min(first.at, body.at),
    flags: withFlags(s.flags, 'adopted', ...(body.from === null ? ['unknown_start'] : [])),
  };
  return end(begunBilling(s, adopted, facts, now), event);
}

/** The start of an adopted session comes late: the same transaction, settled anew, never a second one. */
function merge(s: SessionState, event: Billed<SessionOpenBody>): Decision<SessionState> {
  const { now, body, facts } = event;
  const started = begunBilling(s, { ...s, ...begun(s, body) }, facts, now);
  const { registers } = read(started, s.endAt!, s.meterStopWh!, Number.MAX_SAFE_INTEGER);
  return settle({ ...registers, flags: withFlags(registers.flags, 'late_start') }, [], event);
}

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
  'session.end': { target: 'ended', actions: decide(end) },
  'session.supersede': { target: 'ended', actions: decide(supersede) },
  'session.abandon': { target: 'ended', actions: decide(abandon) },
  'credit.answered': { actions: decide(answered) },
  'timer.bill': { actions: decide(billOnTime) },
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
        'session.dispute': { actions: decide(dispute) },
        'credit.answered': { actions: decide(answeredLate) },
        'timer.forget': { actions: decide(forget) },
      },
    },
  },
});

export const session: ActorDefinition = {
  kind: 'session',
  version: 2,
  machine: sessionMachine,
  context: SessionState,
  commands: {
    'session.open': SessionOpen,
    'session.adopt': SessionAdopt,
    'session.merge': SessionMerge,
    'session.sampled': SessionSampled,
    'session.end': SessionEnd,
    'session.supersede': SessionSupersede,
    'session.dispute': SessionDispute,
    'session.abandon': SessionAbandon,
    'credit.answered': CreditAnswered,
  },
  timers: ['forget', 'bill'],
  creates: ['session.open', 'session.adopt'],
  facts: (view, self, type, body) =>
    type === 'timer.forget'
      ? { blocks: [...(view.index as DomainIndex).blocksOf(self.id)].sort() }
      : billingFacts(view, self.id, body),
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
  },
};
