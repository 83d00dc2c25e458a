/**
 * R05, R06, R07 and R10 on sampled values: canonical names, units and exact decimal strings.
 *
 * What the specification does not know keeps its raw name and is stored; only billing looks at known names. Magnitudes
 * are never changed here, a kWh stays a kWh.
 */
import { isObject, type Notes, type Payload } from './notes.ts';
import { decimalString } from './numbers.ts';
import { repairTime } from './time.ts';

export const register = 'Energy.Active.Import.Register';

/** Measurands of OCPP 1.6 and the unit that is meant when none is given; '' has none. */
const units: Record<string, string> = {
  [register]: 'Wh',
  'Energy.Active.Export.Register': 'Wh',
  'Energy.Active.Import.Interval': 'Wh',
  'Energy.Active.Export.Interval': 'Wh',
  'Energy.Reactive.Import.Register': 'varh',
  'Energy.Reactive.Export.Register': 'varh',
  'Energy.Reactive.Import.Interval': 'varh',
  'Energy.Reactive.Export.Interval': 'varh',
  'Power.Active.Import': 'W',
  'Power.Active.Export': 'W',
  'Power.Offered': 'W',
  'Power.Reactive.Import': 'var',
  'Power.Reactive.Export': 'var',
  'Power.Factor': '',
  'Current.Import': 'A',
  'Current.Export': 'A',
  'Current.Offered': 'A',
  Voltage: 'V',
  Frequency: 'Hertz',
  Temperature: 'Celsius',
  SoC: 'Percent',
  RPM: '',
};
export const unitByMeasurand: ReadonlyMap<string, string> = new Map(Object.entries(units));
const canonicalUnits = new Set([
  'Wh',
  'kWh',
  'varh',
  'kvarh',
  'W',
  'kW',
  'VA',
  'kVA',
  'var',
  'kvar',
  'A',
  'V',
  'K',
  'Celsius',
  'Fahrenheit',
  'Percent',
  'Hertz',
]);
const unitByLowerCase = new Map<string, string>([...canonicalUnits].map((unit) => [unit.toLowerCase(), unit]));
for (const [alias, unit] of [
  ['hz', 'Hertz'],
  ['celcius', 'Celsius'],
  ['%', 'Percent'],
  ['volt', 'V'],
  ['ampere', 'A'],
  ['amp', 'A'],
] as const) {
  unitByLowerCase.set(alias, unit);
}
const contexts = new Set([
  'Interruption.Begin',
  'Interruption.End',
  'Sample.Clock',
  'Sample.Periodic',
  'Transaction.Begin',
  'Transaction.End',
  'Trigger',
  'Other',
]);
const phases = new Set(['L1', 'L2', 'L3', 'N', 'L1-N', 'L2-N', 'L3-N', 'L1-L2', 'L2-L3', 'L3-L1']);
const locations = new Set(['Cable', 'EV', 'Inlet', 'Outlet', 'Body']);

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
    for (const value of values as unknown[]) {
      if (isObject(value) && !repairSampledValue(value, notes)) unreadable = true;
    }
    if (unreadable) entry['sampledValue'] = values.filter((v: unknown) => !isObject(v) || 'value' in v);
  }
}

/** Names of a sampled value that all versions share: absent ones get their default, phases their canonical form (R07). */
export function repairNames(sampled: Payload, measurands: { has(name: string): boolean }, notes: Notes): string {
  const measurand = nameOf(sampled, 'measurand', measurands, register, notes);
  nameOf(sampled, 'context', contexts, 'Sample.Periodic', notes);
  nameOf(sampled, 'location', locations, 'Outlet', notes);
  repairPhase(sampled, measurand, notes);
  return measurand;
}

/** The canonical spelling of a unit; undefined: nobody knows it. */
export const unitNamed = (unit: string): string | undefined =>
  canonicalUnits.has(unit) ? unit : unitByLowerCase.get(unit.trim().toLowerCase());

/** False when its value is no number: it is left out, the frame itself is kept by its hash. */
function repairSampledValue(sampled: Payload, notes: Notes): boolean {
  const measurand = repairNames(sampled, unitByMeasurand, notes);
  repairUnit(sampled, measurand, notes);
  const value = sampled['value'];
  if (value === undefined) return true;
  if (sampled['format'] === 'SignedData') {
    delete sampled['value'];
    notes.hit('signed');
    return false;
  }
  const decimal = decimalString(value);
  if (decimal === null) {
    delete sampled['value'];
    notes.hit('R05.unreadable');
    return false;
  }
  if (decimal !== value) {
    sampled['value'] = decimal;
    notes.hit('R05');
  }
  return true;
}

/** A field that is absent or null gets its default; an unknown name is kept and noted. */
function nameOf(
  sampled: Payload,
  field: string,
  known: { has(name: string): boolean },
  absent: string,
  notes: Notes,
): string {
  const name = sampled[field];
  if (name === undefined || name === null) return (sampled[field] = absent);
  if (typeof name !== 'string') return absent;
  if (known.has(name)) return name;
  notes.hit('R07');
  return name;
}

/** A current flows in a conductor, it is not measured between two: `L1-N` of a current means L1. */
function repairPhase(sampled: Payload, measurand: string, notes: Notes): void {
  const phase = sampled['phase'];
  if (phase === undefined) return;
  if (phase === null || phase === '') {
    delete sampled['phase'];
    notes.hit('R07');
    return;
  }
  if (typeof phase !== 'string') return;
  const name = phases.has(phase) ? phase : phase.trim().toUpperCase();
  const mapped =
    measurand.startsWith('Current.') && /^L[123]-N$/.test(name) ? name.slice(0, 2) : phases.has(name) ? name : phase;
  // A lone N is the neutral conductor: valid, and part of no sum over phases.
  if (mapped !== phase || !phases.has(mapped)) notes.hit('R07');
  sampled['phase'] = mapped;
}

function repairUnit(sampled: Payload, measurand: string, notes: Notes): void {
  const unit = sampled['unit'];
  if (unit === undefined || unit === null || unit === '') {
    const meant = unitByMeasurand.get(measurand) ?? '';
    // Wh is the specified default of energies; for anything else a missing unit is a deviation.
    if (unit !== undefined || (meant !== '' && meant !== 'Wh')) notes.hit('R06');
    sampled['unit'] = meant;
    return;
  }
  if (typeof unit !== 'string' || canonicalUnits.has(unit)) return;
  const canonical = unitNamed(unit);
  // "Celcius" is how the specification itself spells it.
  if (unit !== 'Celcius') notes.hit('R06');
  if (canonical !== undefined) sampled['unit'] = canonical;
}
