/** The HTTP API: every answer is a value or a refusal with its code; nothing here throws for what the server may say. */
import type { Refusal, RefusalCode } from '#gateway/schema/refusal';

/** What only this side can find: no answer at all, or one that is none of the API's. */
export type LocalRefusal = 'unreachable' | 'unreadable';
export type Code = RefusalCode | LocalRefusal;

export interface Refused {
  ok: false;
  code: Code;
  detail?: Record<string, unknown>;
  /** The reference under which the server's log knows it. */
  correlation?: string;
}
export type Answer<T> = { ok: true; value: T } | Refused;

const timeoutMs = 10_000;

async function send<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer<T>> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      // The server tells an address that is a page from one that is data by this.
      headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await response.text();
  } catch {
    return { ok: false, code: 'unreachable' };
  }
  return read<T>(response, text);
}

function read<T>(response: Response, text: string): Answer<T> {
  const correlation = response.headers.get('x-correlation-id') ?? undefined;
  const unreadable: Refused = { ok: false, code: 'unreadable', ...(correlation === undefined ? {} : { correlation }) };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return unreadable;
  }
  if (response.ok) return { ok: true, value: value as T };
  const refusal = value as Partial<Refusal> | null;
  return typeof refusal?.code === 'string' ? (refusal as Refusal) : unreadable;
}

export const get = <T>(path: string) => send<T>('GET', path);
export const post = <T>(path: string, body: unknown = {}) => send<T>('POST', path, body);

/** `/api/stations/<id>/prices?limit=300`, with every part escaped and absent values left out. */
export function pathOf(parts: readonly string[], query: Record<string, string | number | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  const path = `/api/${parts.map(encodeURIComponent).join('/')}`;
  return search.size > 0 ? `${path}?${search}` : path;
}
