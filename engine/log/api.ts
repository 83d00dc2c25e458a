/** JetStream API requests as plain JSON over core NATS; retried only by callers who know what a repeat means. */
import { RequestError, type NatsConnection } from '@nats-io/transport-node';
import { LogApiError } from './errors.ts';

const requestTimeoutMs = 5_000;
/**
 * While accounts are reloaded there is nobody behind the API for a moment, or somebody who knows of no JetStream yet: nothing
 * was done, so the request is made again.
 */
const unheardMs = 1_000;
const unheardEveryMs = 50;

interface ApiError {
  code: number;
  err_code?: number;
  description?: string;
}

/** Subjects of one stream's API requests. */
export const apiSubject = (request: string) => `$JS.API.${request}`;

/** Sends one request; throws {@link LogApiError} when the server answers with an error. */
export async function jsApi<Answer>(
  nc: NatsConnection,
  request: string,
  body?: unknown,
  timeoutMs = requestTimeoutMs,
): Promise<Answer> {
  const answer = await heard(async () =>
    (
      await nc.request(apiSubject(request), body === undefined ? '' : JSON.stringify(body), { timeout: timeoutMs })
    ).json<{ error?: ApiError } & Answer>(),
  );
  if (answer.error) {
    throw new LogApiError(
      request,
      answer.error.err_code ?? answer.error.code,
      answer.error.description ?? 'no description',
    );
  }
  return answer;
}

async function heard<Answer extends { error?: ApiError }>(ask: () => Promise<Answer>): Promise<Answer> {
  const started = performance.now();
  for (;;) {
    const late = performance.now() - started > unheardMs;
    try {
      const answer = await ask();
      if (late || answer.error?.err_code !== apiCode.notEnabled) return answer;
    } catch (error) {
      const unheard = error instanceof RequestError && error.isNoResponders();
      if (!unheard || late) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, unheardEveryMs));
  }
}

/** JetStream error codes that are expected somewhere. */
export const apiCode = {
  wrongLastSequence: 10071,
  messageNotFound: 10037,
  streamNotFound: 10059,
  consumerNotFound: 10014,
  notEnabled: 10039,
} as const;

export const hasCode = (error: unknown, code: number): error is LogApiError =>
  error instanceof LogApiError && error.code === code;
