/**
 * Messages with very many samples (the transaction data of a long session) become several facts, because a command in the
 * log has a largest size and the defaults that samples get make them larger than they came.
 */
import type { MeterSampledBody, SessionEndedBody } from '#actors/schema/commands';

/** Samples per fact: far below what one command may hold, whatever names a charger makes up. */
export const samplesPerFact = 400;

/** The meter facts that go ahead of `body`; what is left stays in it. Nothing for the usual small message. */
export function portionsAhead(body: Record<string, unknown>): MeterSampledBody[] {
  const { samples } = body;
  if (!Array.isArray(samples) || samples.length <= samplesPerFact) return [];
  const {
    key,
    connectionSeq,
    frameHash,
    repairs,
    transaction,
    samples: all,
  } = body as MeterSampledBody | SessionEndedBody;
  // A stop names no connector; its transaction finds the session.
  const connector = (body['connector'] ?? 0) as number;
  const portions: MeterSampledBody[] = [];
  let from = 0;
  for (; all.length - from > samplesPerFact; from += samplesPerFact) {
    const portion = all.slice(from, from + samplesPerFact);
    portions.push({
      key: `${key}.${portions.length}`,
      connectionSeq,
      frameHash,
      repairs,
      connector,
      transaction,
      samples: portion,
    });
  }
  body['samples'] = all.slice(from);
  return portions;
}
