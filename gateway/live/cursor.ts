/**
 * Cursors name how far a subscriber has come in the journal of its topic's partition: in states and, apart from them,
 * in events, because states are conflated and events are not. Opaque outside.
 */
export interface Cursor {
  /** Of the journal, or the number of a process for what it makes itself. */
  partition: number;
  state: number;
  event: number;
}

export const encodeCursor = ({ partition, state, event }: Cursor): string =>
  Buffer.from(`${partition}:${state}:${event}`).toString('base64url');

/** undefined: not a cursor of ours. */
export function decodeCursor(text: string): Cursor | undefined {
  const match = /^(\d{1,16}):(\d{1,16}):(\d{1,16})$/.exec(Buffer.from(text, 'base64url').toString('latin1'));
  if (!match) return undefined;
  const [partition, state, event] = match.slice(1).map(Number) as [number, number, number];
  return [partition, state, event].every(Number.isSafeInteger) ? { partition, state, event } : undefined;
}
