/** Every failure leaves as `{ ok: false, code, detail?, correlation }` with the status of its code. */
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HashingOverloaded } from '../auth/password.ts';
import type { Refusal } from '../schema/refusal.ts';
import { refuseRaw } from '../live/refuse_raw.ts';
import { Refused } from './refused.ts';

/** The body's fields that are SEK as text: what does not fit their pattern is an amount that is none. */
const amountField = /^\/(amount|limit)$/;

/** When a refusal with 503 does not say when to come again, ms. */
const busyRetryMs = 2_000;

interface SchemaError {
  instancePath?: string;
  message?: string;
  params?: object;
}

/** The refusal for what a request's schema says against a part of it. */
export function badRequest(errors: readonly SchemaError[], where: string): Refused {
  const [first] = errors;
  const detail = { in: where, field: first?.instancePath ?? '', reason: first?.message ?? 'invalid', ...first?.params };
  return new Refused(where === 'body' && amountField.test(detail.field) ? 'bad_amount' : 'bad_request', detail);
}

/** Which refusal an error of Fastify, a plugin or a driver is. */
function asRefused(error: FastifyError | Refused | Error): Refused {
  if (error instanceof Refused) return error;
  if (error instanceof HashingOverloaded) return new Refused('overloaded');
  const { code, statusCode, validation, validationContext } = error as Partial<FastifyError>;
  if (validation !== undefined) return badRequest(validation, validationContext ?? 'request');
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new Refused('too_large');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Refused('bad_request', { in: 'headers', reason: 'send application/json' });
  if (error.name === 'MaxRetriesPerRequestError' || error.message === 'Connection is closed.')
    return new Refused('unavailable');
  // 403 comes from the file server alone, for paths that leave its folder; which of them exist is nobody's business.
  if (statusCode === 404 || statusCode === 403) return new Refused('not_found');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Refused('bad_request', { reason: error.message });
  return new Refused('internal_error');
}

export function refuse(reply: FastifyReply, request: FastifyRequest, refused: Refused): FastifyReply {
  const { code, detail, statusCode } = refused;
  const body: Refusal = { ok: false, code, ...(detail === undefined ? {} : { detail }), correlation: request.id };
  // Whatever is busy or away now is worth another try soon.
  const waitMs = detail?.['retryAfterMs'] ?? (statusCode === 503 ? busyRetryMs : undefined);
  if (typeof waitMs === 'number') reply.header('retry-after', Math.ceil(waitMs / 1_000));
  // Serialised here, not by the route's schema: a failure in a serialiser must still get its answer.
  return reply
    .code(statusCode)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(body));
}

export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refused = asRefused(error);
  if (refused.code === 'internal_error') request.log.error({ event: 'request_failed', err: error }, 'request failed');
  else request.log.info({ event: 'request_refused', code: refused.code, detail: refused.detail }, 'request refused');
  return refuse(reply, request, refused);
}

/** Bytes that are no HTTP request at all; there is no request object yet. */
export function answerBrokenHttp(this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') refuseRaw(socket, 'too_large');
  else refuseRaw(socket, 'bad_request', { reason: 'not HTTP' });
}
