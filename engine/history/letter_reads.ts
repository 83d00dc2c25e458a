/** Dead letters as the history has them: the list, and each as long as the history is kept. */
import { integer } from './customer_reads.ts';

export interface StoredLetter {
  partition: number;
  sequence: number;
  index: number;
  /** Log time, unix ms. */
  at: number;
  /** `<kind>/<id>`. */
  entity: string;
  command: string;
  reason: string;
  correlation: string | null;
  detail: Record<string, unknown>;
  state: 'open' | 'retried' | 'discarded';
  /** Who settled it, and what a retry was refused with; null: it is open. */
  settled: { by: string; code: string | null; at: number } | null;
}

export interface LettersQuery {
  /** @default open */
  state?: StoredLetter['state'] | 'all';
  /** @default 100, newest first */
  limit?: number;
  /** One of them alone. */
  place?: { partition: number; sequence: number; index: number };
}

interface Row {
  partition: number;
  sequence: string;
  index: number;
  at: string;
  entity: string;
  command: string;
  reason: string;
  correlation: string | null;
  detail: string;
  state: StoredLetter['state'];
  settledAt: string;
  settled: string;
}

export const lettersLimitMax = 1_000;

export async function readLetters(
  read: (query: string, params: Record<string, unknown>) => Promise<Record<string, unknown>[]>,
  { state = 'open', limit = 100, place }: LettersQuery,
): Promise<StoredLetter[]> {
  const conditions = [
    ...(state === 'all' || place ? [] : ['state = {state:String}']),
    ...(place ? ['partition = {partition:UInt16} AND sequence = {sequence:UInt64} AND `index` = {index:UInt32}'] : []),
  ];
  const rows = await read(
    `SELECT partition, sequence, \`index\`, toUnixTimestamp64Milli(at) AS at, entity, command, reason, correlation, detail, state,
  toUnixTimestamp64Milli(settled_at) AS settledAt, settled
FROM gridtick.dead_letters ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
ORDER BY dead_letters.at DESC, partition, sequence DESC, \`index\` DESC LIMIT {limit:UInt32}`,
    { state, limit: Math.min(Math.max(Math.trunc(limit), 1), lettersLimitMax), ...place },
  );
  return (rows as unknown as Row[]).map((row): StoredLetter => {
    const { by, code } = (row.settled === '' ? {} : JSON.parse(row.settled)) as { by?: string; code?: string | null };
    return {
      partition: row.partition,
      sequence: integer(row.sequence),
      index: row.index,
      at: integer(row.at),
      entity: row.entity,
      command: row.command,
      reason: row.reason,
      correlation: row.correlation,
      detail: JSON.parse(row.detail) as Record<string, unknown>,
      state: row.state,
      settled: row.state === 'open' ? null : { by: by ?? '', code: code ?? null, at: integer(row.settledAt) },
    };
  });
}
