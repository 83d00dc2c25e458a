/**
 * The way from an HTTP upgrade to an open socket. Everything is decided before the library sees the request:
 * URL → admission → registered charger → credentials → version → handshake. Each refusal is an HTTP status with a code.
 */
import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { AdmissionControl } from './admission.ts';
import type { Authenticator } from './authentication.ts';
import type { Counters } from './counters.ts';
import type { Log } from './door.ts';
import { foldIdentity, identityFromUrl } from './identity.ts';
import type { Limits } from './limits.ts';
import { acceptableExtensions, chooseVersion, type Choice } from './subprotocol.ts';
import type { OcppTransport, Upgrade } from './transport.ts';

/** A charger as it is registered. */
export interface Resolved {
  /** The registered spelling of its identity, used everywhere. */
  charger: string;
  site: string;
  station: string;
  securityProfile: number;
  passwordHash: string;
  /** Networks of its site from which profile 0 is allowed. */
  profile0Networks: readonly string[];
}

/** null: no such charger. 'starting': not known yet whether there is one. */
export type Resolve = (identityFolded: string) => Promise<Resolved | null | 'starting'>;

interface Refusal {
  status: number;
  code: string;
  reason: string;
  headers?: Record<string, string>;
}

export interface UpgradesOptions {
  limits: Limits;
  counters: Counters;
  log: Log;
  resolve: Resolve;
  admission: AdmissionControl;
  authenticator: Authenticator;
  transport: OcppTransport;
  /** p99 of the event loop's lag, ms. */
  lagMs: () => number;
  /** False while the log is down or the gateway stops. */
  serving: () => boolean;
  serve: (upgrade: Upgrade, charger: Resolved, choice: Choice, remote: string) => void;
}

const unknownLoggedMax = 1_000;
const delayedRefusalsMax = 1_000;

export class Upgrades {
  readonly #o: UpgradesOptions;
  /** Unknown identities and when they were logged last: once a minute each. */
  readonly #unknown = new Map<string, number>();
  #delayed = 0;

  constructor(options: UpgradesOptions) {
    this.#o = options;
  }

  /** Takes one upgrade to its end; never throws. */
  async handle(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    try {
      const refusal = await this.#vet({ request, socket, head }, () => socket.off('error', onError));
      if (refusal) this.#refuse(socket, refusal);
    } catch (error) {
      this.#o.log.error({ error, url: request.url?.slice(0, 256) }, 'upgrade failed');
      this.#refuse(socket, { status: 500, code: 'internal_error', reason: 'the upgrade failed' });
    }
  }

  async #vet(upgrade: Upgrade, handOver: () => void): Promise<Refusal | null> {
    const { admission, serving, lagMs, counters } = this.#o;
    const { request } = upgrade;
    const path = identityFromUrl(request.url);
    if (!path.ok) return { status: 400, code: 'bad_request', reason: path.reason };
    const malformed = malformedUpgrade(request);
    if (malformed) return malformed;
    const started = performance.now();
    const later = (code: string, reason: string, s = admission.retryAfterS(path.identity, started)): Refusal => ({
      status: 503,
      code,
      reason,
      headers: { 'Retry-After': String(s) },
    });
    if (!serving()) return later('unavailable', 'no messages can be stored; try again later');
    const admitted = admission.ask(path.identity, started, lagMs());
    if (!admitted.admitted) return later('overloaded', 'too many chargers connect at once', admitted.retryAfterS);

