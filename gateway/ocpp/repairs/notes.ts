/** What the repairs found out about one message on its way to strict validation. */

/** A JSON object of a charger; repairs change it in place, it belongs to nobody else. */
export type Payload = Record<string, unknown>;

export interface ChargerTime {
  /** The time that counts, unix ms. */
  at: number;
  /** As the charger wrote it, '' when it wrote none. */
  raw: string;
  /** True when the charger's own time could not be used and `at` is the log's. */
  clock: boolean;
}

export class Notes {
  /** The log's clock when the message came, unix ms. */
  readonly now: number;
  /** Names of the repairs that were applied, each once, e.g. R05. */
  readonly rules: string[];
  /** Time of the message itself. */
  time: ChargerTime;
  /** Times of its meter values, in their order. */
  readonly sampleTimes: ChargerTime[] = [];

  constructor(now: number, rules: readonly string[]) {
    this.now = now;
    this.rules = [...rules];
    this.time = { at: now, raw: '', clock: true };
  }

  hit(rule: string): void {
    if (!this.rules.includes(rule)) this.rules.push(rule);
  }
}

export const isObject = (value: unknown): value is Payload =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
