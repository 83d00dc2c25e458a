/** What the samples of a message say about energy and power, reduced to one point per sample time. */
import { measured, type Quantity } from './decimal.ts';
import { powerWMax } from './load.ts';
import type { Sample } from './schema/events.ts';
import type { Point } from './schema/internal.ts';

const energyRegister = 'Energy.Active.Import.Register';
const activePower = 'Power.Active.Import';
/** No meter in the field counts to 1 TWh. */
const registerWhMax = 1_000_000_000_000;

/** Where it is measured: the outlet counts, the inlet where the outlet is not metered; body, cable and EV never. */
const rank = (location: string): number =>
  location === 'Outlet' || location === '' ? 0 : location === 'Inlet' ? 1 : 2;
const perPhase = (phase: string): boolean => /^L[123](-N)?$/.test(phase);

/** Total of a measurand: the value without phase, else the sum over the phases; null when there is none. */
function total(samples: readonly Sample[], measurand: string, quantity: Quantity): number | null {
  for (let wanted = 0; wanted < 2; wanted++) {
    let sum: number | null = null;
    for (const sample of samples) {
      if (sample.measurand !== measurand || rank(sample.location) !== wanted) continue;
      if (sample.phase !== '' && !perPhase(sample.phase)) continue;
      const value = measured(sample);
      if (value === null || value.quantity !== quantity) continue;
      if (sample.phase === '') return value.value;
      sum = (sum ?? 0) + value.value;
    }
    if (sum !== null) return sum;
  }
  return null;
}

function pointOf(at: number, samples: readonly Sample[]): Point {
  const registerWh = total(samples, energyRegister, 'energyWh');
  const powerW = total(samples, activePower, 'powerW');
  return {
    at,
    registerWh: registerWh !== null && registerWh >= 0 && registerWh <= registerWhMax ? registerWh : null,
    powerW: powerW !== null && Math.abs(powerW) <= powerWMax ? powerW : null,
  };
}

/** One point per sample time, oldest first. */
export function pointsOf(samples: readonly Sample[]): Point[] {
  const first = samples[0];
  if (first === undefined) return [];
  if (samples.every((sample) => sample.at === first.at)) return [pointOf(first.at, samples)];
  const byTime = new Map<number, Sample[]>();
  for (const sample of samples) {
    const known = byTime.get(sample.at);
    if (known) known.push(sample);
    else byTime.set(sample.at, [sample]);
  }
  return [...byTime].sort(([a], [b]) => a - b).map(([at, group]) => pointOf(at, group));
}
