/** What came of a script, and whether it is what was expected of it. */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { commandNames } from './commands.ts';

const counts = Type.Partial(Type.Record(Type.Enum([...commandNames]), Type.Integer({ minimum: 0 })));
const count = Type.Integer({ minimum: 0 });

/** Of a file with expected outcomes, by file name and rule of pending orders; money in öre. */
const Expected = Type.Object({
  users: count,
  commands: count,
  ok: counts,
  err: counts,
  cash_cents: count,
  stock_cents: count,
  pending_buy_cents: count,
  pending_sell_cents: count,
  reserved_buy_cents: count,
  reserved_sell_cents: count,
  total_cents: count,
});
type Expected = Static<typeof Expected>;

export type PendingRule = 'stack' | 'slot';

/** The part of a run's result that is compared; money in öre. */
export interface ScriptOutcome {
  users: number;
  commands: number;
  ok: Partial<Record<string, number>>;
  errors: Partial<Record<string, number>>;
  cashCents: number;
  stockCents: number;
  pendingBuyCents: number;
  pendingSellCents: number;
  reservedBuyCents: number;
  reservedSellCents: number;
  totalCents: number;
}

export interface Mismatch {
  /** Path in the outcome, as `ok.COMMIT_BUY`. */
  field: string;
  expected: number;
  got: number;
}

/** The text is no file of expected outcomes, or says nothing about this script. */
export class NothingExpected extends Error {
  override readonly name = 'NothingExpected';
}

/**
 * What the text expects of a script of that name under that rule.
 * @throws {NothingExpected}
 */
export function expectedOutcome(text: string, fileName: string, rule: PendingRule): ScriptOutcome {
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch (error) {
    throw new NothingExpected(`no JSON: ${(error as Error).message}`);
  }
  const known = (value: unknown): Record<string, unknown> =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const ofFile = known(known(all)[fileName]);
  const expected = ofFile[rule];
  if (expected === undefined)
    throw new NothingExpected(
      `nothing is expected of '${fileName}' under '${rule}'; there is ${Object.keys(known(all)).join(', ') || 'nothing'}`,
    );
  if (!Value.Check(Expected, expected)) {
    const [problem] = Value.Errors(Expected, expected);
    throw new NothingExpected(
      `'${fileName}', '${rule}': ${problem?.instancePath ?? ''} ${problem?.message ?? 'unreadable'}`,
    );
  }
  return outcomeOf(expected);
}

/** Its names in ours. Open triggers are not compared: a new amount clears a trigger with us, and did not there. */
function outcomeOf({ users, commands, ok, err, ...rest }: Expected): ScriptOutcome {
  return {
    ...{ users, commands, ok, errors: err },
    cashCents: rest.cash_cents,
    stockCents: rest.stock_cents,
    pendingBuyCents: rest.pending_buy_cents,
    pendingSellCents: rest.pending_sell_cents,
    reservedBuyCents: rest.reserved_buy_cents,
    reservedSellCents: rest.reserved_sell_cents,
    totalCents: rest.total_cents,
  };
}

/** Where the two differ, in the order of the fields; a command that one of them does not name came 0 times there. */
export function compareOutcomes(expected: ScriptOutcome, got: ScriptOutcome): Mismatch[] {
  const flat = ({ ok, errors, ...figures }: ScriptOutcome): Record<string, number> => ({
    ...figures,
    ...Object.fromEntries(commandNames.map((name) => [`ok.${name}`, ok[name] ?? 0])),
    ...Object.fromEntries(commandNames.map((name) => [`errors.${name}`, errors[name] ?? 0])),
  });
  const [wanted, found] = [flat(expected), flat(got)];
  return Object.entries(wanted).flatMap(([field, value]) =>
    found[field] === value ? [] : [{ field, expected: value, got: found[field] ?? NaN }],
  );
}
