/** What `gridtick trade-script` says at its end. */
import type { BookRules } from '#actors/schema/trading';
import { hitCostE5Sek } from '../quotes/quote.ts';
import { sekOfE5 } from '../sek.ts';
import type { Mismatch, ScriptOutcome } from './outcomes.ts';
import type { Played } from './play.ts';
import type { Tally } from './tally.ts';

const centE5 = 1_000;

export interface ScriptResult extends ScriptOutcome {
  book: string;
  seconds: number;
  perSecond: number;
  okPerSecond: number;
  errorsPerSecond: number;
  /** Errors by code. */
  codes: Record<string, number>;
  /** Applied by an earlier run, with a result that is no longer known. */
  repeated: number;
  depositsCents: number;
  /** Whether what is left is what was paid in; null: it cannot be told. */
  conserved: boolean | null;
  openBuyTriggers: number;
  openSellTriggers: number;
  p50Ms: number | null;
  p99Ms: number | null;
  p999Ms: number | null;
  quoteHits: number;
  quoteCostSek: string;
  /** Of all books of the installation; null: it was not read, or the journal was purged. */
  ledgerHash: string | null;
  mismatches: Mismatch[];
}

/**
 * By value, shares are cents. By units they stand for what was paid for them less what was received: those that are pending or
 * reserved are in it. That cannot be told when triggers may have traded, or commands were applied by an earlier run.
 */
export function scriptResult(
  book: string,
  { denomination, triggers }: BookRules,
  tally: Tally,
  { seconds, left: { money, units, openBuyTriggers, openSellTriggers } }: Played,
): ScriptResult {
  const byValue = denomination === 'value';
  const isKnown = tally.repeated === 0 && (byValue || !triggers);
  const parts = {
    cashCents: money.available / centE5,
    stockCents: byValue ? units.available : tally.paidE5 / centE5,
    pendingBuyCents: money.pending / centE5,
    pendingSellCents: units.pending,
    reservedBuyCents: money.reserved / centE5,
    reservedSellCents: units.reserved,
  };
  const totalCents = Object.values(parts).reduce((sum, part) => sum + part, 0);
  const depositsCents = tally.depositsE5 / centE5;
  const per = (count: number) => Math.round(count / Math.max(seconds, 0.001));
  return {
    ...{ book, commands: tally.commands, users: tally.users.size },
    seconds: Math.round(seconds * 1_000) / 1_000,
    perSecond: per(tally.commands),
    okPerSecond: per(tally.okCount),
    errorsPerSecond: per(tally.errorCount),
    ...{ ok: tally.ok, errors: tally.errors, codes: tally.codes, repeated: tally.repeated },
    ...parts,
    ...{ totalCents, depositsCents, conserved: isKnown ? totalCents === depositsCents : null },
    ...{ openBuyTriggers, openSellTriggers },
    p50Ms: tally.latencies.quantile(0.5),
    p99Ms: tally.latencies.quantile(0.99),
    p999Ms: tally.latencies.quantile(0.999),
    quoteHits: tally.quoteHits,
    quoteCostSek: sekOfE5(tally.quoteHits * hitCostE5Sek),
    ledgerHash: null,
    mismatches: [],
  };
}

const sek = (cents: number) => `${(cents / 100).toFixed(2)} SEK`;

/** For people. */
export function* reportLines(result: ScriptResult): Generator<string> {
  const { commands, users, seconds, okPerSecond, errorsPerSecond, codes, repeated } = result;
  yield `book          ${result.book}`;
  yield `commands      ${commands} of ${users} users in ${seconds.toFixed(1)} s`;
  yield `rate          ${okPerSecond} ok/s, ${errorsPerSecond} errors/s`;
  yield `latency       p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms, p99.9 ${result.p999Ms} ms`;
  yield `quotes        ${result.quoteHits} hits, ${result.quoteCostSek} SEK`;
  const named = Object.entries(codes).map(([code, count]) => `${code} ${count}`);
  if (named.length > 0) yield `errors        ${named.join(', ')}`;
  if (repeated > 0) yield `before        ${repeated} were applied by an earlier run`;
  yield `money         ${sek(result.cashCents)} free, ${sek(result.pendingBuyCents)} pending, ${sek(result.reservedBuyCents)} reserved`;
  yield `shares        ${sek(result.stockCents)} free, ${sek(result.pendingSellCents)} pending, ${sek(result.reservedSellCents)} reserved`;
  yield `triggers      ${result.openBuyTriggers} to buy, ${result.openSellTriggers} to sell`;
  const sums = { true: 'all of it is there', false: 'THEY DIFFER', null: 'not compared' }[`${result.conserved}`];
  yield `paid in       ${sek(result.depositsCents)}; there is ${sek(result.totalCents)}: ${sums}`;
  if (result.ledgerHash !== null) yield `ledger hash   ${result.ledgerHash}`;
  for (const { field, expected, got } of result.mismatches) yield `    ${field}: expected ${expected}, got ${got}`;
}
