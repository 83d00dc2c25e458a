import { exception } from './exception.ts';

export interface QuotaLimits {
  /** Queries in an hour, refused ones included. */
  queries: number;
  /** Their execution in an hour, all together, ms. */
  executionMs: number;
}

const minuteMs = 60_000;
const minutes = 60;

/** What a user may take of the engine within an hour, counted by minutes, so that room comes back minute by minute. */
export class Quota {
  readonly #limits: QuotaLimits;
  readonly #clock: () => number;
  #spent: { minute: number; queries: number; executionMs: number }[] = [];

  constructor(limits: QuotaLimits, clock: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Counts a query. @throws QUOTA_EXCEEDED when the hour's share is used up */
  enter(): void {
    const now = this.#now();
    const used = { queries: 0, executionMs: 0 };
    for (const { queries, executionMs } of this.#spent) {
      used.queries += queries;
      used.executionMs += executionMs;
    }
    const { queries, executionMs } = this.#limits;
    if (used.queries >= queries) throw exceeded(`queries = ${used.queries}/${queries}`);
    if (used.executionMs >= executionMs)
      throw exceeded(`execution_time = ${Math.round(used.executionMs / 1_000)}/${Math.round(executionMs / 1_000)} s`);
    now.queries++;
  }

  spend(executionMs: number): void {
    this.#now().executionMs += executionMs;
  }

  #now() {
    const minute = Math.floor(this.#clock() / minuteMs);
    this.#spent = this.#spent.filter((m) => m.minute > minute - minutes);
    let current = this.#spent.at(-1);
    if (current?.minute !== minute) this.#spent.push((current = { minute, queries: 0, executionMs: 0 }));
    return current;
  }
}

const exceeded = (what: string) =>
  exception('QUOTA_EXCEEDED', `Quota for user \`analyst\` for 1 hour has been exceeded: ${what}. Try again later`);
