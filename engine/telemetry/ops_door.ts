/**
 * The operators' door of a process: `/metrics` for Prometheus, `/health/live` and `/health/ready` for whoever keeps it
 * running. It stands on a port of its own, so that no proxy in front of the other doors shows it to the network.
 *
 * Invariant: metrics, and the reasons of a failed check, go to loopback or to who brings the token; a bind that others
 * reach refuses to start without one.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError, isLoopback, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import type { Check } from './health.ts';

export interface OpsDoorOptions {
  config: Pick<Config, 'metricsBind' | 'metricsPort' | 'metricsToken' | 'configured'>;
  /** The exposition in Prometheus' text format 0.0.4. */
  metrics(): Promise<string>;
  ready(): Promise<{ ok: boolean; checks: Record<string, Check | object> }>;
}

export interface OpsDoor {
  port: number;
  close(): Promise<void>;
}

const textFormat = 'text/plain; version=0.0.4; charset=utf-8';
const connectionsMax = 64;
const requestTimeoutMs = 5_000;

/**
 * Listens. A usual port that is taken is left to its owner, for any free one.
 * @throws ConfigError when a configured port is taken, or the bind is for others and there is no token
 */
export async function openOpsDoor(options: OpsDoorOptions): Promise<OpsDoor> {
  const { metricsBind: bind, metricsPort, metricsToken: token, configured } = options.config;
  if (!isLoopback(bind) && token === '')
    throw new ConfigError(
      `${variable('metricsBind')}=${bind} shows metrics to the network: set ${variable('metricsToken')}`,
    );
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: Error) => send(response, 500, `${error.message}\n`));
  });
  server.maxConnections = connectionsMax;
  server.headersTimeout = server.requestTimeout = requestTimeoutMs;
  server.unref();
  if (!(await listens(server, metricsPort, bind))) {
    if (configured.has('metricsPort'))
      throw new ConfigError(
        `port ${metricsPort} on ${bind} is taken: set ${variable('metricsPort')} to a free one, or to 0`,
      );
    await listens(server, 0, bind);
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(options: OpsDoorOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?', 1)[0];
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'GET only\n');
  const trusted = isTrusted(options.config.metricsToken, request);
  if (path === '/health/live') return sendJson(response, 200, { ok: true });
  if (path === '/health/ready') {
    const { ok, checks } = await options.ready();
    return sendJson(response, ok ? 200 : 503, trusted ? { ok, checks } : { ok });
  }
  if (path !== '/metrics') return send(response, 404, '/metrics, /health/live, /health/ready\n');
  if (!trusted) {
    response.setHeader('www-authenticate', 'Bearer');
    return send(response, 401, 'a token is needed\n');
  }
  send(response, 200, await options.metrics(), textFormat);
}

/** Where a token is set it is asked of everybody: behind a proxy all of them come from loopback. */
function isTrusted(token: string, { headers }: IncomingMessage): boolean {
  if (token === '') return true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token}`));
}

const sendJson = (response: ServerResponse, status: number, body: object) =>
  send(response, status, `${JSON.stringify(body)}\n`, 'application/json; charset=utf-8');

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

function listens(server: Server, port: number, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      server.off('listening', listening);
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    const listening = () => {
      server.off('error', failed);
      resolve(true);
    };
    server.once('error', failed).once('listening', listening).listen({ port, host, exclusive: true });
  });
}
