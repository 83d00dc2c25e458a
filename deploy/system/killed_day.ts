/** A generated day of cars that come and go within seconds, under kill -9, checked when its chargers are at rest. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { atRest } from './at_rest.ts';
import { expectNothingLostOrDoubled, expectRightPrices, summary } from './checks.ts';
import { Installation } from './installation.ts';
import { countOf, killAtRandom, mayBeSkipped, type KillOptions } from './kills.ts';
import { recordedStation } from './price_path.ts';
import { twinDay, writeTwin } from './twin.ts';

const waveMs = 12_000;
/** Cars per wave: up through all tiers and down again. */
const cars = [34, 44, 52, 44, 36, 26];

export class KilledDay {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gridtick-twin-'));
  #installation: Installation | null = null;

  /** `minutes`: how long there are cars; the kills should need less. */
  async play(options: KillOptions & { minutes: number; engines?: number }): Promise<void> {
    const { seed, minutes, engines = 1 } = options;
    const file = join(this.#folder, 'sessions.csv');
    const waves = Array.from({ length: (minutes * 60_000) / waveMs }, (_, i) => cars[i % cars.length]!);
    writeTwin(file, { seed, chargers: 52, waves, waveMs });
    const installation = (this.#installation = new Installation({
      args: ['--sessions', file, '--day', twinDay.day, '--from', twinDay.from, '--engines', String(engines)],
      env: { GRIDTICK_TEST_SAMPLE_EVERY_MS: '500', GRIDTICK_TEST_RETRY_MOST_MS: '500' },
    }));
    await installation.start();
    await installation.ready();
    const say = (text: string) => console.log(`seed ${seed}: ${text}`);

    const { kills, orphansMs } = await killAtRandom(installation, options);
    const recovered = kills.map(
      ({ victims, at, readyAt }) => `${victims.join(' and ')} ${((readyAt - at) / 1_000).toFixed(1)} s`,
    );
    say(`${countOf(kills)} kills, all ready again after: ${recovered.join(', ')}`);
    say(`without their supervisor no child is left after ${orphansMs.join(', ')} ms`);
    const state = await atRest(installation, await installation.quiet(), recordedStation);
    say(summary(state));

    expectNothingLostOrDoubled(state);
    const skipped = expectRightPrices(state);
    say(`slots without a price: ${skipped.join(', ') || 'none'}`);
    expect(skipped.filter((slot) => !mayBeSkipped(slot, kills))).toEqual([]);
    // The supervisor stayed away for a whole slot once.
    expect(skipped.length).toBeGreaterThan(0);
    expect(countOf(kills)).toBeGreaterThanOrEqual(options.kills);
    expect(state.sessions.length).toBeGreaterThan(50);
  }

  async dispose(failed: boolean): Promise<void> {
    await this.#installation?.dispose(failed);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
