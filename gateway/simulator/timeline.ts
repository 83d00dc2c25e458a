/** What the cars will do: sessions per charger in order of time, in ms relative to the moment the simulation began. */
import { energyAt, nextChangeMs, powerAt, type ChargeCurve } from './car.ts';

export interface PlannedSession {
  charger: string;
  /** Number of the session on its charger, from 0: stable for a scenario, so that a charger can remember where it is. */
  index: number;
  tag: string;
  /** Plug-in and plug-out; negative: already there when the simulation began. */
  startMs: number;
  endMs: number;
  curve: ChargeCurve;
}

export interface Timeline {
  readonly chargers: readonly string[];
  /** Tags that the cars present. */
  readonly tags: readonly string[];
  /** Full power of every charger, W. */
  readonly ratedW: number;
  /** The index-th session of a charger; undefined: there is none (any more). */
  session(charger: string, index: number): PlannedSession | undefined;
  /** Differs whenever another plan would be played; kept with the chargers' memory. */
  readonly fingerprint: string;
  /** When the last car leaves, ms; absent: never. */
  readonly endMs?: number;
}

/** Load of the given sessions at `ms`, W, when every car starts as planned. */
export const loadAt = (sessions: Iterable<PlannedSession>, ms: number): number => {
  let load = 0;
  for (const s of sessions) if (s.startMs <= ms && ms < s.endMs) load += powerAt(s.curve, ms - s.startMs);
  return load;
};

/** What a session takes until it is unplugged, whole Wh. */
export const energyWhOf = (s: PlannedSession): number => Math.trunc(energyAt(s.curve, s.endMs - s.startMs) / 3_600_000);

/** When the last car leaves, ms of the timeline; Infinity: of a plan without end. */
export const endOf = ({ endMs }: Timeline): number => endMs ?? Infinity;

/** A stretch of constant load, from `fromMs` to the start of the next one. */
export interface LoadStep {
  fromMs: number;
  loadW: number;
}

/** The load of all cars together when each begins as planned, from the first plug-in to the end of the last charge. */
export function loadSteps(sessions: Iterable<PlannedSession>): LoadStep[] {
  const changes = new Map<number, number>();
  const add = (ms: number, powerW: number) => changes.set(ms, (changes.get(ms) ?? 0) + powerW);
  for (const { startMs, endMs, curve } of sessions) {
    let power = 0;
    const to = (ms: number, next: number) => {
      add(startMs + ms, next - power);
      power = next;
    };
    for (let ms: number | undefined = 0; ms !== undefined && startMs + ms < endMs; ms = nextChangeMs(curve, ms)) {
      to(ms, powerAt(curve, ms));
    }
    if (power > 0) to(endMs - startMs, 0);
  }
  let loadW = 0;
  return [...changes].sort(([a], [b]) => a - b).map(([fromMs, change]) => ({ fromMs, loadW: (loadW += change) }));
}

/** A plan whose sessions are all known. */
export function finiteTimeline(
  sessions: readonly PlannedSession[],
  rest: { chargers: readonly string[]; tags: readonly string[]; ratedW: number; fingerprint: string },
): Timeline {
  const byCharger = new Map<string, PlannedSession[]>(rest.chargers.map((charger) => [charger, []]));
  for (const session of sessions) byCharger.get(session.charger)?.push(session);
  const endMs = sessions.reduce((latest, session) => Math.max(latest, session.endMs), 0);
  return { ...rest, endMs, session: (charger, index) => byCharger.get(charger)?.[index] };
}
