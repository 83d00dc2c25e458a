/** All chargers of a scenario in one process, with their memories in one directory and one clock that outlives restarts. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Charger, type ChargerOptions } from './charger.ts';
import { wallClock, type SimulatorClock } from './clock.ts';
import type { Driven } from './drive.ts';
import type { ChargerLog } from './line.ts';
import type { SessionMemory } from './memory.ts';
import { hashOf } from './random.ts';
import { MemoryStore, replaceFile } from './store.ts';
import type { Timeline } from './timeline.ts';
import { v16 } from './v16.ts';
import { v201 } from './v201.ts';

type Tuning = Pick<
  ChargerOptions,
  | 'sampleEveryMs'
  | 'finishingMs'
  | 'cardAgainMs'
  | 'errorPauseMs'
  | 'rebootMs'
  | 'retryMs'
  | 'callTimeoutMs'
  | 'doubles'
>;

export type Versions = '1.6' | '2.0.1' | 'both';

export interface FleetOptions extends Tuning {
  /** ws://host:port/ocpp */
  url: string;
  /** Everything the fleet remembers; one fleet at a time. */
  directory: string;
  timeline: Timeline;
  log: ChargerLog;
  /** The disk refused: nothing more can be remembered, so nothing more may be said. */
  onFailure: (error: Error) => void;
  /** 'both': 1.6 and 2.0.1 by turns. @default both */
  versions?: Versions;
  /** @default wallClock */
  clock?: SimulatorClock;
  /** Played with a driven log: unix ms of time 0 of the timeline. Absent: it is the moment of the first start. */
  lockStepFrom?: number;
  /** Chargers that dial per second at the start. @default 200 */
  dialPerSecond?: number;
}

/** Version of the charger with this place in the fleet. */
export const versionAt = (place: number, versions: Versions) =>
  versions === 'both' ? (place % 2 === 0 ? v16 : v201) : versions === '1.6' ? v16 : v201;

/** What the chargers know, for people and tests. Energy of a session = stopWh − startWh. */
export interface Figures {
  at: number;
  /** Sampled values whose message was answered, and messages that wait for an answer, over all chargers. */
  answeredSamples: number;
  unanswered: number;
  chargers: {
    charger: string;
    version: '1.6' | '2.0.1';
    registerWh: number;
    answeredSamples: number;
    answeredMessages: number;
    refusedMessages: number;
    unanswered: number;
    /** The newest sessions, the running one (stopAt null) last; older ones as a sum. */
    sessions: Pick<SessionMemory, 'tag' | 'startAt' | 'startWh' | 'stopAt' | 'stopWh' | 'transaction' | 'settled'>[];
    older: { sessions: number; wh: number };
  }[];
}

const figuresEveryMs = 10_000;
/** A look at the fleet without being told that something changed: a backstop, not a pace. */
const lookEveryMs = 250;

export class Fleet implements Driven {
  readonly #options: FleetOptions;
  readonly #store: MemoryStore;
  readonly #chargers: Charger[];
  readonly #versions: Versions;
  readonly #figures: NodeJS.Timeout;
  /** Those who wait for a change. */
  #waiting: (() => void)[] = [];
  /** Unix ms of time 0 of the timeline: the first start of this directory, or as the log is driven. */
  readonly anchorAt: number;

