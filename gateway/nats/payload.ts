/** Bytes of a request: JSON, or MessagePack when the header says so; one command or a batch. The answer has the same form. */
import { headers as newHeaders, Match, type MsgHdrs } from '@nats-io/transport-node';
import { packr } from '#engine/wire';
import { decodeMsgpack } from './msgpack.ts';
import type { Limits } from './limits.ts';
import { refusal, type Refusal } from './refusal.ts';

const contentType = 'Content-Type';
export const msgpackType = 'application/msgpack';
export const jsonType = 'application/json';

export interface Format {
  decode(bytes: Uint8Array): unknown;
  encode(value: unknown): Uint8Array;
  /** Of the answer; JSON needs none. */
  headers?: MsgHdrs;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const text = new TextEncoder();
export const json: Format = {
  decode: (bytes) => JSON.parse(utf8.decode(bytes)) as unknown,
  encode: (value) => text.encode(JSON.stringify(value)),
};
const msgpackHeaders = newHeaders();
msgpackHeaders.set(contentType, msgpackType);
const msgpack: Format = { decode: decodeMsgpack, encode: (value) => packr.pack(value), headers: msgpackHeaders };

/** What the request's header asks for; undefined: something else. */
export function formatOf(headers: MsgHdrs | undefined): Format | undefined {
  const type = headers?.get(contentType, Match.IgnoreCase).split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === '' || type === jsonType) return json;
  return type === msgpackType ? msgpack : undefined;
}

/** One command, or a batch of them; each still to be looked at. */
export interface Asked {
  commands: readonly unknown[];
  batch: boolean;
}

type Fields = Record<string, unknown>;
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value of a payload within its size. */
export function decodePayload(bytes: Uint8Array, format: Format, bytesMax: number): { value: unknown } | Refusal {
  if (bytes.length > bytesMax) return refusal('too_large', { bytes: bytes.length, bytesMax });
  try {
    return { value: format.decode(bytes) };
  } catch (error) {
    return refusal('bad_request', { in: 'payload', reason: (error as Error).message.slice(0, 200) });
  }
}

export function readCommands(bytes: Uint8Array, format: Format, limits: Limits): Asked | Refusal {
  const payload = decodePayload(bytes, format, limits.batchBytesMax);
  if ('ok' in payload) return payload;
  const { value } = payload;
  const wrong = (reason: string) => refusal('bad_request', { in: 'payload', reason });
  if (!isFields(value)) return wrong('must be an object');
  if (!('commands' in value)) {
    if (bytes.length > limits.commandBytesMax)
      return refusal('too_large', { bytes: bytes.length, bytesMax: limits.commandBytesMax });
    return { commands: [value], batch: false };
  }
  const { commands } = value;
  if (Object.keys(value).length > 1) return wrong('a batch has nothing beside its commands');
  if (!Array.isArray(commands)) return wrong('commands must be an array');
  if (commands.length < 1 || commands.length > limits.batchMax)
    return refusal('bad_request', {
      in: 'payload',
      reason: `1 to ${limits.batchMax} commands`,
      commands: commands.length,
    });
  return { commands, batch: true };
}
