/**
 * The wire: WebSockets with ocpp-rpc on top, behind an interface small enough to be replaced.
 *
 * The library keeps the session and brings the schemas. Our calls are written as they are, under ids of their own. Its parser
 * of incoming messages is replaced by {@link readFrame}, because it refuses numeric ids, answers in the wrong spelling,
 * echoes payloads in errors, runs any number of handlers at once and never stops reading.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { callErrorText, type CallError } from './errors.ts';
import { readFrame, type Call, type Frame } from './frame.ts';
import type { Limits } from './limits.ts';
import { RpcServerClient } from './ocpp_rpc.ts';
import { deflate, type Choice } from './subprotocol.ts';
import type { FrameTap } from './trace.ts';
import type { Validator } from './validation.ts';
import { versions, type OcppVersion } from './versions.ts';

export interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** A CALL in arrival order: to be handled, or to be refused when its turn comes. */
export type IncomingCall = Call | Extract<Frame, { kind: 'malformed' }>;

/** What the charger says to a CALL of ours. */
export type Answer = Extract<Frame, { kind: 'answer' }>;

/** Whoever serves a socket. */
export interface CallReceiver {
  onCall(call: IncomingCall): void;
  /** CALLRESULT or CALLERROR, out of band: it never waits behind the charger's own calls. False: nobody waits for it. */
  onAnswer(answer: Answer): boolean;
  /** A frame without consequence: unknown message type, unreadable, or an answer nobody waits for. */
  onOddFrame(kind: 'ignored' | 'unreadable' | 'unmatched'): void;
  /** Once, whatever closed it; 1006 without a closing handshake. */
  onClosed(code: number): void;
}

/** One charger's open socket. It starts paused: nothing is read before `resume`. */
export interface OcppSocket {
  /** Sees every frame from now on, both ways. */
  tap: FrameTap | null;
  /** When anything was last heard of the charger, pongs included; monotonic ms. */
  readonly heardAt: number;
  /** Bytes written but not taken by the network yet. */
  readonly bufferedBytes: number;
  /** Sends a CALLRESULT; ids and payload are JSON texts. Without effect once the socket closes. */
  answer(idText: string, payload: string): void;
  /** Sends a CALLERROR. */
  refuse(idText: string, error: CallError): void;
  /** Sends a CALL of ours as it is; its answer comes to the receiver. False once the socket closes. */
  send(frame: string): boolean;
  pause(): void;
  resume(): void;
  ping(): void;
  /** Starts the closing handshake; pending calls are rejected, nothing is waited for. */
  close(code: number, reason: string): void;
  terminate(): void;
}

export interface OcppTransport {
  /** Finishes the handshake with the charger's own spelling of the version. Throws nothing; a dead socket never arrives. */
  accept(upgrade: Upgrade, identity: string, choice: Choice, serve: (socket: OcppSocket) => CallReceiver): void;
  /** Finishes the handshake without a subprotocol and closes at once, as OCPP-J asks for where no version fits. */
  decline(upgrade: Upgrade): void;
}

const declineMs = 2_000;

/** `ws` as a server without a port, and one RPC session per socket. */
export function rpcTransport(limits: Limits): OcppTransport {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: limits.messageBytes,
    perMessageDeflate: deflate,
  });
  return {
    accept({ request, socket, head }, identity, choice, serve) {
      request.headers['sec-websocket-protocol'] = choice.spelling;
      sockets.handleUpgrade(request, socket, head, (ws) => new RpcSocket(ws, identity, choice, limits, serve));
    },
    decline({ request, socket, head }) {
      delete request.headers['sec-websocket-protocol'];
      sockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on('error', () => ws.terminate());
        ws.close(1002, 'no common OCPP version');
        setTimeout(() => ws.terminate(), declineMs).unref();
      });
    },
  };
}

class RpcSocket implements OcppSocket {
  tap: FrameTap | null = null;
  heardAt = performance.now();
  readonly #ws: WebSocket;
  readonly #client: RpcServerClient;
  readonly #receiver: CallReceiver;
  readonly #version: OcppVersion;
  readonly #unreadableMax: number;
  #unreadable = 0;
  /** The library listens for messages; what is read earlier is lost. */
  #listening = false;
  #paused = true;

