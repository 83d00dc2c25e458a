/**
 * Sampled values of OCPP 2.0.1: a JSON number, a unit with a power of ten. The repairs leave exact decimal strings; what
 * becomes of them is what OCPP 1.6 would have sent.
 */
import type { Sample } from '#actors/schema/events';
import { register, repairNames, unitByMeasurand, unitNamed } from '../repairs/meter_values.ts';
import { isObject, type Notes, type Payload } from '../repairs/notes.ts';
import { decimalString, repairOptionalInteger } from '../repairs/numbers.ts';
import { repairTime } from '../repairs/time.ts';

/** What 2.0.1 can measure besides. */
const measurands: ReadonlyMap<string, string> = new Map([
  ...unitByMeasurand,
  ['Energy.Active.Net', 'Wh'],
  ['Energy.Reactive.Net', 'varh'],
  ['Energy.Apparent.Net', 'VAh'],
  ['Energy.Apparent.Import', 'VAh'],
  ['Energy.Apparent.Export', 'VAh'],
]);

/** Repairs the array in `field` in place; what is no array of objects is left to strict validation. */
export function repairMeterValues(payload: Payload, field: string, notes: Notes): void {
  const entries = payload[field];
  if (!Array.isArray(entries)) return;
  for (const entry of entries as unknown[]) {
    if (!isObject(entry)) continue;
    notes.sampleTimes.push(repairTime(entry, 'timestamp', notes, true));
    const values = entry['sampledValue'];
    if (!Array.isArray(values)) continue;
    let unreadable = false;
    for (const value of values as unknown[])
      if (isObject(value) && !repairSampledValue(value, notes)) unreadable = true;
    if (unreadable) entry['sampledValue'] = values.filter((v: unknown) => !isObject(v) || 'value' in v);
  }
}

/** False when its value is no number: it is left out, the frame itself is kept by its hash. */
function repairSampledValue(sampled: Payload, notes: Notes): boolean {
  repairNames(sampled, measurands, notes);
  repairUnit(sampled, notes);
  const { value } = sampled;
  if (value === undefined) return true;
  const decimal = decimalString(value);
  if (decimal === null) {
    delete sampled['value'];
    notes.hit('R05.unreadable');
    return false;
  }
  sampled['value'] = decimal;
  // JSON numbers are what the specification asks for, whatever their digits look like.
  if (typeof value !== 'number') notes.hit('R05');
  return true;
}

/** R06: the unit where OCPP 1.6 has it, or with another type. */
function repairUnit(sampled: Payload, notes: Notes): void {
  const { unit } = sampled;
  if (unit !== undefined && sampled['unitOfMeasure'] === undefined) {
    delete sampled['unit'];
    if (unit !== null) sampled['unitOfMeasure'] = { unit };
    notes.hit('R06');
  }
  const given = sampled['unitOfMeasure'];
  if (given === null) delete sampled['unitOfMeasure'];
  else if (typeof given === 'string') sampled['unitOfMeasure'] = { unit: given };
  if (given === null || typeof given === 'string') notes.hit('R06');
  const unitOfMeasure = sampled['unitOfMeasure'];
  if (!isObject(unitOfMeasure)) return;
  repairOptionalInteger(unitOfMeasure, 'multiplier', notes);
  const named = unitOfMeasure['unit'];
  if (named === null || named === '') {
    delete unitOfMeasure['unit'];
    notes.hit('R06');
  } else if (typeof named === 'string' && named !== 'Hz' && unitNamed(named) !== named) notes.hit('R06');
}

interface SampledValue {
  value: string;
  measurand: string;
  phase?: string;
  location: string;
  context: string;
  unitOfMeasure?: { unit?: string; multiplier?: number };
}
interface MeterEntry {
  sampledValue: SampledValue[];
}

/** Flattens meter values. */
export function samplesOf(entries: unknown, notes: Notes): Sample[] {
  if (entries === undefined) return [];
  const samples: Sample[] = [];
  (entries as MeterEntry[]).forEach((entry, i) => {
    const { at } = notes.sampleTimes[i] ?? notes.time;
    for (const sampled of entry.sampledValue) {
      const { measurand, phase = '', location, context } = sampled;
      samples.push({ at, measurand, phase, location, context, unit: unitOf(sampled), value: valueOf(sampled) });
    }
  });
  return samples;
}

/** What the content key of meter values is made of: the samples with the times as the charger wrote them. */
export function linesOf(entries: unknown, samples: readonly Sample[], notes: Notes, message: string): string {
  let lines = '';
  let next = 0;
  (entries as MeterEntry[]).forEach((entry, i) => {
    const { raw } = notes.sampleTimes[i] ?? notes.time;
    for (const until = next + entry.sampledValue.length; next < until; next++) {
      const { measurand, phase, location, context, unit, value } = samples[next]!;
      lines += `${raw || message}\t${measurand}\t${phase}\t${location}\t${context}\t${unit}\t${value}\n`;
    }
  });
  return lines;
}

/** Wh is meant by no unit at all where energy is measured, else the unit of the measurand (2.0.1 part 2, UnitOfMeasureType). */
function unitOf({ unitOfMeasure, measurand }: SampledValue): string {
  const unit = unitOfMeasure?.unit;
  if (unit === undefined) return measurand === register ? 'Wh' : (measurands.get(measurand) ?? '');
  return unitNamed(unit) ?? unit;
}

const valueOf = ({ value, unitOfMeasure }: SampledValue): string => {
  const multiplier = unitOfMeasure?.multiplier ?? 0;
  return multiplier === 0 ? value : (decimalString(`${value}e${multiplier}`) ?? value);
};
