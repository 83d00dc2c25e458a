/** What is known of each kind of command to a charger, in one table; which goes next; how one is shown. */
import type { PartitionView, Stored } from './actor.ts';
import type { DomainIndex } from './domain_index.ts';
import type {
  DeviceArguments,
  DeviceCommandKind,
  DeviceCommandState,
  DeviceCommandValue,
  DeviceCommandView,
  DeviceOrder,
} from './schema/device_commands.ts';

const minutes = 60_000;
const hours = 60 * minutes;

interface KindRule {
  /** How long it may wait for the charger. */
  ttlMs: number;
  /** How long the charger has for its answer. */
  answerMs: number;
  /** How long its effect may take; null: an accepting answer is all there is to see. */
  effectMs: number | null;
  /** Whether doing it twice does no more than doing it once. */
  repeatable: boolean;
  /** Lower goes first: what takes load away, then what brings it, then the rest. */
  rank: number;
}

/** config.set may need a restart before it shows, so its effect has as long as the command itself. */
export const kindRules: Record<DeviceCommandKind, KindRule> = {
  'session.requestStop': { ttlMs: 10 * minutes, answerMs: 30_000, effectMs: 5 * minutes, repeatable: true, rank: 0 },
  'session.requestStart': { ttlMs: 60_000, answerMs: 30_000, effectMs: 90_000, repeatable: false, rank: 1 },
  'charger.reset': { ttlMs: 10 * minutes, answerMs: 30_000, effectMs: 5 * minutes, repeatable: false, rank: 2 },
  'config.set': { ttlMs: 24 * hours, answerMs: 60_000, effectMs: 24 * hours, repeatable: true, rank: 2 },
  'config.get': { ttlMs: 24 * hours, answerMs: 60_000, effectMs: null, repeatable: true, rank: 2 },
};

/** Times a repeatable command is written, and times it is read back. */
export const attemptsMax = 3;
/** Permissions that lapse before anything is written; then the gateway's clock is not ours. */
export const releasesMax = 9;
/** Before the next attempt: 5, 10 s. */
export const retryMs = (attempts: number): number => 5_000 * 2 ** Math.max(0, attempts - 1);
/** How long the gateway may take to write what was released; after that it does not. */
export const writeMs = 10_000;
/** The gateway watches these times; should it have died, the command does, this much later. */
export const graceMs = 5_000;
/** An effect that nobody has confirmed is sent again: after 2, 4, 8 … s. */
export const deliverMs = 2_000;
/** Commands of one charger that wait or run at once; the system's own are taken in beyond it. */
export const openMax = 32;
/** Ended ones are kept this long, so that a retry under the same id finds its result. */
export const keptMs = 7 * 24 * hours;
/** More than these of one charger within a day are refused; older ones make room. */
export const keptMax = 256;
export const keptAtLeastMs = 24 * hours;

export const kindOf = (state: DeviceCommandState): DeviceCommandKind => state.kind as DeviceCommandKind;
export const ruleOf = (state: DeviceCommandState): KindRule => kindRules[kindOf(state)];

/** The arguments, if it is of that kind. */
export const argumentsOf = <K extends DeviceCommandKind>(state: DeviceCommandState, kind: K) =>
  state.kind === kind ? (state.arguments as DeviceArguments[K]) : null;

/** Of commands with the same key only the newest is open. */
export function coalescingKey(order: DeviceOrder): string {
  switch (order.kind) {
    case 'session.requestStart':
      return `start/${order.arguments.connector}`;
    case 'session.requestStop':
      return `stop/${order.arguments.transaction}`;
    case 'charger.reset':
      return 'reset';
    case 'config.set':
      return `set/${order.arguments.key}`;
    case 'config.get':
      return `get/${order.arguments.keys.join('\n')}`;
    default:
      return order satisfies never;
  }
}
export const orderOf = ({ kind, arguments: args }: DeviceCommandState): DeviceOrder =>
  ({ kind, arguments: args }) as DeviceOrder;

const open: ReadonlySet<string> = new Set<DeviceCommandValue>(['queued', 'sent', 'unknown', 'answered']);
export const isOpen = (value: string | null): boolean => value !== null && open.has(value);

/** A command as others in the partition see it. */
export interface KnownCommand {
  id: string;
  value: DeviceCommandValue;
  state: DeviceCommandState;
}

/** Commands of a charger that are open or hold its wire, in the order in which they would be sent. */
export function openCommands(view: PartitionView, charger: string): KnownCommand[] {
  const ids = (view.index as DomainIndex).openCommandsOf(charger);
  if (ids.size === 0) return none;
  const found: KnownCommand[] = [];
  for (const id of ids) {
    const stored: Stored<DeviceCommandState> | undefined = view.get('device_command', id);
    if (stored) found.push({ id, value: stored.value as DeviceCommandValue, state: stored.context });
  }
  return found.sort(byTurn);
}
const none: KnownCommand[] = [];

const byTurn = (a: KnownCommand, b: KnownCommand): number =>
  ruleOf(a.state).rank - ruleOf(b.state).rank ||
  a.state.requestedAt - b.state.requestedAt ||
  (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** One CALL at a time is out per charger (OCPP-J 4.1.1); null: nothing waits, or the wire is taken. */
export function nextCommand(commands: readonly KnownCommand[], now: number): KnownCommand | null {
  if (commands.some(({ state }) => state.call !== null)) return null;
  return (
    commands.find(
      ({ value, state }) => (value === 'queued' && now <= state.expiresAt) || (value === 'answered' && state.reads),
    ) ?? null
  );
}

/** Number of a start request on the wire, which the transaction names when it begins (OCPP 2.0.1): 31 bits of the id. */
export function remoteStartIdOf(command: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < command.length; i++) hash = Math.imul(hash ^ command.charCodeAt(i), 0x01000193);
  return hash >>> 1;
}

export const commandView = (id: string, value: DeviceCommandValue, c: DeviceCommandState): DeviceCommandView => ({
  command: id,
  charger: c.charger,
  kind: kindOf(c),
  arguments: c.arguments as Record<string, unknown>,
  state: value,
  reason: c.reason,
  result: c.result as Record<string, unknown> | null,
  requestedBy: c.requestedBy,
  requestedAt: c.requestedAt,
  sentAt: c.sentAt,
  answeredAt: c.answeredAt,
  endedAt: c.endedAt,
  attempts: c.attempts,
});

/** Values of configuration keys are text; the same setting may be written in more than one way. */
export function sameSetting(wanted: string, told: string): boolean {
  const plain = (text: string) => {
    const trimmed = text.trim().replace(/\s*,\s*/g, ',');
    return /^(true|false)$/i.test(trimmed) ? trimmed.toLowerCase() : trimmed.replace(/^(-?\d+)\.0+$/, '$1');
  };
  return plain(wanted) === plain(told);
}
