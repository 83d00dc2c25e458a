/** What the gateway reports of a CALL: that it was written, what the charger answered, that no answer came. */
import type { ActorEvent } from './actor.ts';
import {
  argumentsOf,
  attemptsMax,
  graceMs,
  releasesMax,
  retryMs,
  ruleOf,
  sameSetting,
} from './device_command_rules.ts';
import { arm, disarm, end, move, stay, type Step } from './device_command_step.ts';
import type {
  CommandAnsweredBody,
  CommandUnansweredBody,
  CommandWrittenBody,
  DeviceAnswer,
  DeviceCommandState,
  DeviceCommandValue,
} from './schema/device_commands.ts';

/** What is kept of the charger's answer, under `result`. */
interface Result {
  status: string;
  description?: string;
  values?: DeviceAnswer['values'];
  unknown?: string[];
  /** The setting as it was read back. */
  value?: string | null;
  /** It counts after a restart, which has (not) been seen yet. */
  restart?: 'required' | 'seen';
}

export const resultOf = ({ result }: DeviceCommandState): Result | null => result as Result | null;

export function written(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  { now, body }: ActorEvent<CommandWrittenBody, unknown>,
): Step {
  const { call } = c;
  if (body.charger !== c.charger || call?.release !== body.release || call.written) return stay(from);
  const attempts = c.attempts + (call.call === 'act' ? 1 : 0);
  return {
    to: from,
    context: { ...c, attempts, call: { ...call, written: true } },
    outputs: [...disarm('deliver'), arm('answer', now + ruleOf(c).answerMs + graceMs)],
  };
}

/** An answer decides, whenever it comes: nothing is asked for again (D1). */
export function answered(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<CommandAnsweredBody, unknown>,
): Step {
  const { body } = event;
  if (body.charger !== c.charger) return stay(from);
  const settled = c.call?.call === body.call ? { ...c, call: null } : c;
  if (body.call === 'read') return readBack(from, c, settled, event);
  if (c.answeredAt !== null) return settled === c ? stay(from) : move(event, [from, from], c, settled);
  // Of an answer to a frame that was never reported written: it was.
  const attempts = body.answer.outcome === 'bad_order' ? c.attempts : Math.max(1, c.attempts);
  const told = { ...settled, attempts, answeredAt: event.now, result: resultFrom(body.answer) };
  if (from !== 'queued' && from !== 'sent' && from !== 'unknown') return move(event, [from, from], c, told);
  return decided(from, c, told, event);
}

function decided(
  from: DeviceCommandValue,
  before: DeviceCommandState,
  c: DeviceCommandState,
  event: ActorEvent<CommandAnsweredBody, unknown>,
): Step {
  const { outcome } = event.body.answer;
  const { effectMs } = ruleOf(c);
  if (outcome !== 'accepted' && outcome !== 'reboot_required') return end(event, from, 'failed', before, c, outcome);
  if (effectMs === null) return end(event, from, 'done', before, c);
  const result: Result = {
    ...resultOf(c)!,
    ...(outcome === 'reboot_required' ? { restart: 'required' as const } : {}),
  };
  const accepted = { ...c, result, reads: c.kind === 'config.set' };
  return move(event, [from, 'answered'], before, accepted, [
    ...disarm('expire', 'retry'),
    arm('effect', event.now + effectMs),
  ]);
}

/** Some chargers accept a setting and do not apply it: what they say of it afterwards decides. */
function readBack(
  from: DeviceCommandValue,
  before: DeviceCommandState,
  c: DeviceCommandState,
  event: ActorEvent<CommandAnsweredBody, unknown>,
): Step {
  const wanted = argumentsOf(c, 'config.set');
  if (from !== 'answered' || wanted === null || before.call?.call !== 'read')
    return c === before ? stay(from) : move(event, [from, from], before, c);
  const { answer } = event.body;
  const told = answer.values.find(({ key }) => key.toLowerCase() === wanted.key.toLowerCase());
  const result: Result = { ...resultOf(c)!, value: told?.value ?? null };
  const read = { ...c, result };
  if (answer.outcome !== 'accepted' || told === undefined || told.value === null)
    return result.restart === 'required'
      ? move(event, [from, from], before, read)
      : end(event, from, 'failed', before, read, 'not_readable');
  if (sameSetting(wanted.value, told.value)) return end(event, from, 'done', before, read);
  // It may still come into force with the restart that the charger asked for.
  if (result.restart === 'required') return move(event, [from, from], before, read);
  return end(event, from, 'failed', before, read, 'not_applied');
}

function resultFrom({ status, description, values, unknown }: DeviceAnswer): Result {
  return {
    status,
    ...(description === '' ? {} : { description }),
    ...(values.length > 0 || unknown.length > 0 ? { values, unknown } : {}),
  };
}

export function unanswered(
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<CommandUnansweredBody, unknown>,
): Step {
  const { body } = event;
  if (body.charger !== c.charger || c.call?.release !== body.release) return stay(from);
  if (body.reason === 'timeout' || c.call.call === 'read') return lost(from, c, event);
  const unwritten = { ...c, call: null };
  if (from !== 'sent') return move(event, [from, from], c, unwritten);
  // Its permission lapsed on the way; while it is young enough it gets another.
  if (event.now <= c.expiresAt && c.releases < releasesMax)
    return move(event, [from, 'queued'], c, unwritten, [arm('expire', c.expiresAt + 1)]);
  return c.attempts === 0
    ? end(event, from, 'expired', c, unwritten)
    : end(event, from, 'failed', c, unwritten, 'no_answer');
}

/** Neither the gateway nor the charger has said anything of the CALL, and it is too late for both. */
export const answerDue = (
  from: DeviceCommandValue,
  c: DeviceCommandState,
  event: ActorEvent<unknown, unknown>,
): Step => (c.call === null ? stay(from) : lost(from, c, event));

/** The CALL is over without an answer: it was written, or may have been. */
export function lost(from: DeviceCommandValue, c: DeviceCommandState, event: ActorEvent<unknown, unknown>): Step {
  const { now } = event;
  const { call, written: counted } = c.call!;
  const attempts = c.attempts + (call === 'act' && !counted ? 1 : 0);
  const free = { ...c, attempts, call: null };
  if (call === 'read') {
    if (from !== 'answered') return move(event, [from, from], c, free);
    const readsMissed = c.readsMissed + 1;
    if (readsMissed >= attemptsMax) return end(event, from, 'failed', c, { ...free, readsMissed }, 'not_readable');
    return move(event, [from, from], c, { ...free, readsMissed }, [arm('retry', now + retryMs(readsMissed))]);
  }
  if (from !== 'sent') return move(event, [from, from], c, free);
  const { repeatable, effectMs, answerMs } = ruleOf(c);
  const again = repeatable && attempts < attemptsMax && now <= c.expiresAt;
  if (!again && effectMs === null) return end(event, from, 'failed', c, free, 'no_answer');
  // A late answer or its effect still counts.
  const outputs = [arm('effect', now + (effectMs ?? answerMs))];
  if (again) outputs.push(arm('retry', now + retryMs(attempts)));
  return move(event, [from, 'unknown'], c, free, outputs);
}
