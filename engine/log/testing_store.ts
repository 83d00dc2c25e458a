/** What a disk can do to the files of a nats-server that is down. */
import { closeSync, openSync, readdirSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The largest file that holds messages of a stream. */
export function messageFile(storeDir: string, stream: string): string {
  const found = readdirSync(storeDir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes(`/${stream}/msgs/`) && path.endsWith('.blk'))
    .map((path) => join(storeDir, path))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  if (found[0] === undefined) throw new Error(`${stream} has no messages in ${storeDir}`);
  return found[0];
}

/** One bit is another one. @param share where: 0 = at the beginning, 1 = at the end */
export function flipBit(path: string, share: number): void {
  const file = openSync(path, 'r+');
  const at = Math.floor((statSync(path).size - 1) * share);
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  writeSync(file, Buffer.from([byte[0]! ^ 0x10]), 0, 1, at);
  closeSync(file);
}

/** The end of a file is gone. @param share what is left of it */
export const cutOff = (path: string, share: number) => truncateSync(path, Math.floor(statSync(path).size * share));
