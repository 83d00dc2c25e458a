/** Its turn on the wire and its deadlines; what others do to a command: cancel, supersede, observe its effect. */
import type { ActorEvent, Decision, PartitionView } from './actor.ts';
import { lost, resultOf } from './device_command_answers.ts';
import {
  argumentsOf,
  attemptsMax,
  commandView,
  deliverMs,
  graceMs,
  isOpen,
  kindOf,
  ruleOf,
  writeMs,
} from './device_command_rules.ts';
import { arm, disarm, end, move, stay, type Step } from './device_command_step.ts';
import { reply, type Outputs } from './machine.ts';
import type {
  CommandReleaseBody,
  CommandSeveredBody,
  CommandWrite,
  DeviceCommandState,
  DeviceCommandValue,
} from './schema/device_commands.ts';
import type { SessionState } from './schema/entities.ts';

type Told = ActorEvent<unknown, unknown>;

// --- to the gateway ------------------------------------------------------------------------------------------------------

export interface WriteFacts {
  /** See {@link CommandWrite}. */
  transactionId: string | null;
}

export function writeFacts(view: PartitionView, command: DeviceCommandState | undefined): WriteFacts {
  const stop = command && argumentsOf(command, 'session.requestStop');
  if (!stop) return { transactionId: null };
  const session = view.get<SessionState>('session', String(stop.transaction))?.context;
  return { transactionId: session?.reference || null };
}

/** Delivered twice it is written once: the gateway knows the command and its release. */
function write({ self }: Pick<Told, 'self'>, c: DeviceCommandState, { transactionId }: WriteFacts): Outputs[number] {
  const { call, release, gateway, connection, connectionSeq, releasedAt } = c.call!;
  const body: CommandWrite = {
    site: self.key,
    charger: c.charger,
    connection,
    connectionSeq,
    command: self.id,
    call,
    release,
    kind: kindOf(c),
    arguments: c.arguments as Record<string, unknown>,
    expiresAt: call === 'act' ? Math.min(c.expiresAt, releasedAt + writeMs) : releasedAt + writeMs,
    answerMs: ruleOf(c).answerMs,
    transactionId,
  };
  return {
    type: 'effect',
    params: { id: `command/${self.id}/${release}`, target: gateway, kind: 'command.write', body: { ...body } },
  };
}

export function release(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<CommandReleaseBody, WriteFacts>,
): Step {
  const { now, body, facts } = event;
  if (c.call !== null || (from === 'answered' && !c.reads)) return stay(from);
  const call = from === 'answered' ? 'read' : 'act';
  const sent: DeviceCommandState = {
    ...c,
    sentAt: c.sentAt ?? now,
    releases: c.releases + 1,
    connectionSeq: body.connectionSeq,
    reads: false,
    call: { ...body, call, release: c.releases + 1, releasedAt: now, written: false },
  };
  return move(event, [from, call === 'act' ? 'sent' : from], c, sent, [
    ...(call === 'act' ? disarm('expire') : []),
    write(event, sent, facts),
    arm('deliver', now + deliverMs),
    arm('answer', now + writeMs + graceMs),
  ]);
}

/** The effect may have got lost with the engine that let it go, before the gateway heard of it. */
export function deliver(from: DeviceCommandValue, c: DeviceCommandState, event: ActorEvent<unknown, WriteFacts>): Step {
  if (c.call === null || c.call.written) return stay(from);
  const again = event.now + Math.max(deliverMs, event.now - c.call.releasedAt);
  return { to: from, outputs: [write(event, c, event.facts), arm('deliver', again)] };
}

/** The connection is gone with the CALL. What was surely not written waits for the next one. */
export function severed(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<CommandSeveredBody, unknown>,
): Step {
  const { call } = c;
  if (call === null || call.connectionSeq > event.body.connectionSeq) return stay(from);
  if (call.call === 'read' && from === 'answered')
    return move(event, [from, from], c, { ...c, call: null, reads: true });
  if (from !== 'sent') return move(event, [from, from], c, { ...c, call: null });
  if (call.written || !event.body.certain)
    return requeueable(c, call.written) ? requeue(from, c, event, 1) : lost(from, c, event);
  return requeue(from, c, event, 0);
}

/** Twice is no more than once: the next connection gets it at once, if attempts are left. */
const requeueable = (c: DeviceCommandState, counted: boolean): boolean =>
  ruleOf(c).repeatable && c.attempts + (counted ? 0 : 1) < attemptsMax;

/** Back into the queue; `maybe` 1: it may have been written, and counts as an attempt. */
function requeue(from: DeviceCommandValue, c: DeviceCommandState, event: Told, maybe: 0 | 1): Step {
  const counted = c.call !== null && !c.call.written ? maybe : 0;
  const waiting = { ...c, attempts: c.attempts + counted, call: null };
  return move(event, [from, 'queued'], c, waiting, [
    ...disarm('effect', 'retry'),
    arm('expire', Math.max(event.now, c.expiresAt + 1)),
  ]);
}

// --- its deadlines -------------------------------------------------------------------------------------------------------

export const expire = (from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step =>
  c.attempts === 0 ? end(event, from, 'expired', c, c) : end(event, from, 'failed', c, c, 'no_answer');

export function retry(from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step {
  if (from === 'answered') return move(event, [from, from], c, { ...c, reads: true });
  return event.now > c.expiresAt ? stay(from) : requeue(from, c, event, 0);
}

export const effectDue = (from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step =>
  end(event, from, 'failed', c, c, ruleOf(c).effectMs === null ? 'no_answer' : 'no_effect');

export const forget = (_c: DeviceCommandState, { self }: ActorEvent): Decision<DeviceCommandState> => ({
  outputs: [{ type: 'drop', params: { kind: 'device_command', id: self.id } }],
});

// --- what others do ------------------------------------------------------------------------------------------------------

/** Only what no charger has seen can be taken back. */
export function cancel(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<{ charger: string }, unknown>,
): Step {
  const { self, body } = event;
  const state = { command: self.id, state: from };
  if (body.charger !== c.charger)
    return { to: from, refuse: 'unknown_entity', detail: { kind: 'device_command', id: self.id } };
  if (from === 'cancelled') return { to: from, outputs: [reply(commandView(self.id, from, c))] };
  if (!isOpen(from)) return { to: from, refuse: 'device_command_ended', detail: state };
  if (from !== 'queued' || c.attempts > 0) return { to: from, refuse: 'already_sent', detail: state };
  const step = end(event, from, 'cancelled', c, c);
  const view = commandView(self.id, 'cancelled', step.context!);
  return { to: 'cancelled', context: step.context!, outputs: [reply(view), ...step.outputs!] };
}

export const supersede = (from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step =>
  end(event, from, 'superseded', c, c);

/** However it came about: what was wanted is so. A setting that waits for a restart is looked at again. */
export function observed(from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step {
  if (c.kind !== 'config.set') return end(event, from, 'done', c, c);
  const result = resultOf(c);
  if (from !== 'answered' || result?.restart !== 'required') return stay(from);
  return move(event, [from, from], c, { ...c, result: { ...result, restart: 'seen' }, reads: true, readsMissed: 0 });
}

/** It has been proved that nothing came of it, so even what cannot be repeated may go again while it is young. */
export const unmet = (from: DeviceCommandValue, c: DeviceCommandState, event: Told): Step =>
  event.now <= c.expiresAt && c.attempts < attemptsMax ? requeue(from, c, event, 0) : stay(from);
