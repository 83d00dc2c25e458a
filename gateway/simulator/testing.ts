/** A tiny OCPP system of both versions for tests: a real WebSocket server that keeps every call and answers as the test says. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

export interface Call {
  identity: string;
  /** Number of the connection of that identity, from 1. */
  connection: number;
  id: string;
  action: string;
  payload: Record<string, unknown>;
  at: number;
}

/** What to do with a call: a payload answers it, the others do what they say. */
export type Reaction = Record<string, unknown> | 'silence' | 'cut' | { error: string };

export class TestSystem {
  readonly calls: Call[] = [];
  readonly upgrades: { identity: string; at: number }[] = [];
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => ['ocpp1.6', 'ocpp2.0.1'].find((version) => offered.has(version)) ?? false,
  });
  readonly #connections = new Map<string, number>();
  readonly #newest = new Map<string, WebSocket>();
  readonly #transactions = new Map<string, number>();
  #waiting: { test: () => boolean; resolve: () => void }[] = [];
  /** May be changed at any time; undefined: the ordinary answer. */
  react: (call: Call) => Reaction | undefined = () => undefined;
  /** Refuses upgrades with this status and header while set. */
  refuse: { status: number; retryAfterS: number } | undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on('upgrade', (request, socket, head) => {
      const identity = decodeURIComponent(request.url?.split('/').at(-1) ?? '');
      this.upgrades.push({ identity, at: Date.now() });
      if (this.refuse !== undefined) {
        const { status, retryAfterS } = this.refuse;
        socket.end(
          `HTTP/1.1 ${status} No\r\nRetry-After: ${retryAfterS}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        this.#changed();
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, identity));
    });
  }

  static async open(port = 0): Promise<TestSystem> {
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new TestSystem(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ocpp`;
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  cutAll(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  /** Sends a CALL of the system to every charger. */
  send(action: string, payload: Record<string, unknown>): void {
    for (const socket of this.#sockets.clients) socket.send(JSON.stringify([2, `system-${action}`, action, payload]));
  }
  readonly answers: unknown[][] = [];

  /** Sends a CALL and resolves with its answer: a payload, or the code of a CALLERROR. */
  async ask(identity: string, action: string, payload: Record<string, unknown>): Promise<unknown> {
    const id = `ask-${(this.#asked += 1)}`;
    this.#newest.get(identity)?.send(JSON.stringify([2, id, action, payload]));
    const answer = () => this.answers.find((frame) => frame[1] === id);
    await this.until(() => answer() !== undefined, `an answer to ${action}`);
    return answer()?.[2];
  }
  #asked = 0;

  /** Answers a call that was met with silence, on the newest connection. */
  answer(identity: string, id: string, payload: Record<string, unknown>): void {
    this.#newest.get(identity)?.send(JSON.stringify([3, id, payload]));
  }

  /** Resolves as soon as the test holds; looked at whenever something arrives. */
  async until(test: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
    if (test()) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`not within ${timeoutMs} ms: ${what}; got ${this.trace()}`)),
        timeoutMs,
      );
    });
    const met = new Promise<void>((resolve) => this.#waiting.push({ test, resolve }));
    await Promise.race([met, late]).finally(() => clearTimeout(timer));
  }

  /** Actions in order, statuses by name. */
  trace(): string {
    return this.calls
      .map(({ action, payload }) => (action === 'StatusNotification' ? String(payload.status) : action))
      .join(' ');
  }

  of(action: string): Call[] {
    return this.calls.filter((call) => call.action === action);
  }

  #changed(): void {
    const met = this.#waiting.filter(({ test }) => test());
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting));
    for (const { resolve } of met) resolve();
  }

  #accept(socket: WebSocket, identity: string): void {
    const connection = (this.#connections.get(identity) ?? 0) + 1;
    this.#connections.set(identity, connection);
    this.#newest.set(identity, socket);
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString('utf8')) as unknown[];
      if (frame[0] !== 2) {
        this.answers.push(frame);
        this.#changed();
        return;
      }
      const [, id, action, payload] = frame as [2, string, string, Record<string, unknown>];
      const call = { identity, connection, id, action, payload, at: Date.now() };
      this.calls.push(call);
      const reaction = this.react(call) ?? this.#ordinary(call);
      if (reaction === 'cut') socket.terminate();
      else if (reaction !== 'silence' && 'error' in reaction)
        socket.send(JSON.stringify([4, id, reaction.error, '', {}]));
      else if (reaction !== 'silence') socket.send(JSON.stringify([3, id, reaction]));
      this.#changed();
    });
    this.#changed();
  }

  #ordinary({ identity, action, payload }: Call): Record<string, unknown> {
    const idTagInfo = { status: 'Accepted' };
    const idTokenInfo = idTagInfo;
    switch (action) {
      case 'BootNotification':
        return { status: 'Accepted', interval: 300, currentTime: new Date().toISOString() };
      case 'Heartbeat':
        return { currentTime: new Date().toISOString() };
      case 'Authorize':
        return 'idToken' in payload ? { idTokenInfo } : { idTagInfo };
      case 'TransactionEvent':
        return payload.idToken === undefined ? {} : { idTokenInfo };
      case 'StartTransaction': {
        // The same start gets the same transaction for ever.
        const key = JSON.stringify([identity, payload]);
        const transactionId = this.#transactions.get(key) ?? this.#transactions.size + 1;
        this.#transactions.set(key, transactionId);
        return { transactionId, idTagInfo };
      }
      case 'StopTransaction':
        return { idTagInfo };
      default:
        return {};
    }
  }
}
