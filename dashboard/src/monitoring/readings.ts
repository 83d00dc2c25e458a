/** What the newest samples of a connector say, in the units of the screen. OCPP 1.6 and 2.0.1 name measurands alike. */
import type { ConnectorSamples, Sample } from '#gateway/schema/mod';

export interface Reading {
  measurand: string;
  /** '' for a total. */
  phase: string;
  value: number;
  /** As shown: kW, kWh, A, V, %. */
  unit: string;
  /** unix ms. */
  at: number;
}
export interface Readings {
  power: Reading | null;
  energy: Reading | null;
  /** By phase, L1 first; a total alone when there are none. */
  current: Reading[];
  voltage: Reading[];
  soc: Reading | null;
  temperature: Reading | null;
  rest: Reading[];
}

/** What a unit of the wire is on the screen: its name, and by how much the value is divided. */
const units: Record<string, { unit: string; divisor: number }> = {
  W: { unit: 'kW', divisor: 1_000 },
  Wh: { unit: 'kWh', divisor: 1_000 },
  Percent: { unit: '%', divisor: 1 },
  Celsius: { unit: '°C', divisor: 1 },
  Celcius: { unit: '°C', divisor: 1 },
};

/** Where the car is fed counts first; a charger may also tell of its inlet and its body. */
const places = ['Outlet', '', 'Cable', 'EV', 'Inlet', 'Body'];
const rank = ({ location }: Sample) => (places.indexOf(location) + 1 || places.length + 1) - 1;

function readingOf({ measurand, phase, unit, value, at }: Sample): Reading {
  const { unit: shown, divisor } = units[unit] ?? { unit, divisor: 1 };
  return { measurand, phase, value: Number(value) / divisor, unit: shown, at };
}

export function readings({ samples }: Pick<ConnectorSamples, 'samples'>): Readings {
  const sorted = [...samples].sort((a, b) => rank(a) - rank(b) || (a.phase < b.phase ? -1 : a.phase > b.phase ? 1 : 0));
  const taken = new Set<Sample>();
  /** One of a phase: that of the first place. */
  const all = (measurand: string): Sample[] => {
    const ofPhase = new Map<string, Sample>();
    for (const sample of sorted)
      if (sample.measurand === measurand && !ofPhase.has(sample.phase)) ofPhase.set(sample.phase, sample);
    return [...ofPhase.values()].sort((a, b) => (a.phase < b.phase ? -1 : 1));
  };
  const total = (measurand: string): Reading | null => {
    const found = all(measurand).find(({ phase }) => phase === '');
    if (found === undefined) return null;
    taken.add(found);
    return readingOf(found);
  };
  const phases = (measurand: string): Reading[] => {
    const found = all(measurand);
    const single = found.filter(({ phase }) => phase !== '' && phase !== 'N');
    const shown = single.length > 0 ? single : found;
    for (const sample of shown) taken.add(sample);
    return shown.map(readingOf);
  };
  const known = {
    power: total('Power.Active.Import'),
    energy: total('Energy.Active.Import.Register'),
    current: phases('Current.Import'),
    voltage: phases('Voltage'),
    soc: total('SoC'),
    temperature: total('Temperature'),
  };
  return { ...known, rest: sorted.filter((sample) => !taken.has(sample)).map(readingOf) };
}
