/**
 * Writes that must happen once. The caller makes the id; while it is not known whether the server heard, the same
 * request with the same id is sent again, and the server gives the stored result.
 */
import { post, type Answer, type Code } from '../api.ts';

/** After these the command may or may not have been applied, or will be possible in a moment. */
const unsure: readonly Code[] = ['unreachable', 'unreadable', 'unavailable'];
const passing: readonly Code[] = ['starting', 'overloaded'];
const pausesMs = [500, 1_000, 2_000, 4_000];

export const outcomeUnknown = (code: Code): boolean => unsure.includes(code);

/** A UUID. `crypto.randomUUID` is missing where a page is not served from this machine or over TLS. */
export function newId(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export interface Request {
  path: string;
  body: Record<string, unknown> & { id: string };
}

/** The first answer that says what became of it; else, after 7.5 s of pauses, the last one that does not. */
export async function write<T>({ path, body }: Request): Promise<Answer<T>> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await post<T>(path, body);
    const pauseMs = pausesMs[attempt];
    if (answer.ok || !(unsure.includes(answer.code) || passing.includes(answer.code)) || pauseMs === undefined)
      return answer;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
