/** Refusals where there is no reply object: of upgrades and of bytes that are no HTTP. Then the connection ends. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { randomUUID } from 'node:crypto';
import { refusals, type RefusalCode } from '#actors/refusals';
import type { Refusal } from '../schema/refusal.ts';

/** Returns the correlation id that the client was told. */
export function refuseRaw(socket: Duplex, code: RefusalCode, detail?: Record<string, unknown>): string {
  const { status } = refusals[code];
  const correlation = randomUUID();
  const refusal: Refusal = { ok: false, code, ...(detail ? { detail } : {}), correlation };
  const body = JSON.stringify(refusal);
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  return correlation;
}
