/**
 * How a car takes energy: constant power up to 80 % state of charge, then a taper, linear in the state of charge, in
 * steps of one percent. A curve is a list of stages of constant power, so energy is an exact integer of W·ms at every ms.
 */

/** 1 Wh in W·ms. */
export const wMsPerWh = 3_600_000;

/** From `fromMs` after plug-in the car draws `powerW`; `wMs` is what it has by then. */
interface Stage {
  fromMs: number;
  powerW: number;
  wMs: number;
}

/** A charging curve as a pure function of the time since the start of charging. */
export interface ChargeCurve {
  readonly stages: readonly Stage[];
  /** What the car takes in all, W·ms; power is 0 from then on. */
  readonly totalWMs: number;
  /** When it has taken it, ms after the start. */
  readonly fullAtMs: number;
}

/** Taper: 1 % steps between 80 and 100 %, never below 2 % of full power. */
const taperFromPercent = 80;
const floorPercent = 2;

function curveOf(parts: readonly { powerW: number; wMs: number }[]): ChargeCurve {
  const stages: Stage[] = [];
  let fromMs = 0;
  let wMs = 0;
  for (const part of parts) {
    if (part.wMs === 0) continue;
    if (!Number.isSafeInteger(part.wMs) || part.wMs < 0 || !Number.isSafeInteger(part.powerW) || part.powerW <= 0) {
      throw new RangeError(`not a charging stage: ${part.powerW} W for ${part.wMs} W·ms`);
    }
    stages.push({ fromMs, powerW: part.powerW, wMs });
    fromMs += Math.ceil(part.wMs / part.powerW);
    wMs += part.wMs;
  }
  return { stages, totalWMs: wMs, fullAtMs: fromMs };
}

/** Draws `powerW` until `energyWh` is reached. */
export const constantCurve = (powerW: number, energyWh: number): ChargeCurve =>
  curveOf([{ powerW, wMs: energyWh * wMsPerWh }]);

/** A car that arrives with `arrivalWh` in a battery of `capacityWh` and takes `energyWh` at most, 100 % at most. */
export function ccCvCurve(car: {
  powerW: number;
  capacityWh: number;
  arrivalWh: number;
  energyWh: number;
}): ChargeCurve {
  const { powerW, capacityWh } = car;
  const fromWh = car.arrivalWh;
  const toWh = Math.min(capacityWh, fromWh + car.energyWh);
  const between = (lowWh: number, highWh: number) => Math.max(0, Math.min(highWh, toWh) - Math.max(lowWh, fromWh));
  const percentWh = (percent: number) => Math.trunc((capacityWh * percent) / 100);

  const parts = [{ powerW, wMs: between(0, percentWh(taperFromPercent)) * wMsPerWh }];
  const leastW = Math.max(1, Math.trunc((powerW * floorPercent) / 100));
  for (let percent = taperFromPercent; percent < 100; percent += 1) {
    // Mean power of the step: linear from full power at 80 % to nothing at 100 %, taken in its middle.
    const stepW = Math.trunc((powerW * (2 * (100 - percent) - 1)) / (2 * (100 - taperFromPercent)));
    parts.push({
      powerW: Math.max(leastW, stepW),
      wMs: between(percentWh(percent), percentWh(percent + 1)) * wMsPerWh,
    });
  }
  return curveOf(parts);
}

function stageAt(curve: ChargeCurve, ms: number): number {
  let low = 0;
  let high = curve.stages.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((curve.stages[middle]?.fromMs ?? 0) <= ms) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Energy taken `ms` after the start, W·ms; never falls. */
export function energyAt(curve: ChargeCurve, ms: number): number {
  const index = stageAt(curve, ms);
  const stage = curve.stages[index];
  if (stage === undefined || ms <= 0) return 0;
  const end = curve.stages[index + 1]?.wMs ?? curve.totalWMs;
  return Math.min(end, stage.wMs + stage.powerW * (ms - stage.fromMs));
}

/** Power drawn `ms` after the start, W; 0 before it and when the car has its energy. */
export function powerAt(curve: ChargeCurve, ms: number): number {
  if (ms < 0 || ms >= curve.fullAtMs) return 0;
  return curve.stages[stageAt(curve, ms)]?.powerW ?? 0;
}

/** When the power changes next, ms after the start; undefined: never again. */
export function nextChangeMs(curve: ChargeCurve, ms: number): number | undefined {
  const next = ms < 0 ? 0 : (curve.stages[stageAt(curve, ms) + 1]?.fromMs ?? curve.fullAtMs);
  return next > ms ? next : undefined;
}
