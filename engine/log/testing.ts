/** A real nats-server for tests: free loopback port, JetStream in a temporary directory, killable. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestNatsOptions {
  /** Keeps the store of an earlier server; it is then not removed by `stop`. @default a temporary directory */
  storeDir?: string;
  /** @default a free one */
  port?: number;
  /** Renders the whole server configuration instead of the plain one. */
  config?: (place: { port: number; storeDir: string }) => string;
  /** Bytes of file storage the server may hand out. @default 1 TiB, only reserved and never used */
  maxFileBytes?: number;
}

export interface TestNats {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  /** Process id of the present server. */
  readonly pid: number;
  /** Starts it again on the same port and store; after `kill9`, or instead of a running one. */
  restart(): Promise<void>;
  /** SIGKILL, resolves when the process is gone. */
  kill9(): Promise<void>;
  /** SIGTERM: it writes down what its files hold, and trusts that at its next start. */
  leave(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
}

/** Starts nats-server and resolves when it accepts clients. */
export async function startTestNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const own = options.storeDir === undefined;
  const home = await mkdtemp(join(tmpdir(), 'gridtick-nats-'));
  const storeDir = options.storeDir ?? join(home, 'store');
  const port = options.port ?? (await freePort());
  const configFile = join(home, 'nats.conf');
  const text = options.config?.({ port, storeDir }) ?? plainConfig(port, storeDir, options.maxFileBytes ?? 2 ** 40);
  await writeFile(configFile, text, { mode: 0o600 });

  let child = await launch(configFile);
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  };
  const onExit = () => child.kill('SIGKILL');
  process.on('exit', onExit);
  return {
    get pid() {
      return child.pid ?? 0;
    },
    url: `nats://127.0.0.1:${port}`,
    port,
    storeDir,
    async restart() {
      await end('SIGTERM');
      child = await launch(configFile);
    },
    kill9: () => end('SIGKILL'),
    leave: () => end('SIGTERM'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async stop() {
      process.off('exit', onExit);
      await end('SIGKILL');
      await rm(home, { recursive: true, force: true });
      if (own) await rm(storeDir, { recursive: true, force: true });
    },
  };
}

export interface TestProxy {
  readonly port: number;
  readonly url: string;
  /** Ends all connections; new ones are let through. For `lingerMs` the server still takes the old ones for open. @default 0 */
  cut(lingerMs?: number): void;
  /** Throws away what the server says on the present connections: what is published is stored, its acks are lost. */
  mute(): void;
  /** Nothing goes through, either way, as if the client were paused; it is not lost, and all comes with `flow`. */
  hold(): void;
  flow(): void;
  /** Holds everything back for so long, both ways. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

/** A TCP proxy in front of a test server, for failures of the network. */
export async function startTestProxy(targetPort: number): Promise<TestProxy> {
  const sockets = new Set<Socket>();
  const clients = new Map<Socket, { muted: boolean }>();
  let lingerMs = 0;
  let delayMs = 0;
  /** What comes from one side goes to the other in order, each piece when it is due. */
  const forward = (from: Socket, to: Socket, isMuted: () => boolean) => {
    const held: { chunk: Buffer; dueAt: number }[] = [];
    const drain = () => {
      for (let first = held[0]; first; first = held[0]) {
        const waitMs = first.dueAt - performance.now();
        if (waitMs > 0) return void setTimeout(drain, waitMs);
        held.shift();
        if (!isMuted()) to.write(first.chunk);
      }
    };
    from.on('data', (chunk) => {
      held.push({ chunk, dueAt: performance.now() + delayMs });
      if (held.length === 1) drain();
    });
  };
  const server = createServer((client) => {
    const upstream = createConnection(targetPort, '127.0.0.1');
    const state = { muted: false };
    clients.set(client, state);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        clients.delete(client);
        client.destroy();
        // What has been sent still reaches the server, as it would after a broken link.
        if (lingerMs > 0) setTimeout(() => upstream.end(), lingerMs);
        else upstream.end();
      });
    }
    forward(client, upstream, () => false);
    forward(upstream, client, () => state.muted);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    cut(ms = 0) {
      lingerMs = ms;
      for (const client of [...clients.keys()]) client.destroy();
    },
    mute() {
      for (const state of clients.values()) state.muted = true;
    },
    hold() {
      for (const socket of sockets) socket.pause();
    },
    flow() {
      for (const socket of sockets) socket.resume();
    },
    delay(ms) {
      delayMs = ms;
    },
    async stop() {
      server.close();
      for (const socket of [...sockets]) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const plainConfig = (port: number, storeDir: string, maxFileBytes: number) =>
  [
    `listen: "127.0.0.1:${port}"`,
    'max_payload: 1048576',
    `jetstream { store_dir: ${JSON.stringify(storeDir)}, max_file_store: ${maxFileBytes}, max_memory_store: 268435456 }`,
  ].join('\n');

async function launch(configFile: string): Promise<ChildProcess> {
  const child = spawn('nats-server', ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${log}`)));
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
      if (log.includes('Server is ready')) resolve();
    });
  });
  child.removeAllListeners('exit');
  child.removeAllListeners('error');
  child.on('error', () => undefined);
  return child;
}
