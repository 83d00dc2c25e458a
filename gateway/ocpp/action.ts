/** What every version of OCPP says of its actions: the fact each becomes in the domain, and the answer the charger gets. */
import { contentKey } from './content_key.ts';
import type { CallError } from './errors.ts';
import { repairEmptyPayload } from './repairs/empty_payload.ts';
import { isObject, type Notes, type Payload } from './repairs/notes.ts';

/** Where a message came from; stable for the life of a connection but for `idText` and `frameHash`. */
export interface Origin {
  charger: string;
  connectionSeq: number;
  idText: string;
  frameHash: string;
}

/** What becomes of a valid message. */
export interface Translation {
  /** `here` from the clock, `appended` once the log holds the fact, `decided` with what the charger's actor committed. */
  answered: 'here' | 'appended' | 'decided';
  /** The domain command; '' where nothing is told. */
  type: string;
  body(payload: Payload, notes: Notes, origin: Origin): Record<string, unknown>;
  /** JSON text of the answer; `value` is the actor's reply where it decides. */
  answer(value: unknown, now: number): string;
}

export interface Action extends Translation {
  /** Authorize and DataTransfer are given up sooner: the charger then applies its own offline rule. */
  short: boolean;
  /** A resend gets the stored answer (R01); not where the answer is only true at its own moment. */
  replays: boolean;
  /** Repairs in place; returns the payload, or another where none came. */
  repair(payload: unknown, notes: Notes): unknown;
  check(payload: unknown, notes: Notes): CallError | null;
  /** Where one action tells different things: which of them this payload does. @default the action itself */
  choose?(payload: Payload): Translation;
}

export const iso = (ms: number): string => new Date(ms).toISOString();
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Fields that every fact has. */
export const fact = (key: string, notes: Notes, origin: Origin) => ({
  key,
  connectionSeq: origin.connectionSeq,
  frameHash: origin.frameHash,
  repairs: notes.rules,
});
export const time = (notes: Notes) => ({ at: notes.time.at, atRaw: notes.time.raw, clock: notes.time.clock });

/** Repairs of fields of an object; what is no object is left to the check. */
export const fields =
  (repair: (payload: Payload, notes: Notes) => void) =>
  (payload: unknown, notes: Notes): unknown => {
    if (isObject(payload)) repair(payload, notes);
    return payload;
  };

type Draft = Omit<Action, 'check' | 'short' | 'replays'> & Partial<Action>;

/** Names an action of a version and has its payload checked by the version's own schemas. */
export const defineBy =
  (requestCheck: (name: string) => Action['check']) =>
  (name: string, draft: Draft): [string, Action] => [
    name,
    { short: false, replays: true, check: requestCheck(name), ...draft },
  ];

/** The same in all versions: the clock, and nothing is told. */
export const heartbeat: Draft = {
  answered: 'here',
  type: '',
  replays: false,
  repair: repairEmptyPayload,
  body: () => ({}),
  answer: (_, now) => `{"currentTime":"${iso(now)}"}`,
};

interface Device {
  vendor: string;
  model: string;
  serial: string;
  firmware: string;
}

/** The fact of a boot, whatever the version calls the parts of it. */
export function bootOf(device: Device, notes: Notes, o: Origin): Record<string, unknown> {
  const { vendor, model, serial, firmware } = device;
  const key = contentKey.message('boot', o.charger, o.connectionSeq, o.idText, vendor, model, serial, firmware);
  return { ...fact(key, notes, o), ...device };
}
