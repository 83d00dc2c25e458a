/** Connections to the log that never give up by themselves; nats.js would after about 20 s. */
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { AuthorizationError } from '@nats-io/transport-node';

export interface ConnectOptions {
  /** Keep trying until the first connection stands; false: the first failure is thrown. @default true */
  waitForFirst?: boolean;
  /** Ends the waiting for the first connection. */
  signal?: AbortSignal;
}

const reconnectMsMin = 100;
const reconnectMsMax = 250;
const pingMs = 5_000;
const reconnectMs = () => reconnectMsMin + Math.random() * (reconnectMsMax - reconnectMsMin);

/**
 * Connects to `url` (`nats://user:password@host:port`; user and password may be missing), for ever: after a loss it
 * redials every 100–250 ms. A refused password is thrown at first and tried again later, as accounts change by reload.
 */
export async function connectLog(url: string, name?: string, options: ConnectOptions = {}): Promise<NatsConnection> {
  const { server, user, pass } = parseLogUrl(url);
  for (;;) {
    try {
      return await connect({
        servers: server,
        ...(name === undefined ? {} : { name }),
        ...(user === undefined ? {} : { user }),
        ...(pass === undefined ? {} : { pass }),
        maxReconnectAttempts: -1,
        reconnectTimeWait: reconnectMsMin,
        reconnectDelayHandler: reconnectMs,
        pingInterval: pingMs,
        maxPingOut: 2,
        ignoreAuthErrorAbort: true,
        noAsyncTraces: true,
        timeout: 5_000,
      });
    } catch (error) {
      if (options.waitForFirst === false || error instanceof AuthorizationError) throw error;
      await delay(reconnectMs(), undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}

/** Splits a NATS URL; user and password are percent-decoded. */
export function parseLogUrl(url: string): { server: string; user?: string; pass?: string } {
  const parsed = new URL(url.includes('://') ? url : `nats://${url}`);
  if (parsed.protocol !== 'nats:') throw new Error(`not a NATS URL: '${parsed.protocol}//${parsed.host}'`);
  return {
    server: `${parsed.hostname}:${parsed.port || '4222'}`,
    ...(parsed.username === '' ? {} : { user: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { pass: decodeURIComponent(parsed.password) }),
  };
}

export interface ConnectionListener {
  /** The connection is lost: whatever was not answered is uncertain, and what is published now is thrown away. */
  lost(): void;
  /** It stands again, subscriptions included. */
  back(): void;
}

// One status iterator per connection: readers and writers come and go by the dozen.
const listeners = new WeakMap<NatsConnection, Set<ConnectionListener>>();

/** Tells `listener` of every loss and return of the connection until the returned function is called. */
export function watchConnection(nc: NatsConnection, listener: ConnectionListener): () => void {
  let all = listeners.get(nc);
  if (!all) {
    all = new Set();
    listeners.set(nc, all);
    void dispatch(nc, all);
  }
  all.add(listener);
  return () => all.delete(listener);
}

async function dispatch(nc: NatsConnection, all: Set<ConnectionListener>): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === 'disconnect' || status.type === 'close') for (const l of [...all]) l.lost();
    else if (status.type === 'reconnect') for (const l of [...all]) l.back();
  }
}
