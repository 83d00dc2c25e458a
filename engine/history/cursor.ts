/**
 * Where a page ended, as text that means nothing to who carries it. Pages are read newest first by (time, partition,
 * sequence, index): rows never change, so a cursor gives the same next page however often it is used and whatever has
 * come in since.
 */

/** What follows the last row of a page. */
export interface PageEnd {
  /** unix ms */
  at: number;
  partition: number;
  sequence: number;
  index: number;
}

/** Text that no page ended with. */
export class BadCursor extends Error {
  override readonly name = 'BadCursor';
  readonly code = 'bad_request';
  constructor(cursor: string) {
    super(`not a cursor: '${cursor.slice(0, 80)}'`);
  }
}

export const encodeCursor = ({ at, partition, sequence, index }: PageEnd): string =>
  Buffer.from([at, partition, sequence, index].join('.')).toString('base64url');

/** Throws {@link BadCursor}. */
export function decodeCursor(cursor: string): PageEnd {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const parts = /^(-?\d{1,16})\.(\d{1,5})\.(\d{1,16})\.(\d{1,10})$/.exec(text);
  const [at, partition, sequence, index] = (parts?.slice(1) ?? []).map(Number);
  if (at === undefined || partition === undefined || sequence === undefined || index === undefined)
    throw new BadCursor(cursor);
  const end = { at, partition, sequence, index };
  // One text per place: what decodes but was never given out is refused, too.
  if (partition > 0xffff || index > 0xffff_ffff || encodeCursor(end) !== cursor) throw new BadCursor(cursor);
  return end;
}
