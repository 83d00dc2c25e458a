/**
 * One transaction, start to stop, with its energy. The charger decides who it belongs to and sends the facts here in
 * their order; this machine keeps the account of registers and says when it started, ended and was settled anew.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import type { DomainIndex } from './domain_index.ts';
import { chargerEvent, withFlags, machineTypes, type Outputs } from './machine.ts';
import { SessionState } from './schema/entities.ts';
import type { SessionEvent } from './schema/events.ts';
import {
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
};

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
function settle(s: SessionState, refused: readonly Refused[], now: number): Decision<SessionState> {
  const session = { ...s, ...settled(s), version: s.version + 1 };
  return {
    context: session,
    outputs: [
      ...quarantined(session, refused, now),
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

function open(s: SessionState, { self, now, body }: ActorEvent<SessionOpenBody>): Decision<SessionState> {
  const session: SessionState = {
    ...s,
    site: self.key,
    transaction: Number(self.id),
    ...begun(s, body),
    startedAt: now,
  };
  return { context: session, outputs: [sessionEvent(session, 'started', now)] };
}

function sample(s: SessionState, { now, body }: ActorEvent<SessionSampledBody>): Decision<SessionState> {
  const { session, refused } = sampled(s, body.points, body.samples, body.ratedW);
  return {
    context: { ...session, flags: withFlags(session.flags, ...body.flags) },
    outputs: quarantined(s, refused, now),
  };
}

/** Samples from before the end that come after it: the session is settled anew. */
function sampleLate(s: SessionState, { now, body }: ActorEvent<SessionSampledBody>): Decision<SessionState> {
  const { session, refused } = sampled(s, body.points, body.samples, body.ratedW);
  // Until a superseded session has met its real stop, its last register stands for it.
  const meterStopWh = s.stopKey === '' ? session.registerWh : s.meterStopWh;
  return settle({ ...session, meterStopWh, flags: withFlags(session.flags, ...body.flags) }, refused, now);
}

function end(s: SessionState, { now, body }: ActorEvent<SessionEndBody>): Decision<SessionState> {
  const flags = withFlags(s.flags, ...body.flags, ...(body.at < s.startAt ? ['clock'] : []));
  const before = sampled({ ...s, flags }, body.points, body.samples, body.ratedW);
  const { session, refused } = stopped(before.session, body.at, body.meterStopWh, body.ratedW);
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
    now,
  );
}

/** A newer start on the connector: closed with its last sample, reopened by its real stop. */
function supersede(
  s: SessionState,
  { now, body }: ActorEvent<Static<typeof SessionSupersede>>,
): Decision<SessionState> {
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
    now,
  );
}

/** A stop without a start. From an unknown start no energy follows, until its start comes late. */
function adopt(s: SessionState, { self, now, body }: ActorEvent<SessionAdoptBody>): Decision<SessionState> {
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
  return end(adopted, { type: 'session.end', now, self, body, facts: null });
}

/** The start of an adopted session comes late: the same transaction, settled anew, never a second one. */
function merge(s: SessionState, { now, body }: ActorEvent<SessionOpenBody>): Decision<SessionState> {
  const started: SessionState = { ...s, ...begun(s, body) };
  const { registers } = read(started, s.endAt!, s.meterStopWh!, Number.MAX_SAFE_INTEGER);
  return settle({ ...registers, flags: withFlags(registers.flags, 'late_start') }, [], now);
}

const dispute = (s: SessionState, { now }: ActorEvent): Decision<SessionState> =>
  s.flags.includes('disputed') ? {} : settle({ ...s, flags: withFlags(s.flags, 'disputed') }, [], now);

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
        'timer.forget': { actions: decide(forget) },
      },
    },
  },
});

export const session: ActorDefinition = {
  kind: 'session',
  version: 1,
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
  },
  timers: ['forget'],
  creates: ['session.open', 'session.adopt'],
  facts: (view, self, type) =>
    type === 'timer.forget' ? { blocks: [...(view.index as DomainIndex).blocksOf(self.id)].sort() } : null,
};
