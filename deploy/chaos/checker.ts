/** Reads the command logs, the journals and ClickHouse, and nothing else, and says what became of every command. */
import { domain } from '#actors/mod';
import { openHistory } from '#engine/history/mod';
import { decodeRecord } from '#engine/partition/record';
import { RecordFilter } from '#engine/partition/record_filter';
import { jetstreamSource } from '#engine/partition/replay_source';
import { verifyPartitions } from '#engine/partition/verify';
import { verifyMoney } from '#engine/partition/verify_money';
import { decodeFrame } from '#engine/wire';
import { until } from '../system/installation.ts';
import type { Market } from '../system/money_market.ts';
import { partitions } from '../system/money_plan.ts';

const settledMsMax = 60_000;

export interface Verdict {
  /** Commands with an id in the command logs. */
  acked: number;
  /** Of those, decided. */
  applied: number;
  lost: number;
  /** Decided more than once. */
  doubled: number;
  /** Decided before one that stands ahead of it for the same entity. */
  disordered: number;
  problems: string[];
}

/** Rows that the journals are to make, and what they sum up to by account. */
interface Due {
  /** Which records those are of: charging goes on meanwhile. */
  lasts: number[];
  legs: number;
  sums: Map<string, number>;
}

async function readLogs({ nc }: Market): Promise<Verdict & { due: Due }> {
  const verdict: Verdict = { acked: 0, applied: 0, lost: 0, doubled: 0, disordered: 0, problems: [] };
  const due: Due = { lasts: [], legs: 0, sums: new Map() };
  for (let p = 0; p < partitions; p++) {
    const source = await jetstreamSource(nc, p, partitions);
    due.lasts.push(source.journal.last);
    const given = new Map<string, number>();
    for await (const frames of source.frames(source.commands.first))
      for (const { sequence, bytes } of frames) {
        let frame;
        try {
          frame = decodeFrame(bytes);
        } catch {
          continue;
        }
        for (const [i, { id, to }] of frame.commands.entries()) {
          const name = `${to.kind}/${to.id}|${id}`;
          if (id !== null && !given.has(name)) given.set(name, sequence * 64 + i);
        }
      }
    const decided = new Set<string>();
    const answered = new Set<string>();
    const newest = new Map<string, number>();
    const filter = new RecordFilter();
    for await (const records of source.records(source.journal.first))
      for (const { bytes } of records) {
        const record = decodeRecord(bytes);
        if (!filter.accepts(record)) continue;
        for (const { commandId, entity } of record.replies) {
          if (commandId === null) continue;
          answered.add(commandId);
          if (!entity) continue;
          const of = entity.join('/');
          const name = `${of}|${commandId}`;
          if (decided.has(name)) verdict.doubled += 1;
          decided.add(name);
          const place = given.get(name) ?? 0;
          if (place < (newest.get(of) ?? 0)) verdict.disordered += 1;
          newest.set(of, place);
        }
        for (const event of record.events) {
          if (event.kind !== 'ledger') continue;
          for (const { ledger, account, amount } of event.payload.legs) {
            due.legs += 1;
            const name = `${ledger}:${account}`;
            due.sums.set(name, (due.sums.get(name) ?? 0) + amount);
          }
        }
      }
    verdict.acked += given.size;
    verdict.applied += decided.size;
    // What is refused without an entity is answered, and remembered nowhere.
    for (const name of given.keys())
      if (!decided.has(name) && !answered.has(name.slice(name.indexOf('|') + 1))) verdict.lost += 1;
  }
  return { ...verdict, due };
}

async function readHistory(
  { clickhouse: { url, user, password } }: Market,
  { lasts, legs, sums }: Due,
): Promise<string[]> {
  const history = await openHistory({ url, user, password });
  const within = lasts.map((last, p) => `(partition = ${p} AND sequence <= ${last})`).join(' OR ');
  try {
    const read = async () => {
      const answer = await history.client.query({
        query: `SELECT concat(ledger, ':', account) AS name, sum(amount) AS amount, count() AS legs
          FROM gridtick.ledger_entries WHERE ${within} GROUP BY name`,
        format: 'JSONEachRow',
      });
      return answer.json<{ name: string; amount: string; legs: string }>();
    };
    const rows = await until('ClickHouse has every posting of the journals', settledMsMax, async () => {
      const found = await read().catch(() => []);
      return found.reduce((sum, row) => sum + Number(row.legs), 0) >= legs ? found : undefined;
    });
    const problems = rows
      .filter(({ name, amount }) => Number(amount) !== (sums.get(name) ?? 0))
      .map(({ name, amount }) => `ClickHouse has ${amount} on ${name}, the journals ${sums.get(name)}`);
    const found = rows.reduce((sum, row) => sum + Number(row.legs), 0);
    if (found !== legs) problems.push(`ClickHouse has ${found} postings, the journals ${legs}`);
    return problems;
  } finally {
    await history.close();
  }
}

/** Waits until everything that is in the command logs has been decided, and checks. */
export async function check(market: Market): Promise<Verdict> {
  const { due, ...verdict } = await until('everything in the logs is decided', settledMsMax, async () => {
    const found = await readLogs(market);
    return found.lost === 0 ? found : undefined;
  }).catch(() => readLogs(market));
  const all = Array.from({ length: partitions }, (_, p) => p);
  const verdicts = await verifyPartitions(market.nc, all);
  verdict.problems.push(
    ...verdicts.flatMap(({ partition, problems }) => problems.map((one) => `${partition}: ${one}`)),
  );
  verdict.problems.push(...(await verifyMoney(market.nc, domain, partitions)).problems);
  verdict.problems.push(...(await readHistory(market, due)));
  return verdict;
}
