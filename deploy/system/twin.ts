/**
 * The generated twin of a recorded day: a CSV with the same columns in which cars come and go within seconds, in waves
 * that take the station through all tiers and back.
 */
import { writeFileSync } from 'node:fs';
import { Random } from '#gateway/simulator/random';

const header =
  'Session,ConnectionStartDateTime,ConnectionEndDateTime,ChargingStartDateTime,ChargingEndDateTime,Power,Energy,' +
  'ConnectionHours,ChargingHours,FlexibilityHours,ChargingStation,UserID,Profile';

export interface TwinOptions {
  seed: number;
  chargers: number;
  /** Cars at the plugs in each wave, of `waveMs` each. */
  waves: readonly number[];
  waveMs: number;
}

export const twinDay = { day: '2019-05-15', from: '07:00' } as const;
/** 07:00 of that day in Los Angeles. */
const fromAt = Date.UTC(2019, 4, 15, 14);
const powerW = 6_600;

/** Writes the file; returns how many sessions it has. */
export function writeTwin(path: string, { seed, chargers, waves, waveMs }: TwinOptions): number {
  const random = new Random(`twin ${seed}`);
  const lines = [header];
  const iso = (ms: number) => new Date(fromAt + ms).toISOString();
  const session = (charger: number, startMs: number, endMs: number) => {
    // Two in three charge to the end; the others are full before they leave.
    const share = random.below(3) === 0 ? 0.3 + random.below(60) / 100 : 2;
    const kWh = ((powerW * (endMs - startMs) * share) / 3.6e9).toFixed(3);
    const name = String(charger + 1).padStart(3, '0');
    const tag = String(random.below(400)).padStart(9, '0');
    const times = `${iso(startMs)},${iso(endMs)}`;
    lines.push(`S${lines.length},${times},${times},6.6,${kWh},0.1,0.1,0,1-1-200-${name},${tag},Worktime`);
  };
  for (let charger = 0; charger < chargers; charger++) {
    let startMs: number | null = (waves[0] ?? 0) > charger ? -60_000 * (5 + random.below(300)) : null;
    for (const [i, cars] of waves.entries()) {
      const border = i * waveMs + random.below(4_000);
      if (startMs !== null && (cars <= charger || (i > 0 && random.below(3) === 0))) {
        session(charger, startMs, Math.max(border, startMs + 3_000));
        startMs = null;
      }
      if (startMs === null && cars > charger) startMs = border + 5_000 + random.below(2_000);
    }
    // What is still there at the end of the waves stays.
    if (startMs !== null) session(charger, startMs, startMs + 10 * 3_600_000);
  }
  writeFileSync(path, `${lines.join('\n')}\n`);
  return lines.length - 1;
}
