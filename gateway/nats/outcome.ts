/** `in.<integrator>.commands.<id>`: what became of a command, read from the journal, without sending anything. */
import { partitionOf } from '#actors/partition_key';
import type { IntegratorScope } from '#engine/log/mod';
import type { JournalReader } from '#engine/projections/journal';
import type { CommandResult } from '#engine/wire';
import { outcomeFinder } from '../api/outcomes.ts';
import { idRule, logId } from './commands.ts';
import { decodePayload, isFields, type Format } from './payload.ts';
import { refusal, type Refusal } from './refusal.ts';
import { mayCommand } from './scopes.ts';

export interface Outcomes {
  /** Undefined: not decided, or longer ago than is looked at; `busy`: too many look-ups at once. */
  find(customer: string, commandId: string): Promise<CommandResult | undefined | 'busy'>;
}

/** Records of a partition that are looked at, newest ones; hours of an ordinary day, minutes of a very busy one. */
export const recordsBack = 5_000;

export function journalOutcomes(journal: JournalReader, lookUpsMax: number): Outcomes {
  const find = outcomeFinder(journal);
  let open = 0;
  return {
    async find(customer, commandId) {
      if (open >= lookUpsMax) return 'busy';
      open += 1;
      try {
        const partition = partitionOf(customer, journal.partitions);
        const { last } = await journal.bounds(partition);
        const from = last - recordsBack + 1;
        return await find({ partition, kind: 'customer', entity: customer, commandId, from, to: last });
      } finally {
        open -= 1;
      }
    },
  };
}

type Found =
  | { ok: true; id: string; state: 'done'; result: { id: string } & CommandResult }
  | { ok: true; id: string; state: 'unknown' };

const bytesMax = 1_024;

/** The payload names the customer: `{ "customer": "…" }`. */
export async function lookUpOutcome(
  outcomes: Outcomes,
  scope: IntegratorScope,
  id: string,
  data: Uint8Array,
  format: Format,
): Promise<Found | Refusal> {
  const payload = decodePayload(data, format, bytesMax);
  if ('ok' in payload) return payload;
  const { value } = payload;
  const customer = isFields(value) ? value['customer'] : undefined;
  if (typeof customer !== 'string' || customer === '' || customer.length > 128)
    return refusal('bad_request', { in: 'payload', field: '/customer', reason: 'must name the customer' });
  if (!mayCommand(scope, customer)) return refusal('scope_missing', { customer });
  const inLog = logId(scope.user, id);
  if (inLog === undefined) return refusal('bad_request', { in: 'subject', field: '/id', reason: `must be ${idRule}` });
  const result = await outcomes.find(customer, inLog);
  if (result === 'busy') return refusal('overloaded', { reason: 'too many look-ups' });
  return result === undefined
    ? { ok: true, id, state: 'unknown' }
    : { ok: true, id, state: 'done', result: { id, ...result } };
}
