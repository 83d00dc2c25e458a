/**
 * Messages with very many samples (the transaction data of a long session) become several facts, because a command in the
 * log has a largest size and the defaults that samples get make them larger than they came.
 */
import type {
  MeterSampledBody,
  SessionEndedBody,
  SessionProgressBody,
  SessionStartedBody,
} from '#actors/schema/commands';

/** Samples per fact: far below what one command may hold, whatever names a charger makes up. */
export const samplesPerFact = 400;

export type Portion =
  { type: 'meter.sampled'; body: MeterSampledBody } | { type: 'session.progress'; body: SessionProgressBody };
type Whole = MeterSampledBody | SessionEndedBody | SessionStartedBody | SessionProgressBody;

/** The facts with samples that go ahead of `body`; what is left stays in it. Nothing for the usual small message. */
export function portionsAhead(body: Record<string, unknown>): Portion[] {
  const { samples } = body;
  if (!Array.isArray(samples) || samples.length <= samplesPerFact) return [];
  const whole = body as Whole;
  const all = whole.samples!;
  const portions: Portion[] = [];
  let from = 0;
  for (; all.length - from > samplesPerFact; from += samplesPerFact)
    portions.push(portionOf(whole, `${whole.key}.${portions.length}`, all.slice(from, from + samplesPerFact)));
  body['samples'] = all.slice(from);
  return portions;
}

function portionOf(whole: Whole, key: string, samples: Portion['body']['samples']): Portion {
  const { connectionSeq, frameHash, repairs } = whole;
  const fact = { key, connectionSeq, frameHash, repairs };
  // A stop of OCPP 1.6 names no connector; its transaction finds the session.
  const connector = whole.connector ?? 0;
  if ('reference' in whole && whole.reference !== undefined) {
    const { at, atRaw, clock, reference } = whole;
    const told = { at, atRaw, clock, reference, connector, tag: '', chargingState: '' };
    return { type: 'session.progress', body: { ...fact, ...told, samples } };
  }
  const { transaction } = whole as MeterSampledBody | SessionEndedBody;
  return { type: 'meter.sampled', body: { ...fact, connector, transaction, samples } };
}
