/** Which partition a key belongs to: fnv1a32(key) modulo N, fixed when the installation is created. */
const utf8 = new TextEncoder();

/** Keys of the form `@<p>` name a partition itself; they carry what every partition holds one of. */
export function partitionOf(key: string, partitions: number): number {
  if (key.startsWith('@')) {
    const p = Number(key.slice(1));
    if (!Number.isInteger(p) || p < 0 || p >= partitions) throw new RangeError(`no such partition: '${key}'`);
    return p;
  }
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(key)) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % partitions;
}
