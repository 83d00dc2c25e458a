/** The newest sampled values of each connector, as the journal gave them since this process was started. */
import type { Meter, Sample } from '#actors/schema/events';
import type { ConnectorSamples } from '../schema/live.ts';

/** Kinds of values of one connector: OCPP 1.6 knows 22 measurands, some of them per phase. */
const kindsMax = 96;

const kindOf = ({ measurand, phase, location }: Sample) => `${measurand} ${phase} ${location}`;

interface OfConnector {
  byKind: Map<string, Sample>;
  transaction: number | null;
  receivedAt: number;
  sequence: number;
}

export class LatestSamples {
  readonly #byCharger = new Map<string, Map<number, OfConnector>>();

  /** Of the same kind the later one counts, whatever order they came in. */
  take({ charger, connector, transaction, receivedAt, samples }: Meter, sequence: number): void {
    let ofCharger = this.#byCharger.get(charger);
    if (ofCharger === undefined) this.#byCharger.set(charger, (ofCharger = new Map<number, OfConnector>()));
    const byKind = ofCharger.get(connector)?.byKind ?? new Map<string, Sample>();
    for (const sample of samples) {
      const kind = kindOf(sample);
      if ((byKind.get(kind)?.at ?? -Infinity) > sample.at) continue;
      if (byKind.size >= kindsMax && !byKind.has(kind)) continue;
      byKind.set(kind, sample);
    }
    ofCharger.set(connector, { byKind, transaction, receivedAt, sequence });
  }

  forget(charger: string): void {
    this.#byCharger.delete(charger);
  }

  /** Connectors with samples that came after `sequence`. */
  since(charger: string, sequence: number): number[] {
    return [...(this.#byCharger.get(charger) ?? [])].flatMap(([n, found]) => (found.sequence > sequence ? [n] : []));
  }

  of(charger: string, connector: number): ConnectorSamples | undefined {
    const found = this.#byCharger.get(charger)?.get(connector);
    if (found === undefined) return undefined;
    const { byKind, transaction, receivedAt } = found;
    return { connector, transaction, receivedAt, samples: [...byKind.values()] };
  }
}
