/** A command to a charger in words: what it asks for, how far it is, and why it went no further. */
import type { DeviceCommandView } from '#actors/schema/device_commands';
import { monitoring as m } from '../text/monitoring.ts';

export const stepNames = ['queued', 'sent', 'answered', 'done'] as const;
export type StepName = (typeof stepNames)[number];

export interface Step {
  name: StepName;
  /** unix ms; null: not reached, or its moment was not kept. */
  at: number | null;
  /** `lost`: reached, and it ended there without going on. */
  state: 'past' | 'now' | 'lost' | 'ahead';
}

type State = DeviceCommandView['state'];
const ends: readonly State[] = ['done', 'failed', 'expired', 'cancelled', 'superseded'];
export const isOver = ({ state }: Pick<DeviceCommandView, 'state'>): boolean => ends.includes(state);
/** Only what was not sent can be taken back. */
export const isCancellable = ({ state }: Pick<DeviceCommandView, 'state'>): boolean => state === 'queued';

/** How far it came: 0 queued to 3 done. An answer is not the effect. */
function reached({ state, sentAt, answeredAt }: DeviceCommandView): number {
  if (state === 'done') return 3;
  if (answeredAt !== null) return 2;
  return sentAt === null ? 0 : 1;
}

export function stepsOf(command: DeviceCommandView): Step[] {
  const far = reached(command);
  const at = [command.requestedAt, command.sentAt, command.answeredAt, command.endedAt];
  const here = command.state === 'done' ? 'past' : isOver(command) ? 'lost' : 'now';
  return stepNames.map((name, i) => ({
    name,
    at: i <= far ? (at[i] ?? null) : null,
    state: i < far ? 'past' : i === far ? here : 'ahead',
  }));
}

/** What it asks for, e.g. `Start a session: connector 1, card DEMO0001`. */
export function wordsOf({ kind, arguments: args }: Pick<DeviceCommandView, 'kind' | 'arguments'>): string {
  const text = (name: string) => (typeof args[name] === 'string' ? args[name] : '');
  const details: Record<string, () => string[]> = {
    'session.requestStart': () => [m.commands.onConnector(Number(args['connector'])), m.commands.card(text('tag'))],
    'session.requestStop': () => [m.commands.ofTransaction(Number(args['transaction']))],
    'charger.reset': () => [m.control.modes[text('mode') as 'soft' | 'hard'] ?? text('mode')],
    'config.set': () => [`${text('key')} = ${text('value')}`],
    'config.get': () => (Array.isArray(args['keys']) ? args['keys'].map(String) : []),
  };
  const name = m.commands.kinds[kind] ?? kind;
  const words = details[kind]?.() ?? [];
  return words.length === 0 ? name : `${name}: ${words.join(', ')}`;
}

/** Why it failed, with what the charger said, in whole sentences; null while nothing is wrong. */
export function whyOf({ state, reason, result }: DeviceCommandView): string | null {
  if (state !== 'failed' && reason === null) return null;
  const status = result?.['status'];
  const words = reason === null ? m.commands.states[state] : (m.commands.reasons[reason] ?? reason);
  return typeof status === 'string' && state === 'failed' ? `${words} ${m.commands.said(status)}` : (words ?? null);
}

export interface ConfigRow {
  key: string;
  value: string | null;
  readonly: boolean | null;
}
/** What the charger told of its configuration. */
export function configOf({ result }: Pick<DeviceCommandView, 'result'>): { values: ConfigRow[]; unknown: string[] } {
  const values = result?.['values'];
  const unknown = result?.['unknown'];
  return {
    values: Array.isArray(values) ? (values as ConfigRow[]) : [],
    unknown: Array.isArray(unknown) ? unknown.map(String) : [],
  };
}

/** Known ones with what the live topic says newer, newest first. */
export function newestFirst(
  known: readonly DeviceCommandView[],
  live: readonly DeviceCommandView[],
): DeviceCommandView[] {
  const byId = new Map([...known, ...live].map((command) => [command.command, command]));
  return [...byId.values()].sort((a, b) => b.requestedAt - a.requestedAt || (a.command < b.command ? 1 : -1));
}
