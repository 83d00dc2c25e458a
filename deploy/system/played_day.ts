/** An installation in which a recorded day plays, or its generated twin, watched by {@link watchPrices}. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Installation } from './installation.ts';
import { watchPrices } from './price_path.ts';
import { twinDay, writeTwin } from './twin.ts';

/** Third-party data beside the repository, never in it; tests with it are skipped when it is absent. */
export const recordedDay = join(import.meta.dirname, '../../../shared/data/ev/acn_jpl_sessions_2018_2021.csv.gz');

const waveMs = 12_000;
/** Cars per wave: up through all tiers and down again. */
const cars = [30, 40, 50, 52, 40, 30, 40, 20];

export class PlayedDay {
  #folder = '';
  #installation: Installation | null = null;

  playRecorded(slots: number) {
    return this.#play(recordedDay, slots, {});
  }

  /** Cars come and go within seconds; samples come every second. */
  playGenerated(slots: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'gridtick-twin-'));
    const file = join(this.#folder, 'sessions.csv');
    writeTwin(file, {
      seed: 1,
      chargers: 52,
      waves: Array.from({ length: slots + 3 }, (_, i) => cars[i % 8]!),
      waveMs,
    });
    return this.#play(file, slots, { GRIDTICK_TEST_SAMPLE_EVERY_MS: '1000' });
  }

  async #play(file: string, slots: number, env: Record<string, string>) {
    const args = ['--sessions', file, '--day', twinDay.day, '--from', twinDay.from];
    this.#installation = new Installation({ args, env });
    await this.#installation.start();
    return await watchPrices(this.#installation, slots);
  }

  async dispose(failed: boolean): Promise<void> {
    await this.#installation?.dispose(failed);
    this.#installation = null;
    if (this.#folder !== '') rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = '';
  }
}
