/** The payload of a message as people read it. It is text of the wire: cut off or no JSON at all, it is shown as it is. */

/** So much of it fits in a row. */
const lineMax = 240;

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload) as unknown;
  } catch {
    return undefined;
  }
}

/** Indented by two, keys in the order in which they came. */
export function pretty(payload: string): string {
  const value = parsed(payload);
  return value === undefined ? payload : JSON.stringify(value, null, 2);
}

export const oneLine = (payload: string): string =>
  payload.length > lineMax ? `${payload.slice(0, lineMax)}…` : payload;
