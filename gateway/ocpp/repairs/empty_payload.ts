/** R02: requests without fields come as null, as [] or without a payload at all. */
import type { Notes } from './notes.ts';

export function repairEmptyPayload(payload: unknown, notes: Notes): unknown {
  if (payload !== undefined && payload !== null && !(Array.isArray(payload) && payload.length === 0)) return payload;
  notes.hit('R02');
  return {};
}
