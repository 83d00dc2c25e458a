/** What came of the commands of a script, and how long their answers took. */
import type { OrderFact } from '#actors/schema/trading';
import type { CommandResult } from '#engine/wire';
import type { ScriptCommand, ScriptProblem } from './script.ts';

const bucketMs = 0.1;
const buckets = 600_000;

/** Counted in steps of 0.1 ms up to a minute. */
class Latencies {
  readonly #counts = new Uint32Array(buckets);
  #all = 0;

  add(ms: number): void {
    const bucket = Math.min(buckets - 1, Math.max(0, Math.floor(ms / bucketMs)));
    this.#counts[bucket]! += 1;
    this.#all += 1;
  }

  /** ms; null: nothing was measured. */
  quantile(share: number): number | null {
    let left = Math.ceil(share * this.#all);
    if (left === 0) return null;
    let bucket = -1;
    while (left > 0) left -= this.#counts[(bucket += 1)]!;
    return Math.round((bucket + 1) * bucketMs * 10) / 10;
  }
}

/** A line of which not even the command can be read. */
const unreadable = 'UNREADABLE';

export class Tally {
  readonly ok: Record<string, number> = {};
  readonly errors: Record<string, number> = {};
  /** Errors by code. */
  readonly codes: Record<string, number> = {};
  readonly latencies = new Latencies();
  readonly users = new Set<string>();
  commands = 0;
  okCount = 0;
  quoteHits = 0;
  /** Decided by an earlier run whose result is no longer at hand: neither ok nor error. */
  repeated = 0;
  /** Accepted ADDs, 10⁻⁵ SEK. */
  depositsE5 = 0;
  /** Committed buys less committed sells, 10⁻⁵ SEK. */
  paidE5 = 0;
  lastTxn = 0;

  get errorCount(): number {
    return this.commands - this.okCount - this.repeated;
  }

  problem({ command, code }: Pick<ScriptProblem, 'command' | 'code'>): void {
    this.commands += 1;
    this.#error(command ?? unreadable, code);
  }

  decided(script: ScriptCommand, result: CommandResult, ms: number): void {
    const { command, amountE5Sek, transactionNum, user } = script;
    this.commands += 1;
    this.lastTxn = Math.max(this.lastTxn, transactionNum);
    if (user !== null) this.users.add(user);
    this.latencies.add(ms);
    if (!result.ok) {
      if (result.code === 'result_forgotten') this.repeated += 1;
      else this.#error(command, result.code);
      return;
    }
    this.okCount += 1;
    this.ok[command] = (this.ok[command] ?? 0) + 1;
    if (command === 'ADD') this.depositsE5 += amountE5Sek ?? 0;
    if (command === 'COMMIT_BUY') this.paidE5 += (result.value as OrderFact).amountE5Sek;
    if (command === 'COMMIT_SELL') this.paidE5 -= (result.value as OrderFact).amountE5Sek;
  }

  #error(command: string, code: string): void {
    this.errors[command] = (this.errors[command] ?? 0) + 1;
    this.codes[code] = (this.codes[code] ?? 0) + 1;
  }
}
