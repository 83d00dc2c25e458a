/** What is simulated: the demo site with generated days, or one recorded day. Read by the fleet and by the seed. */
import type { Config } from '#engine/config/config';
import { generatedTimeline } from './arrivals.ts';
import { readDay, readRange } from './sessions_file.ts';
import type { Timeline } from './timeline.ts';

type RecordedDayOptions = { kind: 'sessions'; file: string; day: string; from: string; zone: string };
export type ScenarioOptions =
  | { kind: 'demo'; seed: number }
  | RecordedDayOptions
  /** From 00:00 of the first day to 00:00 of the last, '' = all that the file has, on a clock of its own. */
  | { kind: 'days'; file: string; from: string; to: string; zone: string };

/** Somebody who pays for what a card charges. */
export interface Holder {
  tag: string;
  customer: string;
  /** What is made for the card's sake; absent: the account is there for other reasons. */
  opened?: { name: string; creditE5Sek: number };
}

export interface Scenario {
  site: { id: string; name: string; timeZone: string };
  station: { id: string; name: string; capacityW: number };
  /** What the cars do; its chargers and tags are those of the site. */
  timeline: Timeline;
  /** Of recorded days: unix ms of time 0 of the timeline, and of the end of the last day. */
  days?: { fromAt: number; toAt: number };
  /** Cards beside those that the cars present. */
  spareTags: readonly string[];
  /** Whose card is whose. */
  holders: readonly Holder[];
  /** What had to be passed over or changed in a recording, in words. */
  notes: readonly string[];
}

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${prefix}${String(i + 1).padStart(4, '0')}`);

/** 200 A × 690 V; a charger gives 3 × 16 A × 230 V: 10 cars are 80.00 %, 15 are 120.00 %. */
export const demo = {
  site: { id: 'demo', name: 'Demo site', timeZone: 'Europe/Stockholm' },
  station: { id: 'nord-1', name: 'Nord 1', capacityW: 138_000 },
  chargers: numbered('CP-', 20),
  tags: numbered('DEMO', 40),
  /** In the pocket of the demo's customer: no car of the plan presents it. */
  customerTag: 'DEMO0041',
  chargerW: 11_040,
} as const;

/** A recorded day: 195 kW for the site's plugs of 6.6 kW. */
export const recorded = {
  site: { id: 'jpl', name: 'Recorded site' },
  station: { id: 'jpl-1', name: 'JPL 1', capacityW: 195_000 },
  chargerW: 6_600,
  /** 10,000 SEK: card holders pay afterwards. */
  creditE5Sek: 1_000_000_000,
} as const;

/** Above 80 % of its capacity a station's price is doubled. */
const doubleAboveW = (capacityW: number) => Math.trunc((capacityW * 80) / 100);

/** What the settings ask for. Generated days take their seed from GRIDTICK_SEED, 1 when absent; throws when it is none. */
export function scenarioOptions(
  config: Pick<Config, 'sessions' | 'day' | 'from' | 'to' | 'zone' | 'clock'>,
  env: Readonly<Record<string, string | undefined>>,
): ScenarioOptions {
  const { sessions: file, day, from, to, zone, clock } = config;
  if (clock === 'driven') return { kind: 'days', file, from, to, zone };
  if (file !== '') return { kind: 'sessions', file, day, from: from || '00:00', zone };
  const seed = Number(env.GRIDTICK_SEED || '1');
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`GRIDTICK_SEED must be a whole number from 0: '${env.GRIDTICK_SEED}'`);
  }
  return { kind: 'demo', seed };
}

/** Builds the scenario; reads the sessions file if there is one. */
export async function loadScenario(options: ScenarioOptions): Promise<Scenario> {
  if (options.kind === 'demo') {
    const timeline = generatedTimeline({
      seed: options.seed,
      chargers: demo.chargers,
      tags: demo.tags,
      powerW: demo.chargerW,
      doubleAboveW: doubleAboveW(demo.station.capacityW),
    });
    const { site, station, customerTag: tag } = demo;
    return { site, station, timeline, spareTags: [tag], holders: [{ tag, customer: 'customer' }], notes: [] };
  }
  const powerW = recorded.chargerW;
  const range = options.kind === 'days' ? await readRange({ ...options, powerW }) : undefined;
  const { timeline, bad, notes } = range ?? (await readDay({ ...(options as RecordedDayOptions), powerW }));
  return {
    site: { ...recorded.site, timeZone: options.zone },
    station: recorded.station,
    timeline,
    ...(range !== undefined && { days: { fromAt: range.fromAt, toAt: range.toAt } }),
    spareTags: [],
    holders: timeline.tags.map((tag) => ({
      tag,
      customer: `card-${tag}`,
      opened: { name: `Card ${tag}`, creditE5Sek: recorded.creditE5Sek },
    })),
    notes: [...bad.map(({ line, reason }) => `line ${line} is passed over: ${reason}`), ...notes],
  };
}
