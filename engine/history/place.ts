/** What every row of the history carries, and how times are written. */

/** Where an event stands: partition, sequence of its commit record, index within the record's events. */
export interface Place {
  partition: number;
  sequence: number;
  index: number;
}

/** Rows of one event share its index; a row's own index is `event index × 4096 + number of the row`. */
export const rowsPerEventMax = 4096;

/** Place of row `number` of an event that makes several. */
export const placeOfRow = ({ partition, sequence, index }: Place, number: number): Place => ({
  partition,
  sequence,
  index: index * rowsPerEventMax + number,
});

// DateTime64(3) holds 1900 to 2299. Beyond it the engine would refuse or wrap the row; a charger's clock may say anything.
const earliest = Date.UTC(1900, 0, 1);
const latest = Date.UTC(2299, 11, 31, 23, 59, 59, 999);

let [knownMs, known] = [NaN, ''];

/** Unix ms as ClickHouse reads it without guessing: a bare number may be taken for seconds. */
export function dateTime(ms: number): string {
  // Events of one record share their time as a rule.
  if (ms === knownMs) return known;
  const iso = new Date(Math.min(Math.max(ms, earliest), latest)).toISOString();
  knownMs = ms;
  return (known = `${iso.slice(0, 10)} ${iso.slice(11, 23)}`);
}