  constructor(
    ws: WebSocket,
    identity: string,
    { version, spelling }: Choice,
    limits: Limits,
    serve: (socket: OcppSocket) => CallReceiver,
  ) {
    this.#ws = ws;
    this.#version = versions[version];
    this.#unreadableMax = limits.unreadableFrames;
    // Before anything else: the library listens from the next tick on, and frames may have come with the handshake.
    ws.pause();
    this.#client = new RpcServerClient(
      {
        identity,
        reconnect: false,
        callTimeoutMs: 30_000,
        callConcurrency: 1,
        // One sweep of the gateway pings all sockets; a timer per charger would cost more than the charger.
        pingIntervalMs: 0,
        deferPingsOnActivity: false,
        respondWithDetailedErrors: false,
        maxBadMessages: Infinity,
        protocols: [spelling],
        strictMode: [spelling],
        strictModeValidators: [validatorSpelled(this.#version.validator, spelling)],
      },
      { ws, handshake: {}, session: {} },
    );
    process.nextTick(() => {
      this.#listening = true;
      if (!this.#paused) ws.resume();
    });
    this.#client._onMessage = (message) => this.#read(message);
    // All that leaves goes through here: our answers, and the library's calls.
    const sendRaw = this.#client.sendRaw.bind(this.#client);
    this.#client.sendRaw = (message) => {
      sendRaw(message);
      this.tap?.outgoing(message);
    };
    const heard = () => (this.heardAt = performance.now());
    ws.on('ping', heard);
    ws.on('pong', heard);
    this.#receiver = serve(this);
    this.#client.once('close', ({ code }: { code: number }) => this.#receiver.onClosed(code));
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  answer(idText: string, payload: string): void {
    if (this.#client.state === WebSocket.OPEN) this.#client.sendRaw(`[3,${idText},${payload}]`);
  }

  refuse(idText: string, error: CallError): void {
    if (this.#client.state === WebSocket.OPEN)
      this.#client.sendRaw(callErrorText(idText, error, this.#version.errorNames));
  }

  send(frame: string): boolean {
    if (this.#client.state !== WebSocket.OPEN) return false;
    this.#client.sendRaw(frame);
    return true;
  }

  pause(): void {
    this.#paused = true;
    this.#ws.pause();
  }

  resume(): void {
    // What came while nobody read was not silence.
    this.heardAt = performance.now();
    this.#paused = false;
    if (this.#listening) this.#ws.resume();
  }

  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }

  close(code: number, reason: string): void {
    // A paused socket would never see the charger's closing frame.
    this.#ws.resume();
    this.#client.close({ code, reason }).catch(() => this.#ws.terminate());
  }

  terminate(): void {
    this.#ws.terminate();
  }

  #read(message: Buffer): void {
    this.heardAt = performance.now();
    if (this.#client.state !== WebSocket.OPEN) return;
    this.tap?.incoming(message);
    const frame = readFrame(message);
    if (frame.kind === 'unreadable') {
      this.#receiver.onOddFrame('unreadable');
      if (this.#version.answersOddFrames) this.refuse('"-1"', unreadable);
      if (++this.#unreadable >= this.#unreadableMax) this.close(1002, 'too many unreadable frames');
      return;
    }
    this.#unreadable = 0;
    if (frame.kind === 'empty') this.#receiver.onOddFrame('ignored');
    else if (frame.kind === 'unknown') {
      this.#receiver.onOddFrame('ignored');
      if (frame.idText !== null && this.#version.answersOddFrames) this.refuse(frame.idText, unknownType);
    } else if (frame.kind === 'answer') {
      if (!this.#receiver.onAnswer(frame)) this.#receiver.onOddFrame('unmatched');
    } else this.#receiver.onCall(frame);
  }
}

/** OCPP-J 2.0.1, 4.3: an error without an id to echo carries -1. */
const unreadable: CallError = { code: 'RpcFrameworkError', description: 'no RPC message with a readable id' };
const unknownType: CallError = { code: 'MessageTypeNotSupported', description: 'no such message type' };

const spelled = new Map<string, Validator>();

/** The library looks validators up by the exact subprotocol of the handshake. */
function validatorSpelled(validator: Validator, spelling: string): Validator {
  let alias = spelled.get(spelling);
  if (!alias) {
    alias = Object.assign(Object.create(Object.getPrototypeOf(validator) as object) as Validator, {
      _subprotocol: spelling,
      _ajv: validator._ajv,
    });
    spelled.set(spelling, alias);
  }
  return alias;
}
