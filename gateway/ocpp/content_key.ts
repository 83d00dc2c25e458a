/**
 * What a fact is about, as a hash: two messages with the same key tell the same thing, whatever their message ids, over
 * whichever connection and gateway they come. The keys of the fields are JSON arrays, so no separator can be forged.
 */
import { hash } from 'node:crypto';

/** First 32 hex digits of SHA-256. */
const key = (...parts: (string | number | null)[]): string => hash('sha256', JSON.stringify(parts), 'hex').slice(0, 32);

export const contentKey = {
  /** A resend after a reboot has another message id and the same contents. */
  start: (charger: string, connector: number, tag: string, atRaw: string, meterStartWh: number): string =>
    key('start', charger, connector, tag, atRaw, meterStartWh),

  /** Ids ≤ 0 were never given out: the message tells itself apart by its contents. */
  stop: (charger: string, transaction: number, atRaw: string, meterStopWh: number, tag: string | null): string =>
    transaction > 0 ? key('stop', charger, transaction) : key('stop', charger, atRaw, meterStopWh, tag),

  /** OCPP 2.x numbers the events of a transaction; its id is compared without case. */
  transactionEvent: (charger: string, reference: string, seqNo: number, eventType: string): string =>
    key('transaction', charger, reference.toLowerCase(), seqNo, eventType),

  /** What a device reports about itself is known by what it says. */
  report: (kind: string, charger: string, ...said: (string | number)[]): string => key(kind, charger, ...said),

  /** Without a time of its own a report is only as old as its message. */
  status: (
    charger: string,
    connector: number,
    atRaw: string,
    status: string,
    errorCode: string,
    message: string,
  ): string => key('status', charger, connector, atRaw === '' ? message : atRaw, status, errorCode),

  /** Whatever has no content of its own to be known by: connection and message id, and what was asked. */
  message: (kind: string, charger: string, connectionSeq: number, idText: string, ...asked: string[]): string =>
    key(kind, charger, connectionSeq, idText, ...asked),

  /** `samples`: one line per sampled value with the time as the charger wrote it. */
  meter: (charger: string, connector: number, transaction: number | null, samples: string): string =>
    hash('sha256', `meter\n${charger}\n${connector}\n${transaction ?? '-'}\n${samples}`, 'hex').slice(0, 32),
};
