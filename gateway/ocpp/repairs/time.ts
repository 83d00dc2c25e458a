/**
 * R10: what a charger's clock says, and whether to believe it.
 *
 * Without a zone it is UTC. Missing, unreadable, before 2010 or more than 5 min ahead: the log's time counts, and the
 * message is flagged. A past time stands, because an offline charger delivers its queue late.
 */
import type { ChargerTime, Notes, Payload } from './notes.ts';

const oldest = Date.UTC(2010, 0, 1);
const aheadMsMax = 5 * 60_000;
const canonical = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
const readable = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,9})?) ?(Z|[+-]\d\d(?::?\d\d)?)?$/i;

/** Puts a valid time into `field` and tells what it means. */
export function repairTime(payload: Payload, field: string, notes: Notes, required: boolean): ChargerTime {
  const value = payload[field];
  const raw = typeof value === 'string' ? value.slice(0, 64) : '';
  const own = (text: string | null): number => (text === null ? NaN : Date.parse(text));
  let text: string | null = null;
  if (typeof value === 'string') text = canonical.test(value) ? value : normalised(value.trim());
  const at = own(text);
  if (text === null || Number.isNaN(at)) {
    if (value === undefined && !required) return { at: notes.now, raw, clock: true };
    payload[field] = new Date(notes.now).toISOString();
    notes.hit('R10');
    return { at: notes.now, raw, clock: true };
  }
  if (text !== value) {
    payload[field] = text;
    notes.hit('R10');
  }
  if (at >= oldest && at <= notes.now + aheadMsMax) return { at, raw, clock: false };
  notes.hit('R10');
  return { at: notes.now, raw, clock: true };
}

function normalised(value: string): string | null {
  const [, day, time, zone = 'Z'] = readable.exec(value) ?? [];
  if (day === undefined || time === undefined) return null;
  const offset = zone.toUpperCase() === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.replace(':', '').slice(3) || '00'}`;
  return `${day}T${time.replace(',', '.')}${offset}`;
}
