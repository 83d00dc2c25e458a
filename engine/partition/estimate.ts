/**
 * About how many bytes msgpack makes of plain data, without making them: records are cut by it before they are too large.
 * `names`: objects are written with the names of their fields (events, bodies); images are positional and go without.
 */
export function estimateBytes(value: unknown, names: boolean): number {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value < 128 ? 1 : 6;
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 1;
  let bytes = 3;
  if (Array.isArray(value)) {
    for (const item of value) bytes += estimateBytes(item, names);
    return bytes;
  }
  for (const name in value) {
    bytes += estimateBytes((value as Record<string, unknown>)[name], names);
    if (names) bytes += name.length + 1;
  }
  return bytes;
}
