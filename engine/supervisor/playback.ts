/**
 * What somebody who plays recorded days sees of it: how far it is, and at the end what the days came to. The figures are read
 * from the history once it holds all that the log has decided, so they are those that an analyst would find.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openHistory, type HistoryStore } from '../history/mod.ts';
import { connectLog, journalBounds } from '../log/mod.ts';
import { consumptionReader } from '../projections/sinks.ts';
import { clickhouseUrl, natsUrl, type Place } from './parts.ts';
import { daysReport, reportLines, type DaysReport } from './days_report.ts';

/** What the simulator says on its way. */
interface PlaybackLine {
  progress?: { at: number; fraction: number; sessions: number };
  finished?: { at: number; sessions: number; energyWh: number };
}

const progressEveryMs = 10_000;
const historyPatienceMs = 300_000;
const lookEveryMs = 500;

export class Playback {
  readonly #say: (line: string) => void;
  readonly #startedAt = performance.now();
  #saidAt = -Infinity;
  #finish!: (line: NonNullable<PlaybackLine['finished']>) => void;
  /** Resolves when the last day is over. */
  readonly finished = new Promise<NonNullable<PlaybackLine['finished']>>((resolve) => {
    this.#finish = resolve;
  });

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** A line that the simulator wrote; others than its reports mean nothing here. */
  heard(line: string): void {
    if (!line.startsWith('{"progress"') && !line.startsWith('{"finished"')) return;
    const { progress, finished } = JSON.parse(line) as PlaybackLine;
    if (finished) this.#finish(finished);
    if (!progress || performance.now() - this.#saidAt < progressEveryMs) return;
    this.#saidAt = performance.now();
    const percent = (progress.fraction * 100).toFixed(1).padStart(5);
    const at = new Date(progress.at).toISOString().slice(0, 16).replace('T', ' ');
    this.#say(`  ${percent} %   ${at} UTC   ${progress.sessions} sessions ended`);
  }

  /** Waits until the history has it all, prints the report and leaves it in `<data>/report.json`. */
  async report(place: Place): Promise<DaysReport> {
    const { config, secrets } = place;
    const played = await this.finished;
    const wallMs = Math.round(performance.now() - this.#startedAt);
    this.#say('  played; waiting for the history …');
    const password = config.clickhousePassword || secrets.clickhouse;
    const history = await openHistory({ url: clickhouseUrl(place), user: config.clickhouseUser, password });
    try {
      await holdsEverything(place, history);
      const report = await daysReport(history.client, { ...played, wallMs, zone: config.zone });
      writeFileSync(join(config.dataDir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
      for (const line of reportLines(report)) this.#say(line);
      return report;
    } finally {
      await history.close();
    }
  }
}

/** Rows, and the consumption made of them. @throws when the history is not there in time */
async function holdsEverything(place: Place, history: HistoryStore): Promise<void> {
  const nc = await connectLog(natsUrl(place), 'report');
  try {
    const all = Array.from({ length: place.config.partitions }, (_, p) => p);
    const ends = await Promise.all(all.map(async (p) => (await journalBounds(nc, p)).last));
    const deadline = performance.now() + historyPatienceMs;
    for (;;) {
      const readers = [await history.readPositions(), await history.readReaderPositions(consumptionReader)];
      if (readers.every((positions) => all.every((p) => (positions.get(p) ?? 0) >= ends[p]!))) return;
      if (performance.now() > deadline) throw new Error('the history did not take in all that the log holds');
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  } finally {
    await nc.close();
  }
}
