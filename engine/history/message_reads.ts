/** Pages of the message log of one charger. */
import { integer } from './customer_reads.ts';
import type { MessageType } from './messages.ts';
import { dateTime } from './place.ts';
import { decodeParts, encodeParts } from './text_cursor.ts';

type Select = (query: string, params: Record<string, unknown>) => Promise<Record<string, unknown>[]>;

export interface MessagesQuery {
  charger: string;
  /** `from ≤ at < to`, unix ms. */
  from?: number | undefined;
  to?: number | undefined;
  /** Text that stands in the payload, the action or the id, whatever its case. */
  q?: string | undefined;
  direction?: 'in' | 'out' | undefined;
  action?: string | undefined;
  /** 1 to 1,000. @default 100 */
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface MessageRecord {
  at: number;
  direction: 'in' | 'out';
  type: MessageType;
  /** Of an answer: of the call it answers; '' = unknown. */
  action: string;
  messageId: string;
  /** JSON text as it was on the wire, keys and passwords blanked; what was longer than 32 Ki characters ends in `…`. */
  payload: string;
  connectionSeq: number;
  /** Of an answer: since its call. */
  latencyMs: number | null;
}

export interface MessagesPage {
  /** Newest first. */
  rows: MessageRecord[];
  next: string | null;
}

export const messagesLimitMax = 1_000;
const limitDefault = 100;
const time = "DateTime64(3, 'UTC')";
const order = 'ORDER BY at DESC, gateway DESC, sequence DESC, `index` DESC';

/** Throws BadCursor on a cursor that no page ended with. */
export async function readMessages(select: Select, query: MessagesQuery): Promise<MessagesPage> {
  const { charger, from, to, q, direction, action, limit = limitDefault, cursor } = query;
  const rowsMax = Math.min(Math.max(Math.trunc(limit), 1), messagesLimitMax);
  const conditions = ['charger = {charger:String}'];
  const params: Record<string, unknown> = { charger, limit: rowsMax + 1 };
  const also = (condition: string, more: Record<string, unknown>) => {
    conditions.push(condition);
    Object.assign(params, more);
  };
  if (from !== undefined) also(`at >= {from:${time}}`, { from: dateTime(from) });
  if (to !== undefined) also(`at < {to:${time}}`, { to: dateTime(to) });
  if (direction !== undefined) also('direction = {direction:String}', { direction });
  if (action !== undefined) also('action = {action:String}', { action });
  if (cursor !== undefined) {
    const [endAt, gateway, sequence, index] = decodeParts(cursor, [0, '', 0, 0]);
    also(
      `at <= {endAt:${time}} AND (at, gateway, sequence, \`index\`) < ({endAt:${time}}, {gateway:String}, {sequence:UInt64}, {index:UInt32})`,
      { endAt: dateTime(endAt as number), gateway, sequence, index },
    );
  }
  if (q !== undefined) {
    const text = ['payload', 'action', 'message_id'].map((c) => `positionCaseInsensitiveUTF8(${c}, {q:String}) > 0`);
    also(`(${text.join(' OR ')})`, { q });
  }
  const where = conditions.join(' AND ');
  // Payloads are by far the most: those of the page alone are read, unless they are searched. Rows stored twice are one
  // here, too.
  const page = `AND at >= (
  SELECT min(at) FROM (
    SELECT at, gateway, sequence, \`index\` FROM gridtick.ocpp_messages_log WHERE ${where}
    ${order} LIMIT 1 BY at, gateway, sequence, \`index\` LIMIT {limit:UInt32}
  )
)`;
  const found = await select(
    `SELECT toUnixTimestamp64Milli(at) AS atMs, direction, type, action, message_id AS messageId, payload,
  connection_seq AS connectionSeq, latency_ms AS latencyMs, gateway, sequence, \`index\`
FROM gridtick.ocpp_messages_log FINAL
WHERE ${where} ${q === undefined ? page : ''}
${order} LIMIT {limit:UInt32}`,
    params,
  );
  const rows = found.slice(0, rowsMax);
  const last = rows.at(-1);
  return {
    rows: rows.map((r) => ({
      at: integer(r['atMs']),
      direction: r['direction'] as 'in' | 'out',
      type: r['type'] as MessageType,
      action: String(r['action']),
      messageId: String(r['messageId']),
      payload: String(r['payload']),
      connectionSeq: integer(r['connectionSeq']),
      latencyMs: r['latencyMs'] === null ? null : integer(r['latencyMs']),
    })),
    next:
      last !== undefined && found.length > rowsMax
        ? encodeParts([
            integer(last['atMs']),
            String(last['gateway']),
            integer(last['sequence']),
            integer(last['index']),
          ])
        : null,
  };
}
