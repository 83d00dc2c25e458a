/** Long lists have only those rows in the document that are near what is seen; the rest is empty space of the same height. */

export interface RowWindow {
  /** The first row that is there. */
  from: number;
  /** The row after the last one that is there. */
  to: number;
}

/** Rows above and below what is seen, so that scrolling meets no hole. */
const spare = 12;
/** A list that is not laid out yet, or never is, as in a test without a browser. */
export const unknownPx = { row: 32, height: 640 } as const;

/** `scrollTop` and `height` of the region, `rowPx` of each row; below `most` rows all of them are there. */
export function rowWindow(list: {
  count: number;
  scrollTop: number;
  height: number;
  rowPx: number;
  most: number;
}): RowWindow {
  const { count, most } = list;
  if (count <= most) return { from: 0, to: count };
  const rowPx = list.rowPx > 0 ? list.rowPx : unknownPx.row;
  const seen = Math.ceil((list.height > 0 ? list.height : unknownPx.height) / rowPx);
  const first = Math.min(Math.floor(list.scrollTop / rowPx), Math.max(0, count - seen));
  return { from: Math.max(0, first - spare), to: Math.min(count, first + seen + spare) };
}
