/** Which partition a key belongs to: fnv1a32(key) modulo N, fixed when the installation is created. */
const utf8 = new TextEncoder();

/** Keys of the form `@<p>` name a partition itself; they carry what every partition holds one of. */
export function partitionOf(key: string, partitions: number): number {
  if (key.startsWith('@')) {
    const p = Number(key.slice(1));
    if (!Number.isInteger(p) || p < 0 || p >= partitions) throw new RangeError(`no such partition: '${key}'`);
    return p;
  }
  return fnv1a32(key) % partitions;
}

export function fnv1a32(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    // ASCII, as nearly all keys are, needs no encoder: every character is its own byte.
    if (code >= 128) return fnv1a32Bytes(utf8.encode(key));
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return hash >>> 0;
}

function fnv1a32Bytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
