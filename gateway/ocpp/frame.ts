/**
 * From the bytes of one WebSocket message to a frame, before the RPC library sees it.
 *
 * Lenient where chargers in the field are sloppy (repairs R01, R03), and exact about what an error answer needs: the
 * message id goes back as it came, a number as a number.
 */
import { hash } from 'node:crypto';
import type { CallError } from './errors.ts';

export interface Call {
  kind: 'call';
  /** The message id as JSON text, ready to be echoed. */
  idText: string;
  action: string;
  payload: unknown;
  /** SHA-256 of the raw frame, first 32 hex digits. */
  frameHash: string;
  /** R01 when the id is unusual, R03 when something was trimmed. */
  repairs: string[];
}

export type Frame =
  | Call
  /** CALLRESULT (3) or CALLERROR (4) of a call of ours. */
  | { kind: 'answer'; type: 3 | 4; id: string; parts: unknown[] }
  /** A CALL that cannot be used, but can be answered. */
  | { kind: 'malformed'; idText: string; error: CallError }
  /** Nothing in it: a keep-alive of some vendors. */
  | { kind: 'empty' }
  /** A message type that nobody knows; `idText` null when it has no readable id. */
  | { kind: 'unknown'; idText: string | null }
  /** No RPC array, or no readable id. */
  | { kind: 'unreadable' };

const noRepairs: string[] = [];
const idLengthMax = 36;
const openBracket = 0x5b;
const closeBracket = 0x5d;

export function readFrame(bytes: Buffer): Frame {
  let text = bytes.toString('utf8');
  let repairs = noRepairs;
  if (bytes[0] !== openBracket || bytes[bytes.length - 1] !== closeBracket) {
    // R03: byte order marks, white space and NUL tails; empty messages are keep-alives of some vendors.
    const trimmed = text.replace(/^[\s\ufeff\0]+|[\s\ufeff\0]+$/g, '');
    if (trimmed === '') return { kind: 'empty' };
    text = trimmed;
    repairs = ['R03'];
  }
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    const idText = /^\[\s*2\s*,\s*("(?:[^"\\\0-\x1f]|\\["\\/bfnrt]){1,255}"|-?\d{1,36})\s*,/.exec(text)?.[1];
    if (idText === undefined) return { kind: 'unreadable' };
    return malformed(idText, 'the message is not JSON');
  }
  if (!Array.isArray(message)) return { kind: 'unreadable' };
  const [type, id] = message as unknown[];
  if (typeof type !== 'number') return { kind: 'unreadable' };
  if (type !== 2 && type !== 3 && type !== 4)
    return { kind: 'unknown', idText: typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : null };
  if (typeof id !== 'string' && typeof id !== 'number') return { kind: 'unreadable' };
  if (type !== 2) return { kind: 'answer', type, id: String(id), parts: (message as unknown[]).slice(2) };

  let idText: string;
  if (typeof id === 'string') {
    idText = JSON.stringify(id);
    if (id.length > idLengthMax) repairs = [...repairs, 'R01'];
  } else {
    // As received: digits that a double cannot hold come back unchanged.
    idText = /^\[\s*2\s*,\s*(-?\d[\d.eE+-]*)/.exec(text)?.[1] ?? String(id);
    repairs = [...repairs, 'R01'];
  }
  const action: unknown = message[2];
  if (typeof action !== 'string') return malformed(idText, 'the action is not a string');
  return { kind: 'call', idText, action, payload: message[3], frameHash: frameHash(bytes), repairs };
}

export const frameHash = (bytes: Buffer): string => hash('sha256', bytes, 'hex').slice(0, 32);

const malformed = (idText: string, description: string): Frame => ({
  kind: 'malformed',
  idText,
  error: { code: 'FormatViolation', description, details: { path: '', rule: 'json' } },
});

/** Whether a value nests deeper than `max`; looks no further than that. */
export function isDeeperThan(value: unknown, max: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (max === 0) return true;
  return Object.values(value).some((child) => isDeeperThan(child, max - 1));
}
