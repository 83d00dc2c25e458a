import fc from 'fast-check';
import { expect, test } from 'vitest';
import { domain } from '#actors/mod';
import type { Ledger } from '#actors/schema/events';
import { simulateMoney } from '../simulation/money.ts';
import { storedPartition } from '../simulation/stored.ts';
import { compileDomain } from './catalogue.ts';
import { LedgerFold, type LedgerHash } from './ledger_hash.ts';
import { readLedgerHash } from './ledger_reader.ts';

type Leg = Ledger['legs'][number];
const leg = (ledger: 'SEK' | 'Wh', account: string, amount: number): Leg => ({
  ledger,
  account,
  amount,
  balance: null,
});
const own = (customer: string, account = 'available') => `customer:${customer}:${account}`;

/** What is done in a small world: who pays, how much, for what. */
interface Deed {
  customer: string;
  kind: Ledger['kind'];
  cause: string;
  e5Sek: number;
  wh: number;
}
const sessions = [1, 2, 3].map((n) => ({
  site: 'grid',
  charger: `C${n}`,
  connector: 1,
  transaction: n,
  startAt: 1_000 * n,
}));
const deeds = fc.array(
  fc.record({
    customer: fc.constantFrom('ada', 'bo', 'cleo'),
    kind: fc.constantFrom<Ledger['kind']>('deposit', 'metered', 'settlement'),
    cause: fc.constantFrom('grid/1', 'grid/2', 'grid/3', 'customer.deposit', 'ada-1'),
    e5Sek: fc.integer({ min: 1, max: 1_000_000 }),
    wh: fc.integer({ min: 1, max: 5_000 }),
  }),
  { minLength: 1, maxLength: 30 },
);

const posting = ({ customer, kind, cause, e5Sek, wh }: Deed, n: number): Ledger => ({
  customer,
  batch: `${customer}:${n}`,
  kind,
  cause,
  at: n,
  legs: [
    leg('SEK', own(customer), -e5Sek),
    leg('SEK', 'revenue', e5Sek),
    leg('Wh', 'transit', -wh),
    leg('Wh', 'delivered', wh),
  ],
});

interface World {
  partitions?: number;
  transaction?: (n: number) => number;
  holds?: boolean;
}

/** Books in which exactly that was done; accounts lie in so many partitions, sessions have these numbers. */
function booksOf(
  done: readonly Deed[],
  { partitions = 1, transaction = (n) => n, holds = false }: World = {},
): LedgerHash {
  const fold = new LedgerFold();
  const numbered = (cause: string) =>
    cause.startsWith('grid/') ? `grid/${transaction(Number(cause.slice(5)))}` : cause;
  const balances = new Map<string, number>();
  const add = (account: string, amount: number) => balances.set(account, (balances.get(account) ?? 0) + amount);
  for (const [n, deed] of done.entries()) {
    const { customer, e5Sek, wh } = deed;
    if (holds)
      for (const sign of [-1, 1])
        fold.posting({
          ...posting(deed, n),
          kind: sign < 0 ? 'hold' : 'release',
          legs: [leg('SEK', own(customer), 7 * sign), leg('SEK', own(customer, 'pending'), -7 * sign)],
        });
    fold.posting({ ...posting(deed, n), cause: numbered(deed.cause) });
    add(customer, -e5Sek);
    const p = n % partitions;
    add(`${p} SEK revenue`, e5Sek);
    add(`${p} Wh transit`, -wh);
    add(`${p} Wh delivered`, wh);
  }
  for (const session of sessions) fold.session({ ...session, transaction: transaction(session.transaction) });
  for (const [account, balance] of balances) {
    const [, ledger, name] = account.split(' ');
    if (name === undefined)
      fold.customer(account, {
        sek: { available: balance, pending: 0 },
        wh: { available: 0, pending: 0 },
        reservedE5Sek: 0,
        reservedWh: 0,
      });
    else fold.account({ ledger: ledger as 'SEK' | 'Wh', name, balance });
  }
  return fold.result(true);
}

