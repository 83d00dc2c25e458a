/** Numbers and times as people read them. Unknown is an em dash, never 0; a minus is U+2212. */

export const unknown = '—';
const minus = '\u2212';

const decimals = (digits: number) =>
  new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
const formats = [0, 1, 2, 3, 4, 5].map(decimals);

/** `digits` decimals. A value that rounds to nothing loses its sign. */
export function fixed(value: number, digits: 0 | 1 | 2 | 3 | 4 | 5): string {
  const text = (formats[digits] as Intl.NumberFormat).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? `${minus}${text}` : text;
}

/** W → kW, one decimal unless told. */
export const kilowatts = (w: number | null, digits: 0 | 1 | 2 = 1): string =>
  w === null ? unknown : fixed(w / 1_000, digits);

/** Wh → kWh, two decimals. */
export const kilowattHours = (wh: number | null): string => (wh === null ? unknown : fixed(wh / 1_000, 2));

/** Wh → kWh to the Wh, three decimals: columns of what was traded. */
export const kilowattHoursExact = (wh: number): string => fixed(wh / 1_000, 3);

/** Wh → kWh with two decimals, or three where they say something; in sentences, never in a column. */
export const amountText = (wh: number): string => fixed(wh / 1_000, wh % 10 === 0 ? 2 : 3);

const grouped = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** 10⁻⁵ SEK → SEK with two decimals and a thin space between thousands, for balances. */
export function money(e5: number | null): string {
  if (e5 === null) return unknown;
  const text = grouped.format(Math.abs(e5) / 100_000).replaceAll(',', '\u202f');
  return e5 < 0 && /[1-9]/.test(text) ? `${minus}${text}` : text;
}

/** 10⁻⁵ SEK → SEK with two decimals. */
export const price = (e5: number | null): string => (e5 === null ? unknown : fixed(e5 / 100_000, 2));

/** All five decimals, for tooltips and files. */
export const priceExact = (e5: number | null): string => (e5 === null ? unknown : fixed(e5 / 100_000, 5));

/** Basis points → percent with one decimal, rounded up like every utilisation: 80.01 % is not shown as 80.0. */
export const percent = (bp: number | null): string => (bp === null ? unknown : fixed(Math.ceil(bp / 10) / 10, 1));

/** Load over capacity, basis points, rounded up; null when one of them is not known. */
export const utilisation = (loadW: number | null, capacityW: number | null): number | null =>
  loadW === null || capacityW === null || capacityW <= 0 ? null : Math.ceil((loadW * 10_000) / capacityW);

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const full = new Intl.DateTimeFormat('en-GB', {
  ...{ year: 'numeric', month: 'short', day: '2-digit' },
  ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' },
});

/** HH:mm:ss in the user's zone. */
export const clockTime = (ms: number | null): string => (ms === null ? unknown : clock.format(ms));
/** HH:mm, for axes. */
export const clockMinute = (ms: number): string => clock.format(ms).slice(0, 5);
/** With date and zone, for tooltips. */
export const fullTime = (ms: number | null): string => (ms === null ? unknown : full.format(ms));

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayIn = (timeZone: string) => new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone });
/** The zone of whoever looks. */
export const ownZone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
/** `15 May`, of a zone if one is named. */
export const dayMonth = (ms: number, zone?: string): string => (zone === undefined ? day : dayIn(zone)).format(ms);
/** `15 May 07:32`: of what may lie days back. */
export const dayMinute = (ms: number | null): string =>
  ms === null ? unknown : `${day.format(ms)} ${clockMinute(ms)}`;
/** HH:mm:ss.SSS, where the order of two messages matters. */
export const clockMilli = (ms: number): string => `${clock.format(ms)}.${String(ms % 1_000).padStart(3, '0')}`;

/** `14 s`, `3 min`, `2 h`, `4 d`; never negative, since clocks differ a little. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** `00:42` minutes and seconds, `3:05:10` from an hour on. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}

/** `3:05` hours and minutes: how long a session lasts. */
export function hours(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}`;
}