    let refusal: Refusal | null;
    try {
      refusal = await this.#admit(upgrade, path.identity, later, handOver);
    } finally {
      // A refused password waits outside, so that guessing does not fill the handshakes.
      admission.done();
    }
    if (refusal?.status === 401) {
      counters.failedAuthentications += 1;
      const rest = this.#o.limits.refusalFloorMs - (performance.now() - started);
      if (rest > 0 && this.#delayed < delayedRefusalsMax) {
        this.#delayed += 1;
        await delay(rest);
        this.#delayed -= 1;
      }
    }
    return refusal;
  }

  async #admit(
    upgrade: Upgrade,
    identity: string,
    later: (code: string, reason: string) => Refusal,
    handOver: () => void,
  ): Promise<Refusal | null> {
    const { resolve, authenticator, transport, limits, log, serve, serving } = this.#o;
    const { request, socket } = upgrade;
    const remote = request.socket.remoteAddress ?? '';
    const found = resolve(foldIdentity(identity)).catch((error: unknown) => {
      log.warn({ identity, error }, 'charger not looked up');
      return 'starting' as const;
    });
    const charger = await withDeadline(found, limits.handshakeMs);
    if (charger === 'late' || charger === 'starting') return later('starting', 'live state is still being loaded');
    if (charger === null) {
      this.#logUnknown(identity, remote);
      return { status: 404, code: 'unknown_charger', reason: 'no charger is registered under this identity' };
    }
    // Without a password the network is all there is, and a page in somebody's browser is in it too. No charger has an origin.
    if (charger.securityProfile === 0 && request.headers.origin !== undefined) {
      log.warn({ charger: charger.charger, remote, origin: request.headers.origin.slice(0, 128) }, 'charger refused');
      return { status: 403, code: 'bad_origin', reason: 'a web page is no charger' };
    }
    const checked = authenticator.verdict(charger, request.headers.authorization, remote, Date.now());
    const verdict = await withDeadline(checked, limits.handshakeMs);
    if (verdict === 'late') return later('overloaded', 'too many passwords to check');
    if (!verdict.allowed) {
      const { status, code, reason } = verdict;
      log.warn({ charger: charger.charger, remote, status, code }, 'charger refused');
      if (status === 503) return later(code, reason);
      const headers: Record<string, string> =
        status === 401 ? { 'WWW-Authenticate': 'Basic realm="ocpp"' } : status === 429 ? { 'Retry-After': '60' } : {};
      return { status, code, reason, headers };
    }
    if (!serving()) return later('unavailable', 'no messages can be stored; try again later');
    if (socket.destroyed || !socket.readable) return null;

    const extensions = acceptableExtensions(request.headers['sec-websocket-extensions']);
    if (extensions === undefined) delete request.headers['sec-websocket-extensions'];
    else request.headers['sec-websocket-extensions'] = extensions;
    const choice = chooseVersion(request.headers['sec-websocket-protocol']);
    handOver();
    if (choice) serve(upgrade, charger, choice, remote);
    else {
      log.warn(
        { charger: charger.charger, offered: request.headers['sec-websocket-protocol']?.slice(0, 128) },
        'no common version',
      );
      transport.decline(upgrade);
    }
    return null;
  }

  #logUnknown(identity: string, remote: string): void {
    const now = performance.now();
    const last = this.#unknown.get(identity);
    if (last !== undefined && now - last < 60_000) return;
    this.#unknown.delete(identity);
    this.#unknown.set(identity, now);
    if (this.#unknown.size > unknownLoggedMax) this.#unknown.delete(this.#unknown.keys().next().value as string);
    this.#o.log.warn({ identity, remote }, 'unknown charger');
  }

  #refuse(socket: Duplex, { status, code, reason, headers = {} }: Refusal): void {
    this.#o.counters.count('refusedUpgrades', status);
    endWith(socket, status, { code, message: reason }, headers);
  }
}

/** What the WebSocket library would refuse; asked first, so that it costs no look-up. */
function malformedUpgrade({ method, headers }: IncomingMessage): Refusal | null {
  const bad = (reason: string, status = 400, more = {}): Refusal => ({
    status,
    code: 'bad_request',
    reason,
    headers: more,
  });
  if (method !== 'GET') return bad('an upgrade is a GET request', 405, { Allow: 'GET' });
  if (headers.upgrade?.toLowerCase() !== 'websocket') return bad('only WebSocket upgrades are served');
  if (!/^[+/0-9a-z]{22}==$/i.test(headers['sec-websocket-key'] ?? ''))
    return bad('Sec-WebSocket-Key is missing or malformed');
  const version = headers['sec-websocket-version'];
  if (version !== '13' && version !== '8')
    return bad('WebSocket version 13 is needed', 426, { 'Sec-WebSocket-Version': '13, 8' });
  return null;
}

/** Writes a whole HTTP response with a JSON body to a raw socket and closes it. */
export function endWith(
  socket: Duplex,
  status: number,
  error: { code: string; message: string },
  headers: Record<string, string> = {},
): void {
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify({ error });
  const lines = {
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const head = Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}\r\n${body}`);
}

async function withDeadline<Value>(promise: Promise<Value>, ms: number): Promise<Value | 'late'> {
  const end = new AbortController();
  try {
    return await Promise.race([promise, delay(ms, 'late' as const, { signal: end.signal })]);
  } finally {
    end.abort();
  }
}
