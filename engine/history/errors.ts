/** Two kinds only: what is worth another try, and what is not. */
import { ClickHouseError } from '@clickhouse/client';

/** The store does not answer or is overloaded. Whether a write was stored is unknown; writing it again does no harm. */
export class HistoryUnavailable extends Error {
  override name = 'HistoryUnavailable';
  readonly code = 'history_unavailable';
}

/** The store answered no: another try would be refused too. */
export class HistoryRefused extends Error {
  override name = 'HistoryRefused';
  readonly code = 'history_refused';
}

/** Codes of ClickHouse that pass: timeouts, too many queries, parts or bytes in memory, network, read-only replica. */
const passing = new Set([
  '3',
  '159',
  '202',
  '203',
  '209',
  '210',
  '236',
  '241',
  '242',
  '243',
  '252',
  '319',
  '394',
  '425',
  '439',
  '473',
  '999',
]);

/** What the client threw, as one of the two. */
export function historyError(error: unknown): HistoryUnavailable | HistoryRefused {
  if (error instanceof HistoryUnavailable || error instanceof HistoryRefused) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ClickHouseError && !passing.has(error.code)) {
    return new HistoryRefused(`${error.type ?? 'error'} ${error.code}: ${message}`, { cause: error });
  }
  return new HistoryUnavailable(message, { cause: error });
}