  private constructor(options: FleetOptions, store: MemoryStore, anchorAt: number) {
    this.#options = options;
    this.#store = store;
    this.anchorAt = anchorAt;
    const {
      url,
      timeline,
      log,
      dialPerSecond = 200,
      versions = 'both',
      clock = wallClock,
      lockStepFrom,
      ...rest
    } = options;
    this.#versions = versions;
    const common = { ...rest, url, timeline, anchorAt, store, log, clock, lockStep: lockStepFrom !== undefined };
    const onChange = () => this.wake();
    this.#chargers = timeline.chargers.map(
      (identity, place) => new Charger({ ...common, identity, version: versionAt(place, versions), onChange }),
    );
    const spreadMs = Math.max(1, Math.ceil((this.#chargers.length * 1_000) / dialPerSecond));
    for (const charger of this.#chargers) charger.start(hashOf(`dial ${charger.identity}`) % spreadMs);
    this.#figures = setInterval(() => this.writeFigures(), figuresEveryMs);
  }

  /** Starts or continues. Throws when the directory belongs to another scenario. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const { directory, timeline, log, versions = 'both', lockStepFrom } = options;
    mkdirSync(directory, { recursive: true });
    const fresh = { fingerprint: timeline.fingerprint, anchorAt: lockStepFrom ?? Date.now(), versions };
    const { anchorAt, versions: born } = anchorOf(directory, fresh);
    if (born !== versions) log.warn({ directory, versions: born }, 'chargers keep the version they began with');
    const store = await MemoryStore.open(join(directory, 'memory'), { onFailure: options.onFailure });
    return new Fleet({ ...options, versions: born }, store, anchorAt);
  }

  /** Something may have become due. */
  wake(): void {
    for (const tell of this.#waiting.splice(0)) tell();
  }

  /** Resolves when a charger has heard or remembered something, or after a quarter of a second. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, lookEveryMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  get busy(): boolean {
    return this.#chargers.some((charger) => charger.busy || charger.waiting);
  }

  /**
   * Sessions of one instant begin one after the other, in the order of the fleet, after all else that is due: the engine
   * numbers transactions as it hears of them, and the same days must come to the same numbers.
   */
  letIn(): void {
    if (this.#chargers.some((charger) => charger.busy)) return;
    this.#chargers.find((charger) => charger.waiting)?.enter();
  }

  played(): { sessions: number; energyWh: number } {
    let [sessions, energyWh] = [0, 0];
    for (const { older, sessions: own } of this.#chargers.map(({ memory }) => memory)) {
      sessions += older.sessions;
      energyWh += older.wh;
      for (const { stopWh, startWh } of own) {
        if (stopWh === null) continue;
        sessions += 1;
        energyWh += stopWh - startWh;
      }
    }
    return { sessions, energyWh };
  }

  /** What was said once is said a second time now, where everything is to be said twice. */
  flush(): void {
    for (const charger of this.#chargers) charger.line.flush();
  }

  get size(): number {
    return this.#chargers.length;
  }
  /** Chargers that are connected and were accepted. */
  get registered(): number {
    return this.#chargers.filter((charger) => charger.registered).length;
  }

  figures(): Figures {
    const chargers = this.#chargers.map(({ identity, memory }, place) => {
      const { wh: registerWh, answeredSamples, answeredMessages, refusedMessages, older, queue } = memory;
      const sessions = memory.sessions.map(({ tag, startAt, startWh, stopAt, stopWh, transaction, settled }) => ({
        tag,
        startAt,
        startWh,
        stopAt,
        stopWh,
        transaction,
        settled,
      }));
      return {
        charger: identity,
        version: versionAt(place, this.#versions).name,
        registerWh,
        answeredSamples,
        answeredMessages,
        refusedMessages,
        unanswered: queue.length,
        sessions,
        older,
      };
    });
    const sum = (pick: (c: Figures['chargers'][number]) => number) => chargers.reduce((total, c) => total + pick(c), 0);
    return {
      at: (this.#options.clock ?? wallClock).now(),
      answeredSamples: sum((c) => c.answeredSamples),
      unanswered: sum((c) => c.unanswered),
      chargers,
    };
  }

  /** Writes `answered.json`. */
  writeFigures(): void {
    replaceFile(join(this.#options.directory, 'answered.json'), JSON.stringify(this.figures()));
  }

  /** Cars and meters stand still; resolves when all that was said is answered and durable, with the figures written. */
  async quiet(): Promise<Figures> {
    for (const charger of this.#chargers) charger.produce(false);
    this.flush();
    while (this.#chargers.some((charger) => charger.unanswered > 0 || charger.line.flushing)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.#store.flush();
    this.writeFigures();
    return this.figures();
  }

  /** Cars move again; what should have happened meanwhile happens now, with its own time. */
  resume(): void {
    for (const charger of this.#chargers) charger.produce(true);
  }

  /** Hangs up as a process does that is killed: what is not durable by itself is lost. */
  async abandon(): Promise<void> {
    clearInterval(this.#figures);
    await Promise.all(this.#chargers.map((charger) => charger.stop()));
  }

  /** Hangs up, makes everything durable, writes the figures. */
  async close(): Promise<void> {
    clearInterval(this.#figures);
    await Promise.all(this.#chargers.map((charger) => charger.stop()));
    await this.#store.close();
    this.writeFigures();
  }
}

interface Anchor {
  fingerprint: string;
  anchorAt: number;
  versions: Versions;
}

/** The moment of the first start. Kept, so that a second start goes on in the same day instead of beginning it again. */
function anchorOf(directory: string, fresh: Anchor): Anchor {
  const path = join(directory, 'anchor.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    replaceFile(path, JSON.stringify(fresh));
    return fresh;
  }
  // Without a version it was written when all chargers spoke 1.6.
  const kept = { versions: '1.6', ...(JSON.parse(text) as Omit<Anchor, 'versions'>) } as Anchor;
  if (kept.fingerprint !== fresh.fingerprint) {
    throw new Error(
      `${directory} holds the chargers of another scenario (${kept.fingerprint}, not ${fresh.fingerprint}): ` +
        'start it with the same options, or set GRIDTICK_DATA_DIR to another directory',
    );
  }
  return kept;
}
