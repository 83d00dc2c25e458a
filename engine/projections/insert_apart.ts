/**
 * Inserts rows of which some may never be accepted. ClickHouse takes a batch or refuses it whole, so a refused one is halved
 * until the rows alone are left that it refuses: they go aside with what it said, and the others are stored.
 *
 * Only what ClickHouse says about the data itself counts; a table that is missing, a wrong password or a full disk is
 * everybody's trouble, and is tried again. So are batches of which {@link asideMax} rows are refused and none is taken: then
 * it is not the rows.
 */
import { HistoryRefused } from '../history/errors.ts';

export interface RefusedRow<Row> {
  row: Row;
  /** What ClickHouse said. */
  reason: string;
}

const asideMax = 500;

/** Resolves when all rows but the returned ones are stored. Rejects with what `insert` throws otherwise; some may be stored. */
export async function insertApart<Row>(
  rows: readonly Row[],
  insert: (rows: Row[]) => Promise<unknown>,
): Promise<RefusedRow<Row>[]> {
  const refused: RefusedRow<Row>[] = [];
  let taken = 0;
  const store = async (part: Row[]): Promise<void> => {
    try {
      await insert(part);
      taken += part.length;
    } catch (error) {
      if (!(error instanceof HistoryRefused && error.isAboutData)) throw error;
      if (part.length === 1) {
        if (refused.length >= asideMax && taken === 0) throw error;
        refused.push({ row: part[0]!, reason: error.message });
        return;
      }
      const half = Math.ceil(part.length / 2);
      await store(part.slice(0, half));
      await store(part.slice(half));
    }
  };
  if (rows.length > 0) await store([...rows]);
  return refused;
}
