/**
 * A command to a charger: asked for by a door or a rule, written to the charger's socket by the gateway that holds it, done
 * once its effect has been seen.
 *
 *   queued → sent → answered → done        exits: failed, expired, cancelled, superseded
 *              ↘ unknown ↗                 unknown: written, or possibly, and no answer yet
 *
 * Invariants, under any order of answers, time-outs, lost connections, restarts and killed processes:
 * D1 After a decided answer it is never written again.
 * D2 Each release is written at most once. What cannot be repeated is released again only when it is certain that it was
 *    not written, or proved that nothing came of it.
 * D3 Of all commands of a charger one CALL is out; whoever has it keeps it until it is settled, also after its own end.
 * D4 It always ends: every state but the last has a deadline.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { answerDue, answered, unanswered, written } from './device_command_answers.ts';
import { request, requestAgain, requestFacts } from './device_command_request.ts';
import {
  cancel,
  deliver,
  effectDue,
  expire,
  forget,
  observed,
  release,
  retry,
  severed,
  supersede,
  unmet,
  writeFacts,
} from './device_command_steps.ts';
import { isOpen } from './device_command_rules.ts';
import type { Step, Stepper } from './device_command_step.ts';
import { machineTypes } from './machine.ts';
import {
  CommandAnswered,
  CommandCancel,
  CommandObserved,
  CommandRelease,
  CommandRequest,
  CommandSevered,
  CommandSupersede,
  CommandUnanswered,
  CommandUnmet,
  CommandWritten,
  deviceCommandStates,
  DeviceCommandState,
  type DeviceCommandValue,
} from './schema/device_commands.ts';

const initial: DeviceCommandState = {
  charger: '',
  kind: '',
  arguments: null,
  requestedBy: '',
  requestedAt: 0,
  expiresAt: 0,
  reason: null,
  result: null,
  sentAt: null,
  answeredAt: null,
  endedAt: null,
  attempts: 0,
  releases: 0,
  connectionSeq: 0,
  call: null,
  reads: false,
  readsMissed: 0,
};

type In = { context: DeviceCommandState; event: ActorEvent };

/** A rule that also says where it leads. The step is made once per event, though the guards of all targets ask for it. */
function towards(from: DeviceCommandValue, make: Stepper) {
  let last: (In & { step: Step }) | null = null;
  const stepOf = (context: DeviceCommandState, event: ActorEvent): Step => {
    if (last?.context !== context || last.event !== event) last = { context, event, step: make(from, context, event) };
    return last.step;
  };
  const actions = decide((context: DeviceCommandState, event: ActorEvent): Decision<DeviceCommandState> => {
    const { to: _, ...decision } = stepOf(context, event);
    return decision;
  });
  const leadsTo =
    (target: DeviceCommandValue) =>
    ({ context, event }: In) =>
      stepOf(context, event).to === target;
  return [
    ...deviceCommandStates
      .filter((target) => target !== from)
      .map((target) => ({ guard: leadsTo(target), target, actions })),
    { actions },
  ];
}

const settlesCall = {
  'command.written': written,
  'command.answered': answered,
  'command.unanswered': unanswered,
  'command.severed': severed,
  'timer.answer': answerDue,
};
const anyOpen = {
  ...settlesCall,
  'command.cancel': cancel,
  'command.supersede': supersede,
  'command.observed': observed,
  'timer.effect': effectDue,
};

const ended = { ...settlesCall, 'command.cancel': cancel };

/** What each state listens to. Of what has ended only the CALL that is still out is watched. */
const steps: Record<DeviceCommandValue, Record<string, Stepper>> = {
  queued: { ...anyOpen, 'command.release': release, 'timer.expire': expire },
  sent: { ...anyOpen, 'timer.deliver': deliver },
  unknown: { ...anyOpen, 'command.unmet': unmet, 'timer.retry': retry },
  answered: { ...anyOpen, 'command.release': release, 'timer.deliver': deliver, 'timer.retry': retry },
  done: ended,
  failed: ended,
  expired: ended,
  cancelled: ended,
  superseded: ended,
};

const on = (value: DeviceCommandValue) => ({
  'command.request': { actions: decide(requestAgain(value)) },
  // An older command of the same id may have left its timer behind when it made room.
  ...(isOpen(value) ? {} : { 'timer.forget': { actions: decide(forget) } }),
  ...Object.fromEntries(Object.entries(steps[value]).map(([type, make]) => [type, towards(value, make)])),
});

export const deviceCommandMachine = setup({ types: machineTypes<DeviceCommandState>() }).createMachine({
  id: 'device_command',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'command.request': { target: 'queued', actions: decide(request) } } },
    ...(Object.fromEntries(deviceCommandStates.map((value) => [value, { on: on(value) }])) as Record<
      DeviceCommandValue,
      { on: ReturnType<typeof on> }
    >),
  },
});

export const deviceCommand: ActorDefinition = {
  kind: 'device_command',
  version: 1,
  machine: deviceCommandMachine,
  context: DeviceCommandState,
  commands: {
    'command.request': CommandRequest,
    'command.cancel': CommandCancel,
    'command.release': CommandRelease,
    'command.severed': CommandSevered,
    'command.written': CommandWritten,
    'command.answered': CommandAnswered,
    'command.unanswered': CommandUnanswered,
    'command.observed': CommandObserved,
    'command.unmet': CommandUnmet,
    'command.supersede': CommandSupersede,
  },
  timers: ['expire', 'deliver', 'answer', 'retry', 'effect', 'forget'],
  creates: ['command.request'],
  facts: (view, self, type, body) =>
    type === 'command.request'
      ? requestFacts(view, body as never)
      : type === 'command.release' || type === 'timer.deliver'
        ? writeFacts(view, view.get<DeviceCommandState>('device_command', self.id)?.context)
        : null,
};
