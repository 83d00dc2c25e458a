/**
 * One supervisor per data directory. The lock is a listening socket in Linux' abstract namespace, named after the
 * directory's device and inode: the kernel frees it with the process, however that ends, and a second path to the same
 * directory (link, bind mount) is the same name. Whoever finds it taken asks it who holds it.
 */
import { statSync } from 'node:fs';
import { connect, createServer } from 'node:net';

export interface Lock {
  release(): Promise<void>;
}

export class LockHeld extends Error {
  override name = 'LockHeld';
}

/** @throws {LockHeld} that names the holder */
export async function lockDataDirectory(dataDir: string): Promise<Lock> {
  const { dev, ino } = statSync(dataDir);
  const name = `\0gridtick-data-${dev}-${ino}`;
  const holder = `process ${process.pid}, since ${new Date().toISOString()}`;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(holder);
  });
  const taken = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(true) : reject(error),
    );
    server.listen(name, () => resolve(false));
  });
  if (taken) {
    const by = await askHolder(name);
    throw new LockHeld(
      `${dataDir} is in use by another Gridtick (${by}): stop that one, or set GRIDTICK_DATA_DIR to another directory`,
    );
  }
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function askHolder(name: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(name);
    const done = () => {
      socket.destroy();
      resolve(answer || 'it does not say which process');
    };
    socket.setTimeout(1_000, done);
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('error', done);
    socket.on('close', done);
  });
}
