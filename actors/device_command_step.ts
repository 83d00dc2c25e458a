/** A step of a command to a charger: where it leads, and what everybody is told of it. */
import type { ActorEvent, Decision } from './actor.ts';
import { chargerAddress } from './addresses.ts';
import { argumentsOf, commandView, isOpen, keptMs } from './device_command_rules.ts';
import { chargerEvent, type Outputs } from './machine.ts';
import type { DeviceCommandState, DeviceCommandValue } from './schema/device_commands.ts';

export type Step = Decision<DeviceCommandState> & { to: DeviceCommandValue };

/** What an event does to a command in the state `from`. As a method, so that each may name the body that it is checked for. */
export type Stepper = {
  make(from: DeviceCommandValue, command: DeviceCommandState, event: ActorEvent<unknown, unknown>): Step;
}['make'];

type Moment = Pick<ActorEvent<unknown, unknown>, 'self' | 'now'>;

export const arm = (name: string, dueAt: number): Outputs[number] => ({ type: 'arm', params: { name, dueAt } });
export const disarm = (...names: string[]): Outputs => names.map((name) => ({ type: 'disarm', params: { name } }));

export const toCharger = (site: string, charger: string): Outputs[number] => ({
  type: 'send',
  params: { to: chargerAddress(site, charger), type: 'charger.dispatch', body: {} },
});

export function stateEvent(
  { self, now }: Moment,
  value: DeviceCommandValue,
  command: DeviceCommandState,
): Outputs[number] {
  const { charger, ...detail } = commandView(self.id, value, command);
  const connector = argumentsOf(command, 'session.requestStart')?.connector ?? null;
  return chargerEvent(charger, 'command', connector, now, now, detail);
}

/** Timers that end with the command itself; `answer` goes on while its CALL is out. */
const ownTimers = ['expire', 'retry', 'effect'];

/**
 * From one state to another, or to itself with something changed. Tells the world when the state changes, and the charger
 * when its wire may be used.
 */
export function move(
  moment: Moment,
  [from, to]: readonly [DeviceCommandValue, DeviceCommandValue],
  before: DeviceCommandState,
  changed: DeviceCommandState,
  outputs: Outputs = [],
): Step {
  const { self, now } = moment;
  const ends = isOpen(from) && !isOpen(to);
  const after = ends ? { ...changed, endedAt: now, reads: false } : changed;
  const all: Outputs = [...outputs];
  if (before.call !== null && after.call === null) all.push(...disarm('answer', 'deliver'));
  if (ends) all.push(...disarm(...ownTimers, 'deliver'), arm('forget', now + keptMs));
  if (from !== to) all.push(stateEvent(moment, to, after));
  const waits = (to === 'queued' && from !== 'queued') || after.reads;
  if (after.call === null && (before.call !== null || waits)) all.push(toCharger(self.key, after.charger));
  return { to, context: after, outputs: all };
}

/** It ends here. */
export const end = (
  moment: Moment,
  from: DeviceCommandValue,
  to: DeviceCommandValue,
  before: DeviceCommandState,
  changed: DeviceCommandState,
  reason: string | null = null,
): Step => move(moment, [from, to], before, { ...changed, reason });

export const stay = (from: DeviceCommandValue): Step => ({ to: from });
