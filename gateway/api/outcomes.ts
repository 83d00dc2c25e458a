/** Looks up in the journal what became of a command: the record that holds the decision holds its result. */
import { setTimeout as delay } from 'node:timers/promises';
import type { JournalReader } from '#engine/projections/journal';
import type { CommandResult, JournalEntry } from '#engine/wire';

export interface OutcomeQuery {
  partition: number;
  /** The entity that decided; without it the id of another customer's command could be taken for it. */
  kind: string;
  entity: string;
  commandId: string;
  /** First and last journal sequence to look at; absent: as far as the journal reaches now. */
  from: number;
  to?: number;
}
export type FindOutcome = (query: OutcomeQuery) => Promise<CommandResult | undefined>;

/** Records looked at per query. */
const recordsMax = 20_000;
const lookMs = 2_000;
/** Readers open at once in this process; who comes then waits. */
const readersMax = 4;

export function outcomeFinder(journal: JournalReader): FindOutcome {
  const waiting: (() => void)[] = [];
  let open = 0;
  return async (query) => {
    if (open >= readersMax) await new Promise<void>((resolve) => waiting.push(resolve));
    else open += 1;
    try {
      return await find(journal, query);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else open -= 1;
    }
  };
}

async function find(journal: JournalReader, query: OutcomeQuery): Promise<CommandResult | undefined> {
  const { partition } = query;
  const { first, last } = await journal.bounds(partition);
  const from = Math.max(query.from, first, 1);
  const to = Math.min(query.to ?? last, last, from + recordsMax - 1);
  if (from > to) return undefined;
  const given = new AbortController();
  let done: (result: CommandResult | undefined) => void = () => undefined;
  const found = new Promise<CommandResult | undefined>((resolve) => (done = resolve));
  const tail = await journal.tail(partition, from, (entry) => {
    const result = entry.sequence > to ? undefined : resultIn(entry, query);
    if (result !== undefined || entry.sequence >= to) done(result);
  });
  try {
    return await Promise.race([
      found,
      tail.ended.then(() => undefined),
      delay(lookMs, undefined, { signal: given.signal }),
    ]);
  } finally {
    given.abort();
    await tail.stop();
  }
}

/** Only the record of the decision names the entity; repeats of the answer do not. */
function resultIn({ partition, sequence, record }: JournalEntry, query: OutcomeQuery): CommandResult | undefined {
  const reply = record.replies.find(
    ({ commandId, entity }) =>
      commandId === query.commandId && entity?.[0] === query.kind && entity[1] === query.entity,
  );
  return reply && { ...reply.result, at: `${partition}:${sequence}` };
}
