/**
 * The trace of what goes over the chargers' sockets, as gateways write it and the history reads it: batches of frames,
 * each known by the gateway process, the batch's number and the place in it. A batch that comes twice gives the same rows.
 */
import { packr } from '../wire.ts';
import { dateTime } from './place.ts';

/** One frame. Times: unix ms of the log's clock; latency by the machine's. */
export type TracedFrame = [
  at: number,
  direction: 'in' | 'out',
  charger: string,
  connectionSeq: number,
  /** Of an answer: the action it answers, '' when nobody knows. */
  action: string,
  latencyMs: number | null,
  /** As on the wire, keys and passwords blanked. */
  text: string,
];

export interface MessageBatch {
  v: 1;
  /** Id of the gateway process. */
  gateway: string;
  /** Dense from 1 per gateway process. */
  sequence: number;
  /** Frames that this process could not keep since its start. */
  dropped: number;
  frames: TracedFrame[];
}

export const encodeMessageBatch = (batch: MessageBatch): Uint8Array => packr.pack(batch);

/** Throws on bytes that are no batch. */
export function decodeMessageBatch(bytes: Uint8Array): MessageBatch {
  const batch = packr.unpack(bytes) as Partial<MessageBatch> | null;
  const usable =
    typeof batch === 'object' &&
    batch?.v === 1 &&
    typeof batch.gateway === 'string' &&
    Number.isSafeInteger(batch.sequence) &&
    Array.isArray(batch.frames);
  if (!usable) throw new Error('not a batch of messages');
  return batch as MessageBatch;
}

export const messageTypes = ['call', 'result', 'error', 'other'] as const;
export type MessageType = (typeof messageTypes)[number];

export interface MessageRow {
  charger: string;
  at: string;
  direction: 'in' | 'out';
  type: MessageType;
  action: string;
  message_id: string;
  payload: string;
  connection_seq: number;
  latency_ms: number | null;
  gateway: string;
  sequence: number;
  index: number;
}

/** A frame taken apart without reading its payload: what stands behind id, action or code is text, whole or cut off. */
export interface FrameParts {
  type: MessageType;
  messageId: string;
  /** Of a call. */
  action: string;
  payload: string;
}

const start = /\s*\[\s*([234])\s*,\s*("(?:[^"\\]|\\.){0,255}"|-?[\d.eE+-]{1,64})\s*,\s*/y;
const actionText = /"([^"\\]{0,128})"\s*(?:,\s*|(?=\]))/y;
const types = { 2: 'call', 3: 'result', 4: 'error' } as const;

/** The head of a frame, and where its payload begins. */
export function frameHead(text: string): Omit<FrameParts, 'payload'> & { payloadAt: number } {
  start.lastIndex = 0;
  const found = start.exec(text);
  if (!found) return { type: 'other', messageId: '', action: '', payloadAt: 0 };
  const type = types[Number(found[1]) as keyof typeof types];
  const id = found[2] as string;
  const messageId = !id.startsWith('"') ? id : id.includes('\\') ? unquoted(id) : id.slice(1, -1);
  const payloadAt = start.lastIndex;
  if (type !== 'call') return { type, messageId, action: '', payloadAt };
  actionText.lastIndex = payloadAt;
  const action = actionText.exec(text);
  return action
    ? { type, messageId, action: action[1] as string, payloadAt: actionText.lastIndex }
    : { type: 'other', messageId, action: '', payloadAt };
}

export function frameParts(text: string): FrameParts {
  const { payloadAt, ...head } = frameHead(text);
  if (payloadAt === 0) return { ...head, payload: text };
  const rest = text.slice(payloadAt).trimEnd();
  const payload = rest.endsWith(']') ? rest.slice(0, -1) : rest;
  // Code, description and details of an error stay together.
  return { ...head, payload: head.type === 'error' ? `[${payload}]` : payload };
}

function unquoted(id: string): string {
  try {
    // A half of a surrogate pair is no text that a store takes.
    return Buffer.from(JSON.parse(id) as string).toString();
  } catch {
    return id.slice(1, -1);
  }
}

/** Rows of a batch, one per frame. */
export const messageRows = ({ gateway, sequence, frames }: MessageBatch): MessageRow[] =>
  frames.map(([at, direction, charger, connectionSeq, action, latencyMs, text], index) => {
    const parts = frameParts(text);
    return {
      charger,
      at: dateTime(at),
      direction,
      type: parts.type,
      action: parts.action || action,
      message_id: parts.messageId,
      payload: parts.payload,
      connection_seq: connectionSeq,
      latency_ms: latencyMs,
      gateway,
      sequence,
      index,
    };
  });
