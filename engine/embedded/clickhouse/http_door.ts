/** The part of ClickHouse's HTTP interface that clients use, in front of the embedded engine. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Engine } from './engine.ts';
import { ClickHouseException, exception, fromEngine, httpStatus } from './exception.ts';
import { catalogueStatements } from './analyst_catalogue.ts';
import { analystViews } from './analyst_guard.ts';
import { Gate } from './gate.ts';
import { HeldSessions } from './held_sessions.ts';
import { addSetting, readRequest, type Asked, type Passwords, type User } from './http_request.ts';
import { runQuery, type QueryContext } from './query_runner.ts';
import { Quota } from './quota.ts';
import { decoded, statementMax } from './request_body.ts';
import { Response as Answer } from './response.ts';

export interface DoorOptions {
  engine: Engine;
  bind: string;
  /** 0 = any free port */
  port: number;
  passwords: Passwords;
  /** Where large inserts wait until their last byte has come. */
  spoolDirectory: string;
  log: Logger;
  /** Queries that run and wait at once per user. @default analyst 2 + 16, gridtick 8 + 64 */
  gates?: Record<User, Gate>;
  /** What the analyst may take in an hour. @default 20,000 queries, 30 min of execution */
  quota?: Quota;
}

export interface Door {
  readonly port: number;
  /** Refuses new requests, cancels running reads and waits for the rest. */
  close(): Promise<void>;
}

/** Requests in work at once, whatever they do; one more is refused at once. */
const requestsMax = 128;
/** A client that takes no byte of its result for so long is cut off. */
const sendTimeoutMs = 60_000;

export async function openDoor(options: DoorOptions): Promise<Door> {
  const { engine, log } = options;
  engine.prepare(catalogueStatements(analystViews));
  const gates = options.gates ?? { analyst: new Gate(2, 16), gridtick: new Gate(8, 64) };
  const quota = options.quota ?? new Quota({ queries: 20_000, executionMs: 1_800_000 });
  const held = new HeldSessions(engine);
  const running = new Set<Promise<void>>();
  const aborts = new Set<AbortController>();

  const server = createServer(
    // A statement may stand in the URL; its own limit is the parser's.
    { maxHeaderSize: 256 * 1024, keepAliveTimeout: 30_000, headersTimeout: 20_000, requestTimeout: 600_000 },
    (request, response) => {
      const abort = new AbortController();
      aborts.add(abort);
      response.on('close', () => !response.writableFinished && abort.abort());
      abort.signal.addEventListener('abort', () => !request.complete && request.destroy());
      const work = handle(request, response, abort.signal).finally(() => {
        aborts.delete(abort);
        running.delete(work);
      });
      running.add(work);
    },
  );

  async function handle(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const answer = new Answer(response, engine.version, sendTimeoutMs);
    const started = performance.now();
    let asked: Asked | undefined;
    try {
      const url = new URL(request.url ?? '/', 'http://door');
      if (url.pathname === '/ping') return answer.plain(200, 'Ok.\n');
      if (url.pathname !== '/') return answer.plain(404, 'There is no such page; queries go to /\n');
      if (!['GET', 'POST'].includes(request.method ?? '')) return answer.plain(405, 'Use GET or POST\n');
      if (request.method === 'GET' && url.search === '') return answer.plain(200, 'Ok.\n');
      if (running.size > requestsMax) {
        throw exception('TOO_MANY_SIMULTANEOUS_QUERIES', `More than ${requestsMax} requests at once`);
      }
      asked = readRequest(request, url, options.passwords);
      answer.identify(asked.queryId);
      answer.encoding = asked.encoding;
      const body = await readBody(request, asked);
      const { spoolDirectory } = options;
      const context: QueryContext = {
        engine,
        asked,
        body,
        answer,
        signal,
        gate: gates[asked.user],
        ...(asked.user === 'analyst' && { quota }),
        held,
        spoolDirectory,
      };
      await runQuery(context);
    } catch (error) {
      if (error instanceof TypeError || error instanceof ReferenceError) log.error({ err: error }, 'bug in the door');
      const failed = signal.aborted
        ? exception('QUERY_WAS_CANCELLED', 'The client went away')
        : error instanceof ClickHouseException
          ? error
          : bodyError(error);
      log.debug(
        { queryId: asked?.queryId, user: asked?.user, code: failed.code, text: failed.message },
        'query failed',
      );
      answer.fail(failed, httpStatus(failed));
      // What is left of the body would otherwise be read to its end.
      if (!request.complete) request.destroy();
    } finally {
      const ms = Math.round(performance.now() - started);
      if (ms > 5_000) log.info({ queryId: asked?.queryId, user: asked?.user, ms }, 'slow query');
    }
  }

  await listen(server, options.port, options.bind);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      for (const abort of aborts) abort.abort();
      await Promise.allSettled(running);
      held.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Bodies as clients send them: the statement or its data, or a form whose parts are `query` and `param_…`. */
async function readBody(request: IncomingMessage, asked: Asked): Promise<AsyncIterable<Buffer, unknown>> {
  const stream = decoded(request);
  const type = request.headers['content-type'] ?? '';
  if (!/^multipart\/form-data/i.test(type)) return stream;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    parts.push(chunk);
    if ((size += chunk.length) > statementMax * 4) throw exception('QUERY_IS_TOO_LARGE', 'The form exceeds 4 MiB');
  }
  const form = await new Response(Buffer.concat(parts), { headers: { 'content-type': type } }).formData();
  for (const [name, value] of form) {
    if (typeof value !== 'string') throw exception('NOT_IMPLEMENTED', 'External tables are not available here');
    if (name === 'query') asked.query += value;
    else addSetting(name, value, asked.settings, asked.params);
  }
  return (async function* () {})();
}

/** Broken compression and broken forms are the client's errors; all else is told as it is. */
function bodyError(error: unknown): ClickHouseException {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('Z_') || code.startsWith('ERR__ERROR') || /form/i.test(String(error))) {
    return exception('BAD_ARGUMENTS', `The body cannot be read: ${(error as Error).message}`);
  }
  return fromEngine(error);
}

const listen = (server: Server, port: number, bind: string) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, bind, () => {
      server.off('error', reject);
      resolve();
    });
  });
