/** What every version of OCPP says of commands to chargers: the CALL that each becomes, and what its answer means. */
import type { CommandWrite, ConfigValue, DeviceAnswer } from '#actors/schema/device_commands';
import { isSecret } from './blanking.ts';
import { isObject } from './repairs/notes.ts';

/** A CALL of ours. */
export interface OutboundCall {
  action: string;
  payload: Record<string, unknown>;
}

export interface Outbound {
  /** null: the version has no way to say it; what was asked for is wrong for this charger. */
  call(write: CommandWrite): OutboundCall | null;
  /** What a CALLRESULT says; one that does not satisfy its schema is a `bad_answer`. */
  answer(write: CommandWrite, payload: unknown): DeviceAnswer;
  /** Why it has no settings of that name; null: it may have. */
  keyProblem(key: string): string | null;
  /** The longest value of a setting, characters. */
  valueMax: number;
  /** The longest tag, characters. */
  tagMax: number;
}

const plain = { description: '', values: [], unknown: [] } as const;

/** An answer that is nothing but a status. */
export const statusAnswer = (
  outcome: DeviceAnswer['outcome'],
  status: string,
  more: { description?: string; values?: ConfigValue[]; unknown?: string[] } = {},
): DeviceAnswer => ({
  ...plain,
  values: [],
  unknown: [],
  ...more,
  outcome,
  status: status.slice(0, 64),
});

export const badAnswer = (description: string): DeviceAnswer =>
  statusAnswer('bad_answer', 'bad_answer', { description: description.slice(0, 255) });

/** A command that this charger's version cannot be asked. */
export const badOrder = (description: string): DeviceAnswer =>
  statusAnswer('bad_order', 'bad_order', { description: description.slice(0, 255) });

const text = (value: unknown, max: number): string => (typeof value === 'string' ? value.slice(0, max) : '');

/** What a CALLERROR says: code, description, details. Both spellings of every code mean the same. */
export function errorAnswer([code, description]: readonly unknown[]): DeviceAnswer {
  const status = text(code, 64) || 'GenericError';
  const missing = status === 'NotSupported' || status === 'NotImplemented';
  return statusAnswer(missing ? 'not_supported' : 'error', status, { description: text(description, 255) });
}

/** What is set by a command can be read by everybody who sees commands, so passwords are not. */
export const secretProblem = (key: string): string | null =>
  isSecret(key) ? 'a password is neither set nor read by a command that others can see' : null;

/** R08: some chargers answer `accepted`. The status in the spelling of `words`; others stay as they are. */
export function foldStatus(payload: unknown, field: string, words: readonly string[]): unknown {
  if (!isObject(payload)) return payload;
  const status = payload[field];
  if (typeof status !== 'string' || words.includes(status)) return payload;
  const meant = words.find((word) => word.toLowerCase() === status.toLowerCase());
  return meant === undefined ? payload : { ...payload, [field]: meant };
}
