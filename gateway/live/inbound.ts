/** What clients may send: one JSON text frame each, checked against its schema before anything looks at it. */
import { Compile } from 'typebox/compile';
import type { RefusalCode } from '#actors/refusals';
import { clientFrames, type ClientFrame } from '../schema/live.ts';

const validators = new Map(Object.entries(clientFrames).map(([op, schema]) => [op, Compile(schema)]));

export type Inbound =
  { frame: ClientFrame } | { refuse: RefusalCode; id: number | null; detail: Record<string, unknown> };

export function readFrame(text: string): Inbound {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { refuse: 'bad_request', id: null, detail: { reason: 'not JSON' } };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { refuse: 'bad_request', id: null, detail: { reason: 'not an object' } };
  }
  const { op, id } = value as { op?: unknown; id?: unknown };
  const validator = typeof op === 'string' ? validators.get(op) : undefined;
  if (validator?.Check(value)) return { frame: value as ClientFrame };
  const named = Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31 ? (id as number) : null;
  if (validator === undefined) return { refuse: 'bad_request', id: named, detail: { reason: 'unknown op' } };
  const [error] = validator.Errors(value);
  return {
    refuse: 'bad_request',
    id: named,
    detail: { field: error?.instancePath ?? '', reason: error?.message ?? 'invalid' },
  };
}
