/** From a correlation id to the rows that came of it. */
import type { Origin } from '../wire.ts';
import { dateTime, type Place } from './place.ts';

export type CorrelationRow = Place & {
  correlation: string;
  /** '' = the sender gave none: facts of chargers. */
  command_id: string;
  at: string;
  /** The view that has the rows, and the indexes of the first and the last of them. */
  rows_of: string;
  index_from: number;
  index_to: number;
};

/** The row that leads to the rows of one event. `at`: log time of the record, unix ms. */
export function correlationRow(
  { correlation, commandId }: Origin,
  made: { table: string; rows: readonly object[] },
  at: number,
  place: Place,
): CorrelationRow {
  // Rows of an event stand in order; those of the message log are made of no event.
  const [first, last] = [made.rows[0], made.rows.at(-1)] as (Place | undefined)[];
  return {
    correlation,
    command_id: commandId ?? '',
    at: dateTime(at),
    rows_of: made.table,
    index_from: first?.index ?? place.index,
    index_to: last?.index ?? place.index,
    ...place,
  };
}
