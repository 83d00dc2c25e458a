/**
 * The generated world: weekday arrivals at a workplace, scaled from 52 plugs to as many as there are here, repeatable
 * from one seed. Time 0 is 07:30 site time of day 0; day follows day without end.
 */
import { ccCvCurve } from './car.ts';
import { Random } from './random.ts';
import { loadAt, type PlannedSession, type Timeline } from './timeline.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const startOfDayMs = 7 * hourMs + 30 * minuteMs;

/** Sessions per weekday on `plugs`, and ‰ of them per local hour of arrival. */
const measured = { sessions: 60.8, plugs: 52 };
const hourWeights = [0, 0, 0, 2, 8, 76, 250, 330, 38, 15, 13, 34, 41, 28, 38, 53, 42, 15, 5, 4, 3, 3, 2, 1];

/** Energy of a session, Wh: mean 14.7, median 11.7, 95 % below 39.2 kWh. */
const energyWh = [
  [0, 500],
  [50, 3_300],
  [100, 5_000],
  [200, 6_150],
  [300, 7_700],
  [400, 9_450],
  [500, 11_700],
  [600, 13_300],
  [700, 15_600],
  [800, 21_300],
  [900, 31_500],
  [950, 39_200],
  [990, 51_500],
  [1_000, 60_000],
] as const;

/** Time at the plug, minutes, 10 % / 50 % / 90 %, by the hour of arrival from which it holds: early cars stay the day. */
const stayMinutes = [
  [0, 300, 480, 620],
  [5, 375, 585, 677],
  [6, 320, 566, 652],
  [7, 288, 559, 635],
  [8, 183, 484, 609],
  [9, 142, 362, 540],
  [10, 111, 369, 490],
  [11, 157, 314, 431],
  [12, 156, 272, 371],
  [13, 121, 223, 341],
  [14, 100, 176, 308],
  [15, 81, 140, 242],
  [16, 60, 112, 219],
  [17, 60, 135, 330],
] as const;

/** Battery sizes, Wh, and the state of charge at which the driver stops, %. */
const batteriesWh = [40_000, 58_000, 64_000, 77_000, 82_000];
const targetPercent = [80, 80, 85, 90, 95, 100];

/** A plug is free for the next car 3 min after the last one left. */
const turnaroundMs = 3 * minuteMs;

/** Days are drawn anew until the first one shows a tier change; this many at most. */
const attempts = 20_000;

export interface ArrivalOptions {
  seed: number;
  chargers: readonly string[];
  tags: readonly string[];
  /** Power of one charger and the load of the station above which its price doubles (80 %), W. */
  powerW: number;
  doubleAboveW: number;
}

/** When each plug and each tag is free again, ms of the timeline. */
interface Occupancy {
  plugs: number[];
  tags: number[];
}

function stayMs(random: Random, hour: number): number {
  const row = stayMinutes.findLast(([from]) => from <= hour) ?? stayMinutes[0];
  const [, low, middle, high] = row;
  const table = [
    [0, low / 3],
    [100, low],
    [500, middle],
    [900, high],
    [1_000, high * 1.2],
  ] as const;
  return random.quantile(table) * minuteMs;
}

function carOf(random: Random, powerW: number) {
  const wantedWh = random.quantile(energyWh);
  const targetShare = (targetPercent[random.below(targetPercent.length)] ?? 80) / 100;
  // The smallest of the drawn size and up that can take so much and still arrived with 5 %.
  const drawn = random.below(batteriesWh.length);
  const capacityWh =
    batteriesWh.find((wh, i) => i >= drawn && wh * (targetShare - 0.05) >= wantedWh) ?? batteriesWh.at(-1) ?? 0;
  const arrivalWh = Math.max(0, Math.round(capacityWh * targetShare) - wantedWh);
  return ccCvCurve({ powerW, capacityWh, arrivalWh, energyWh: wantedWh });
}

