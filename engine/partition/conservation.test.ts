import { expect, test } from 'vitest';
import { purseAddress, purseDomain, type Purse } from '../simulation/purses.ts';
import { NotConserved } from './conservation.ts';
import { LedgerSums } from './ledger_sums.ts';
import { Bench } from './testing.ts';

const bench = () => new Bench(purseDomain).start();
const to = (id: string, type: string, amount = 0, more: Record<string, unknown> = {}) => ({
  to: purseAddress(id),
  type,
  body: type === 'burn' ? {} : { amount, ...more },
});
const purse = ({ owner }: Bench, id: string) => owner.state.get<Purse>('purse', id)?.context.amount;
/** What a stopped partition says, and how many commands its journal holds. */
const stopped = (partition: Bench) => ({
  said: partition.failures.map((error) => error.message),
  offset: Math.max(...partition.journal().map(({ offset }) => offset)),
});

test('money that changes hands is committed as before', async () => {
  const partition = await bench();
  expect(
    await partition.send(to('a', 'fill', 100), to('a', 'give', 40, { to: 'b' }), to('b', 'give', 1, { to: 'a' })),
  ).toMatchObject([{ value: 100 }, { value: 60 }, { value: 39 }]);
  expect([purse(partition, 'a'), purse(partition, 'b'), partition.failures]).toEqual([61, 39, []]);
});

test('money out of nothing stops the partition: the error names record, ledger, difference and owner, nothing is committed', async () => {
  const partition = await bench();
  await partition.send(to('a', 'fill', 100));
  const { offset } = stopped(partition);
  expect(await partition.send(to('b', 'fill', 7), to('a', 'forge', 5), to('b', 'fill', 7))).toEqual([]);
  expect(partition.failures[0]).toBeInstanceOf(NotConserved);
  const last = partition.journal().length;
  expect(partition.failures[0]).toMatchObject({
    partition: 0,
    record: `0:${last + 1}`,
    ledger: 'SEK',
    difference: 5n,
    message: expect.stringContaining('does not conserve SEK: +5 in purse/b +14, vault/deposits -14, purse/a +5'),
  });
  expect(stopped(partition).offset).toBe(offset);
  // It was not taken for one bad command among good ones.
  expect(partition.events.map(({ event }) => event)).toEqual(['recovered']);
  await partition.idle(5_000);
  expect(partition.journal().length).toBe(last);
});

test('what a dropped entity owned is missed, also when it is made again in the same record', async () => {
  const partition = await bench();
  await partition.send(to('a', 'fill', 100));
  await partition.send(to('a', 'burn'), to('a', 'fill', 30));
  expect(partition.failures).toMatchObject([{ ledger: 'SEK', difference: -100n }]);
});

test('a purse that comes and goes within a record owned nothing before and nothing after', async () => {
  const partition = await bench();
  await partition.send(to('a', 'fill', 0), to('a', 'burn'));
  expect(partition.failures).toEqual([]);
});

test('a batch whose legs do not come to 0 stops the partition, though the balances are right', async () => {
  const partition = await bench();
  expect(await partition.send(to('a', 'misstate', 10))).toEqual([]);
  expect(partition.failures).toMatchObject([{ ledger: 'SEK', difference: 11n }]);
  expect(partition.failures[0]?.message).toMatch(/in the batch a-\d+; nothing of it is committed$/);
});

test('amounts near the largest integer are added up exactly', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const sums = new LedgerSums();
  for (const amount of [most, most, most, 1, -most, -most, -most]) sums.add('SEK', amount);
  sums.add('Wh', 0);
  expect([...sums]).toEqual([
    ['SEK', 1n],
    ['Wh', 0n],
  ]);
  expect(sums.unbalanced()).toEqual(['SEK', 1n]);
});
