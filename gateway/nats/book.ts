/**
 * `in.<integrator>.book.<book>`: trading commands for many customers in one batch. The customers of a book are
 * `<book>/<user>`; its rules stand in each of them from its first `trade.add` on, so books disturb nobody else.
 */
import { Compile } from 'typebox/compile';
import { BookRules } from '#actors/schema/trading';
import type { Limits } from './limits.ts';
import { decodePayload, isFields, type Format } from './payload.ts';
import { refusal, type Refusal } from './refusal.ts';

/** One command to a user of the book; the rest as to any customer. */
interface BookCommand {
  customer: string;
  user: string;
  given: Record<string, unknown>;
}
export interface AskedOfBook {
  rules: BookRules;
  commands: BookCommand[];
}

const bookForm = /^[A-Za-z0-9_-]{1,32}$/;
const rulesCheck = Compile(BookRules);
const userForm = /^[A-Za-z0-9_-]{1,64}$/;

export function readBook(book: string, bytes: Uint8Array, format: Format, limits: Limits): AskedOfBook | Refusal {
  const wrong = (reason: string, field = '') => refusal('bad_request', { in: 'payload', field, reason });
  if (!bookForm.test(book))
    return refusal('bad_request', { in: 'subject', reason: 'a book is 1 to 32 of A-Za-z0-9_-' });
  const payload = decodePayload(bytes, format, limits.batchBytesMax);
  if ('ok' in payload) return payload;
  const { value } = payload;
  if (!isFields(value)) return wrong('must be an object');
  const { rules, commands, ...more } = value;
  if (Object.keys(more).length > 0) return wrong('has nothing but rules and commands');
  if (!rulesCheck.Check(rules)) {
    const [first] = rulesCheck.Errors(rules);
    return wrong(first?.message ?? 'invalid', `/rules${first?.instancePath ?? ''}`);
  }
  if (!Array.isArray(commands) || commands.length < 1 || commands.length > limits.batchMax)
    return wrong(`1 to ${limits.batchMax} commands`, '/commands');
  const read: BookCommand[] = [];
  for (const [i, command] of commands.entries()) {
    if (!isFields(command)) return wrong('must be an object', `/commands/${i}`);
    const { user, ...given } = command;
    if (typeof user !== 'string' || !userForm.test(user)) return wrong('1 to 64 of A-Za-z0-9_-', `/commands/${i}/user`);
    read.push({ customer: `${book}/${user}`, user, given });
  }
  return { rules, commands: read };
}