/** One day of arrivals. `busy` is what earlier days left, and is taken further. */
function dayOf(
  options: ArrivalOptions,
  day: number,
  attempt: number,
  busy: Occupancy,
): Omit<PlannedSession, 'index'>[] {
  const { chargers, tags, powerW } = options;
  const random = new Random(`seed ${options.seed}, day ${day}, attempt ${attempt}`);
  const midnight = day * dayMs - startOfDayMs;
  const count = random.poisson((measured.sessions * chargers.length) / measured.plugs);
  const arrivals = Array.from({ length: count }, () => {
    const hour = random.weighted(hourWeights);
    return { hour, startMs: midnight + hour * hourMs + random.below(3_600) * 1_000 };
  }).sort((a, b) => a.startMs - b.startMs);

  const sessions: Omit<PlannedSession, 'index'>[] = [];
  for (const { hour, startMs } of arrivals) {
    const free = chargers.map((_, plug) => plug).filter((plug) => (busy.plugs[plug] ?? 0) <= startMs);
    // Drivers come back: the first of the list are there nearly every day, the last ones seldom.
    const user = random.weighted(tags.map((_, i) => ((busy.tags[i] ?? 0) <= startMs ? 1 / (i + 4) : 0)));
    const tag = tags[user];
    const draw = random.below(Math.max(1, free.length));
    const curve = carOf(random, powerW);
    // A driver leaves with what he came for: the stay is drawn again when it is too short for it.
    let stay = stayMs(random, hour);
    for (let i = 0; i < 4 && stay < curve.fullAtMs; i += 1) stay = stayMs(random, hour);
    if (free.length === 0 || tag === undefined || (busy.tags[user] ?? 0) > startMs) continue; // drives on
    // Everybody has a favourite plug and takes it when it is free.
    const favourite = user % chargers.length;
    const plug = free.includes(favourite) ? favourite : (free[draw] ?? 0);
    const endMs = startMs + Math.max(5 * minuteMs, stay);
    busy.plugs[plug] = endMs + turnaroundMs;
    busy.tags[user] = endMs + turnaroundMs;
    sessions.push({ charger: chargers[plug] ?? '', tag, startMs, endMs, curve });
  }
  return sessions;
}

/** Load at most 80 % during the first minute, and above it from minute 3 to 4: the price doubles before the eyes. */
function tierChangesSoon(sessions: Omit<PlannedSession, 'index'>[], doubleAboveW: number): boolean {
  const indexed = sessions.map((s) => ({ ...s, index: 0 }));
  const above = (seconds: number) => loadAt(indexed, seconds * 1_000) > doubleAboveW;
  for (let s = 0; s <= 60; s += 5) if (above(s)) return false;
  for (let s = 180; s <= 240; s += 5) if (!above(s)) return false;
  return true;
}

/** The endless plan of a seed. Days are drawn in order when they are first asked for. */
export function generatedTimeline(options: ArrivalOptions): Timeline {
  const { chargers, tags, powerW, seed, doubleAboveW } = options;
  const byCharger = new Map<string, PlannedSession[]>(chargers.map((charger) => [charger, []]));
  const empty = (): Occupancy => ({ plugs: chargers.map(() => -dayMs), tags: tags.map(() => -dayMs) });
  let busy = empty();
  let days = 0;

  function drawDay() {
    const day = days;
    days += 1;
    let sessions = dayOf(options, day, 0, busy);
    for (let attempt = 1; day === 0 && attempt < attempts && !tierChangesSoon(sessions, doubleAboveW); attempt += 1) {
      busy = empty();
      sessions = dayOf(options, day, attempt, busy);
    }
    for (const session of sessions) {
      const list = byCharger.get(session.charger) ?? [];
      list.push({ ...session, index: list.length });
    }
  }

  return {
    chargers,
    tags,
    ratedW: powerW,
    fingerprint: `generated, seed ${seed}, ${chargers.length} chargers of ${powerW} W`,
    session(charger, index) {
      const list = byCharger.get(charger);
      if (list === undefined) return undefined;
      // With 20 plugs each is used about once a day; a charger that nobody uses for 30 days has no further session.
      for (let i = 0; list.length <= index && i < 30; i += 1) drawDay();
      return list[index];
    },
  };
}

/** Sessions that begin on the first `days` days of a plan. */
export function sessionsOf(timeline: Timeline, days: number): PlannedSession[] {
  const sessions: PlannedSession[] = [];
  for (const charger of timeline.chargers) {
    for (let index = 0; ; index += 1) {
      const session = timeline.session(charger, index);
      if (session === undefined || session.startMs >= days * dayMs - startOfDayMs) break;
      sessions.push(session);
    }
  }
  return sessions;
}
