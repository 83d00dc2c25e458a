/**
 * The typed view of ocpp-rpc's server-side client. The library's typings leave the class out of its public face and call
 * its export `default`, which it is not at run time.
 */
import type { EventEmitter } from 'node:events';
import serverClient from 'ocpp-rpc/lib/server-client.js';
import type { createValidator } from 'ocpp-rpc';
import type { WebSocket } from 'ws';

type Validator = ReturnType<typeof createValidator>;

export interface RpcClientOptions {
  identity: string;
  reconnect: false;
  callTimeoutMs: number;
  /** 0: no pings by the library. */
  pingIntervalMs: number;
  deferPingsOnActivity: boolean;
  respondWithDetailedErrors: boolean;
  callConcurrency: number;
  maxBadMessages: number;
  /** Subprotocols in the spelling of the handshake. */
  protocols: string[];
  strictMode: string[];
  strictModeValidators: Validator[];
}

/** One charger's RPC session over an open WebSocket. Methods with an underscore are the library's own. */
export interface RpcServerClient extends EventEmitter {
  readonly state: number;
  readonly protocol: string;
  call(method: string, params: unknown, options?: { callTimeoutMs?: number }): Promise<unknown>;
  sendRaw(message: string): void;
  close(options: { code: number; reason: string }): Promise<unknown>;
  /** Parser of every incoming message; replaced by ours. */
  _onMessage(message: Buffer): void;
  /** Settle a call of ours; they throw when the id is unknown. */
  _onCallResult(id: string, result: unknown): void;
  _onCallError(id: string, code: unknown, description: unknown, details: unknown): void;
}

export const RpcServerClient = serverClient as unknown as new (
  options: RpcClientOptions,
  session: { ws: WebSocket; handshake: object; session: object },
) => RpcServerClient;
