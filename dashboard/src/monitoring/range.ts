/** The stretch of time that charts show, as it stands in the address: the last so long, or from one moment to another. */

export const presets = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 } as const;
export type Preset = keyof typeof presets;
export type Range = { kind: 'last'; preset: Preset } | { kind: 'span'; from: number; to: number };
/** unix ms; `to` is not included. */
export interface Span {
  from: number;
  to: number;
}

export const defaultPreset: Preset = '24h';
/** Bars per hour up to here, per day beyond: more than 72 cannot be told apart. */
const hoursMaxMs = 72 * 3_600_000;
/** How often the end of a range that ends now is asked for again. */
const refreshMs: Record<Preset, number> = { '1h': 12_000, '24h': 60_000, '7d': 300_000, '30d': 300_000 };

const isPreset = (text: string): text is Preset => Object.hasOwn(presets, text);

/** Addresses are in UTC, so that everybody to whom one is sent sees the same. What cannot be read counts as absent. */
export function readRange(params: URLSearchParams): Range {
  const [from, to] = [Date.parse(params.get('from') ?? ''), Date.parse(params.get('to') ?? '')];
  if (from < to) return { kind: 'span', from, to };
  const preset = params.get('range') ?? '';
  return { kind: 'last', preset: isPreset(preset) ? preset : defaultPreset };
}

/** What stands in the address; null takes a name away. */
export function rangeParams(range: Range): Record<'range' | 'from' | 'to', string | null> {
  if (range.kind === 'span') return { range: null, from: minuteUtc(range.from), to: minuteUtc(range.to) };
  return { range: range.preset === defaultPreset ? null : range.preset, from: null, to: null };
}
const minuteUtc = (ms: number) => `${new Date(ms).toISOString().slice(0, 16)}Z`;

export function spanOf(range: Range, now: number): Span {
  return range.kind === 'span' ? range : { from: now - presets[range.preset], to: now };
}

/** What tells one range from another. */
export const rangeKey = (range: Range): string => (range.kind === 'span' ? `${range.from}–${range.to}` : range.preset);

export const stepOf = ({ from, to }: Span): 'hour' | 'day' => (to - from <= hoursMaxMs ? 'hour' : 'day');

/** null: nothing new comes. */
export const refreshEveryMs = (range: Range, now: number): number | null =>
  range.kind === 'last' ? refreshMs[range.preset] : range.to > now ? refreshMs['24h'] : null;

const two = (n: number) => String(n).padStart(2, '0');
/** As `<input type="datetime-local">` wants it: in the zone of this browser, to the minute. */
export function localMinute(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`;
}

export type Entry = { ok: true; range: Range } | { ok: false; why: 'incomplete' | 'order' };
/** What was typed into the two fields. */
export function spanEntry(from: string, to: string): Entry {
  const span = { from: Date.parse(from), to: Date.parse(to) };
  if (Number.isNaN(span.from) || Number.isNaN(span.to)) return { ok: false, why: 'incomplete' };
  return span.from < span.to ? { ok: true, range: { kind: 'span', ...span } } : { ok: false, why: 'order' };
}
