/** Local time of a named zone to unix ms, by the zone data that Node carries. */

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    try {
      format = new Intl.DateTimeFormat('en-CA', {
        timeZone: zone,
        hourCycle: 'h23',
        year: 'numeric',
        month: '2-digit',
        day: '2-digit',
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
      });
    } catch {
      throw new Error(`unknown time zone: '${zone}' (write it like America/Los_Angeles)`);
    }
    formats.set(zone, format);
  }
  return format;
}

/** What the wall clock of the zone shows at `at`, read as if it were UTC, ms. */
function wallMs(at: number, zone: string): number {
  const part = Object.fromEntries(
    formatOf(zone)
      .formatToParts(at)
      .map((p) => [p.type, Number(p.value)]),
  );
  return Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute, part.second);
}

/**
 * Unix ms of `day` (YYYY-MM-DD) and `time` (HH:MM) in `zone`. A time that the change to summer time leaves out is the
 * moment as much later; of a time that comes twice it is the first.
 */
export function zonedMs(day: string, time: string, zone: string): number {
  const wall = Date.parse(`${day}T${time}:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(day) || !/^\d\d:\d\d$/.test(time) || Number.isNaN(wall)) {
    throw new Error(`not a local time: '${day} ${time}' (write day as 2019-05-15 and time as 07:00)`);
  }
  if (new Date(wall).toISOString().slice(0, 10) !== day) throw new Error(`no such day: '${day}'`);
  // The offset at the wall time read as UTC is at most some hours off the moment looked for: try those on both sides.
  const offsets = [-24, 0, 24].map((hours) => {
    const near = wall + hours * 3_600_000;
    return wallMs(near, zone) - near;
  });
  const exact = offsets.map((offset) => wall - offset).filter((at) => wallMs(at, zone) === wall);
  return exact.length > 0 ? Math.min(...exact) : wall - Math.min(...offsets);
}

/** The day after YYYY-MM-DD. */
export const dayAfter = (day: string): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);

/** The local day, YYYY-MM-DD, of a moment. */
export const dayOf = (at: number, zone: string): string => new Date(wallMs(at, zone)).toISOString().slice(0, 10);
