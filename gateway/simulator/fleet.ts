/** All chargers of a scenario in one process, with their memories in one directory and one clock that outlives restarts. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Charger, type ChargerLog, type ChargerOptions } from './charger.ts';
import type { SessionMemory } from './memory.ts';
import { hashOf } from './random.ts';
import { MemoryStore, replaceFile } from './store.ts';
import type { Timeline } from './timeline.ts';

type Tuning = Pick<
  ChargerOptions,
  'sampleEveryMs' | 'finishingMs' | 'cardAgainMs' | 'errorPauseMs' | 'retryMs' | 'callTimeoutMs'
>;

export interface FleetOptions extends Tuning {
  /** ws://host:port/ocpp */
  url: string;
  /** Everything the fleet remembers; one fleet at a time. */
  directory: string;
  timeline: Timeline;
  log: ChargerLog;
  /** The disk refused: nothing more can be remembered, so nothing more may be said. */
  onFailure: (error: Error) => void;
  /** Chargers that dial per second at the start. @default 200 */
  dialPerSecond?: number;
}

/** What the chargers know, for people and tests. Energy of a session = stopWh − startWh. */
export interface Figures {
  at: number;
  /** Sampled values whose message was answered, and messages that wait for an answer, over all chargers. */
  answeredSamples: number;
  unanswered: number;
  chargers: {
    charger: string;
    registerWh: number;
    answeredSamples: number;
    answeredMessages: number;
    refusedMessages: number;
    unanswered: number;
    /** The newest sessions, the running one (stopAt null) last; older ones as a sum. */
    sessions: Omit<SessionMemory, 'i'>[];
    older: { sessions: number; wh: number };
  }[];
}

const figuresEveryMs = 10_000;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #store: MemoryStore;
  readonly #chargers: Charger[];
  readonly #figures: NodeJS.Timeout;
  /** Unix ms of time 0 of the timeline: the first start of this directory. */
  readonly anchorAt: number;

  private constructor(options: FleetOptions, store: MemoryStore, anchorAt: number) {
    this.#options = options;
    this.#store = store;
    this.anchorAt = anchorAt;
    const { url, timeline, log, dialPerSecond = 200, ...rest } = options;
    this.#chargers = timeline.chargers.map(
      (identity) => new Charger({ ...rest, url, identity, timeline, anchorAt, store, log }),
    );
    const spreadMs = Math.max(1, Math.ceil((this.#chargers.length * 1_000) / dialPerSecond));
    for (const charger of this.#chargers) charger.start(hashOf(`dial ${charger.identity}`) % spreadMs);
    this.#figures = setInterval(() => this.writeFigures(), figuresEveryMs);
  }

  /** Starts or continues. Throws when the directory belongs to another scenario. */
  static async open(options: FleetOptions): Promise<Fleet> {
    mkdirSync(options.directory, { recursive: true });
    const anchorAt = anchorOf(options.directory, options.timeline.fingerprint);
    const store = await MemoryStore.open(join(options.directory, 'memory'), { onFailure: options.onFailure });
    return new Fleet(options, store, anchorAt);
  }

  get size(): number {
    return this.#chargers.length;
  }
  /** Chargers that are connected and were accepted. */
  get registered(): number {
    return this.#chargers.filter((charger) => charger.registered).length;
  }

  figures(): Figures {
    const chargers = this.#chargers.map(({ identity }) => {
      const memory = this.#store.memory(identity);
      const { wh: registerWh, answeredSamples, answeredMessages, refusedMessages, older, queue } = memory;
      const sessions = memory.sessions.map(({ i: _, ...session }) => session);
      return {
        charger: identity,
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
      at: Date.now(),
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
    while (this.#chargers.some((charger) => charger.unanswered > 0)) {
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

  /** Hangs up, makes everything durable, writes the figures. */
  async close(): Promise<void> {
    clearInterval(this.#figures);
    await Promise.all(this.#chargers.map((charger) => charger.stop()));
    await this.#store.close();
    this.writeFigures();
  }
}

/** The moment of the first start. Kept, so that a second start goes on in the same day instead of beginning it again. */
function anchorOf(directory: string, fingerprint: string): number {
  const path = join(directory, 'anchor.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const anchorAt = Date.now();
    replaceFile(path, JSON.stringify({ fingerprint, anchorAt }));
    return anchorAt;
  }
  const kept = JSON.parse(text) as { fingerprint: string; anchorAt: number };
  if (kept.fingerprint !== fingerprint) {
    throw new Error(
      `${directory} holds the chargers of another scenario (${kept.fingerprint}, not ${fingerprint}): ` +
        'start it with the same options, or set GRIDTICK_DATA_DIR to another directory',
    );
  }
  return kept.anchorAt;
}
