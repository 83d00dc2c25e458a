/** What the OCPP edge counts; all of it bounded in size, whatever chargers send. */
export class Counters {
  readonly messages: Record<string, number> = {};
  /** Answers by action (`other`: none that is known) and outcome: answered, replayed, or the code of the CALLERROR. */
  readonly answers: Record<string, Record<string, number>> = {};
  readonly errors: Record<string, number> = {};
  readonly refusedUpgrades: Record<string, number> = {};
  readonly closed: Record<string, number> = {};
  /** `<vendor>/<model>/<firmware>/<rule>` → hits: what a charger model needs to be forgiven. */
  readonly repairs = new Map<string, number>();
  /** CALLs that came while another was in work. */
  pipelined = 0;
  /** Answers given again to a resent message. */
  replayed = 0;
  /** Decisions that came after their deadline. */
  late = 0;
  oddFrames: Record<'ignored' | 'unreadable' | 'unmatched', number> = { ignored: 0, unreadable: 0, unmatched: 0 };
  pauses: Record<'line' | 'rate' | 'congestion', number> = { line: 0, rate: 0, congestion: 0 };
  failedAuthentications = 0;

  count(group: 'messages' | 'errors' | 'refusedUpgrades' | 'closed', name: string | number): void {
    this[group][name] = (this[group][name] ?? 0) + 1;
  }

  answered(action: string, outcome: string): void {
    const of = (this.answers[action] ??= {});
    of[outcome] = (of[outcome] ?? 0) + 1;
  }

  repaired(model: string, rules: readonly string[]): void {
    for (const rule of rules) {
      const name = `${model}/${rule}`;
      const key = this.repairs.has(name) || this.repairs.size < modelsMax ? name : `other/${rule}`;
      this.repairs.set(key, (this.repairs.get(key) ?? 0) + 1);
    }
  }
}

const modelsMax = 2_000;
