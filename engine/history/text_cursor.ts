/** Ends of pages that hold text besides numbers; like the others they mean nothing to who carries them. */
import { BadCursor } from './cursor.ts';

export type CursorPart = string | number;

const lengthMax = 1_024;

export const encodeParts = (parts: readonly CursorPart[]): string =>
  Buffer.from(JSON.stringify(parts)).toString('base64url');

/**
 * The parts of a cursor, each of the type of its example.
 * @throws BadCursor on text that no page ended with
 */
export function decodeParts<const Example extends readonly CursorPart[]>(
  cursor: string,
  example: Example,
): CursorPart[] {
  let parts: unknown;
  try {
    if (cursor.length <= lengthMax) parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    // Falls through: it is none.
  }
  const fits =
    Array.isArray(parts) &&
    parts.length === example.length &&
    parts.every((part, i) => typeof part === typeof example[i] && (typeof part === 'string' || isPlace(part)));
  // One text per place: what decodes but was never given out is refused, too.
  if (!fits || encodeParts(parts as CursorPart[]) !== cursor) throw new BadCursor(cursor);
  return parts as CursorPart[];
}

const isPlace = (part: unknown): boolean => Number.isSafeInteger(part) && Math.abs(part as number) <= 1e15;
