/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-assignment -- replies are read as they came */
/** A raw WebSocket client for tests: it sends what it is told, well-formed or not. */
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { WebSocket } from 'ws';

export interface Closed {
  code: number;
  reason: string;
}

export class RawCharger {
  readonly ws: WebSocket;
  readonly closed: Promise<Closed>;
  readonly messages: unknown[] = [];
  #watchers: (() => void)[] = [];
  #nextId = 1;
  #read = 0;
  #isClosed = false;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('error', () => undefined);
    ws.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()));
      this.#notify();
    });
    this.closed = new Promise((resolve) =>
      ws.on('close', (code, reason) => {
        this.#isClosed = true;
        resolve({ code, reason: reason.toString() });
        this.#notify();
      }),
    );
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' || message instanceof Buffer ? message : JSON.stringify(message));
  }

  /** The next message that was not read yet; rejects when the socket closes instead. */
  async next(): Promise<any[]> {
    while (this.messages.length <= this.#read) {
      if (this.#isClosed) throw new Error('the socket closed');
      await new Promise<void>((next) => this.#watchers.push(next));
    }
    return this.messages[this.#read++] as any[];
  }

  /** Sends a CALL and waits for the next message. */
  async call(action: string, payload: unknown, id: string | number = String(this.#nextId++)): Promise<any[]> {
    this.send([2, id, action, payload]);
    return this.next();
  }

  close(): void {
    this.ws.terminate();
  }

  #notify(): void {
    for (const next of this.#watchers.splice(0)) next();
  }
}

export interface ConnectOptions {
  protocol?: string | null;
  headers?: Record<string, string>;
  deflate?: boolean;
}

/** Opens a socket; rejects with the HTTP status as message when the upgrade is refused. */
export async function openCharger(port: number, path: string, options: ConnectOptions = {}): Promise<RawCharger> {
  const { protocol = 'ocpp1.6', headers = {}, deflate = false } = options;
  // The client refuses an answer without the subprotocol it asked for, unless it only asked by a header.
  const accepted = protocol !== null && /^ocpp(1\.6|2\.0\.1)$/i.test(protocol);
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, accepted ? [protocol] : [], {
    headers: accepted || protocol === null ? headers : { 'Sec-WebSocket-Protocol': protocol, ...headers },
    perMessageDeflate: deflate,
  });
  const charger = new RawCharger(ws);
  await new Promise<void>((resolve, reject) => {
    ws.once('open', () => resolve());
    ws.once('error', (error) => reject(error));
    ws.once('unexpected-response', (_, response) => reject(new Error(String(response.statusCode))));
  });
  return charger;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  body: any;
}

const upgradeHeaders = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol': 'ocpp1.6',
};

/** Asks for an upgrade and returns the HTTP answer, 101 included. */
export function upgrade(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const ask = request({ port, host: '127.0.0.1', path, method, headers: { ...upgradeHeaders, ...headers } });
    ask.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: null });
    });
    ask.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) }),
      );
    });
    ask.on('error', reject);
    ask.end();
  });
}

/** Sends bytes to the port and returns the first line of the answer. */
export function rawRequest(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (answer.includes('\r\n\r\n')) socket.end();
    });
    socket.on('close', () => resolve(answer.split('\r\n')[0] ?? ''));
    socket.on('error', reject);
  });
}

/** The lines of an upgrade request with any target. */
export const upgradeText = (target: string): string =>
  [
    `GET ${target} HTTP/1.1`,
    'Host: localhost',
    ...Object.entries(upgradeHeaders).map(([k, v]) => `${k}: ${v}`),
    '',
    '',
  ].join('\r\n');
