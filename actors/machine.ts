/** Small helpers that machines share. */
import type { ActorEvent, Output } from './actor.ts';
import { subject } from './schema/subjects.ts';
import type { ChargerEvent, ChargerEventKind } from './schema/events.ts';

interface MachineTypes<Context> {
  context: Context;
  events: ActorEvent;
}
/** What `setup({ types })` names: any command is a possible event, its body is checked before it arrives. */
export const machineTypes = <Context>(): MachineTypes<Context> => ({}) as MachineTypes<Context>;

export type Outputs = Exclude<Output, { type: 'refuse' }>[];

export const reply = (value: unknown): Outputs[number] => ({ type: 'reply', params: { value } });

/** `connector` null: the charger as a whole. */
export function chargerEvent(
  charger: string,
  kind: ChargerEventKind,
  connector: number | null,
  at: number,
  now: number,
  detail: Record<string, unknown>,
): Outputs[number] {
  const payload: ChargerEvent =
    connector === null
      ? { charger, kind, at, receivedAt: now, detail }
      : { charger, connector, kind, at, receivedAt: now, detail };
  return { type: 'emit', params: { kind: 'charger', subject: subject.charger(charger, kind), payload } };
}

/** Adds what is not there yet; the same array when nothing is new. */
export function withFlags(flags: string[], ...more: string[]): string[] {
  const added = more.filter((flag, i) => !flags.includes(flag) && more.indexOf(flag) === i);
  return added.length === 0 ? flags : [...flags, ...added];
}