test('the hash forgets order, partitions, transaction numbers, into how many bills an amount was cut, and holds that were given back', () => {
  fc.assert(
    fc.property(deeds, fc.integer({ min: 1, max: 16 }), fc.boolean(), fc.nat(), (done, partitions, holds, at) => {
      const due = booksOf(done);
      expect(due.problems).toEqual([]);
      const cut = done[at % done.length]!;
      const parts = [
        { ...cut, e5Sek: cut.e5Sek - 1, wh: cut.wh - 1 },
        { ...cut, e5Sek: 1, wh: 1 },
      ];
      const again = [...done.filter((deed) => deed !== cut), ...parts].reverse();
      const found = booksOf(again, { partitions, holds, transaction: (n) => 900 - 10 * n });
      expect([found.hash, found.balances]).toEqual([due.hash, due.balances]);
    }),
  );
});

test('a posting that is lost, doubled, given to somebody else, or off by one changes it', () => {
  fc.assert(
    fc.property(deeds, fc.nat(), (done, at) => {
      const { hash } = booksOf(done);
      const one = done[at % done.length]!;
      const others = done.filter((deed) => deed !== one);
      const elsewhere = one.customer === 'ada' ? 'bo' : 'ada';
      const otherCause = one.cause === 'grid/1' ? 'grid/2' : 'grid/1';
      for (const wrong of [
        [],
        [one, one],
        [{ ...one, customer: elsewhere }],
        [{ ...one, e5Sek: one.e5Sek + 1 }],
        [{ ...one, wh: one.wh + 1 }],
        [{ ...one, cause: otherCause }],
      ])
        expect(booksOf([...others, ...wrong]).hash).not.toBe(hash);
    }),
  );
});

test('a balance that is not the sum of its postings is named, and so is what does not come to 0', () => {
  const fold = new LedgerFold();
  fold.posting(posting({ customer: 'ada', kind: 'metered', cause: 'grid/1', e5Sek: 5, wh: 2 }, 1));
  fold.customer('ada', {
    sek: { available: -4, pending: 0 },
    wh: { available: 0, pending: 0 },
    reservedE5Sek: 0,
    reservedWh: 0,
  });
  fold.account({ ledger: 'SEK', name: 'revenue', balance: 5 });
  fold.account({ ledger: 'Wh', name: 'transit', balance: -2 });
  fold.account({ ledger: 'Wh', name: 'delivered', balance: 2 });
  const { problems, underWay } = fold.result(true);
  expect(problems).toEqual([
    'customer ada: available is -4 SEK, its postings come to -5',
    'all that is owned comes to 1 SEK, not 0',
  ]);
  expect(underWay).toEqual([['Wh', -2n]]);
});

test('without all postings there is no hash of them, but one of the balances', () => {
  const fold = new LedgerFold();
  fold.account({ ledger: 'SEK', name: 'revenue', balance: 0 });
  expect(fold.result(false)).toMatchObject({
    hash: null,
    balances: expect.stringMatching(/^[0-9a-f]{64}$/),
    problems: [],
  });
});

test(
  'the books of a faulty world add up to their postings, whatever was killed in it',
  { timeout: 120_000 },
  async () => {
    const { log } = await simulateMoney(2);
    const sources = log.journals.map((_, p) => storedPartition(log, p));
    const { hash, problems, sums, underWay, batches } = await readLedgerHash(sources, compileDomain(domain));
    expect(problems).toEqual([]);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(batches).toBeGreaterThan(20);
    expect([...sums, ...underWay].every(([, sum]) => sum === 0n)).toBe(true);
    // Partitions are parts of one world: without one of them, something is missing.
    const part = await readLedgerHash(sources.slice(1), compileDomain(domain));
    expect(part.hash).not.toBe(hash);
  },
);
