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
  /** It is a value that was refused: of other rows the store would take as many as come. */
  readonly isAboutData: boolean;

  constructor(message: string, { isAboutData = false, ...options }: ErrorOptions & { isAboutData?: boolean } = {}) {
    super(message, options);
    this.isAboutData = isAboutData;
  }
}

/** Codes of ClickHouse that say that a value does not fit its column: unreadable, out of range, null, of another type. */
const aboutData = new Set([
  ...['6', '26', '27', '38', '41', '53', '69', '70', '72', '117', '131'],
  ...['321', '349', '376', '407', '441', '469', '675', '676', '691'],
]);

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
    return new HistoryRefused(`${error.type ?? 'error'} ${error.code}: ${message}`, {
      cause: error,
      isAboutData: aboutData.has(error.code),
    });
  }
  return new HistoryUnavailable(message, { cause: error });
}
