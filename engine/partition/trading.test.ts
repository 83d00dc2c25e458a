import { expect, test } from 'vitest';
import { customerAddress } from '#actors/addresses';
import { domain } from '#actors/mod';
import type { AccountState, CustomerState } from '#actors/schema/customer_entities';
import type { PositionState } from '#actors/schema/trading';
import { compileDomain } from './catalogue.ts';
import { LedgerFold } from './ledger_hash.ts';
import { Bench, type Sent } from './testing.ts';

/** At the time of the bench's clock: a quote of 3.00 SEK. */
const quoteAt = (now: number) => ({ priceE5Sek: 300_000, at: now, user: 'u', key: 'k', hit: true });

const command = (user: string, txn: number, type: string, body: object = {}): Sent => ({
  to: customerAddress(user),
  type: `trade.${type}`,
  body: { txn, ...body },
});

/** What one trader does: a refused buy, shares bought and sold in part, a pending buy, an automatic one. */
const script = (user: string, now: number): Sent[] => {
  const order = (symbol: string, amountE5Sek: number) => ({
    ...{ instrument: `symbol:${symbol}`, amountE5Sek },
    ...{ quote: quoteAt(now), slot: null },
  });
  return [
    command(user, 1, 'add', { amountE5Sek: 10_000_000 }),
    command(user, 2, 'buy', order('ABC', 99_000_000)),
    command(user, 3, 'buy', order('ABC', 5_000_000)),
    command(user, 4, 'commitBuy'),
    command(user, 5, 'sell', order('ABC', 1_000_000)),
    command(user, 6, 'commitSell'),
    command(user, 7, 'buy', order('B', 1_000_000)),
    command(user, 8, 'setBuyAmount', { instrument: 'symbol:C', amountE5Sek: 2_000_000 }),
    command(user, 9, 'setBuyTrigger', { instrument: 'symbol:C', priceE5Sek: 100_000 }),
  ];
};

/** The hash over all books as the journal tells them. */
function hashOf(bench: Bench) {
  const fold = new LedgerFold();
  const catalogue = compileDomain(domain);
  const last = new Map<string, { kind: string; id: string; context: unknown }>();
  for (const record of bench.journal()) {
    for (const { kind, id, image, schema } of record.entities) {
      const name = `${kind}|${id}`;
      if (image === null) last.delete(name);
      else last.set(name, { kind, id, context: catalogue.kinds.get(kind)!.decode(image, schema).context });
    }
    for (const event of record.events) if (event.kind === 'ledger') fold.posting(event.payload);
  }
  for (const { kind, id, context } of last.values()) {
    if (kind === 'customer') fold.customer(id, context as CustomerState);
    else if (kind === 'position') fold.position(context as PositionState);
    else if (kind === 'account') fold.account(context as AccountState);
  }
  return fold.result(true);
}

test('traders in any order have the same books, and every posting adds up to what is there', async () => {
  const hashes = [];
  for (const isReversed of [false, true]) {
    const bench = await new Bench(domain).start();
    const now = bench.world.now;
    const users = ['ada', 'book/bob', 'eve'];
    if (isReversed) users.reverse();
    const scripts = users.map((user) => script(user, now));
    const turns = isReversed ? scripts.flat() : scripts[0]!.flatMap((_, n) => scripts.map((one) => one[n]!));
    const results = await bench.send(...turns);
    expect(results.filter(({ ok }) => !ok)).toMatchObject(users.map(() => ({ code: 'insufficient_funds' })));
    const { hash, problems, sums } = hashOf(bench);
    expect({ problems, sums }).toEqual({
      problems: [],
      sums: expect.arrayContaining([
        ['SEK', 0n],
        ['SHARE:ABC', 0n],
        ['Wh', 0n],
      ]) as unknown,
    });
    hashes.push(hash);
    expect(bench.failures).toEqual([]);
  }
  expect(hashes[0]).toBe(hashes[1]);
});

test('a refused command changes nothing and is told in its record; a stranger who asks leaves no entity', async () => {
  const bench = await new Bench(domain).start();
  const results = await bench.send(
    command('nobody', 1, 'commitBuy'),
    command('nobody', 2, 'displaySummary', { brief: true }),
  );
  expect(results).toMatchObject([
    { ok: false, code: 'unknown_user', detail: { user: 'nobody' } },
    { ok: true, value: { user: 'nobody', holdings: [] } },
  ]);
  const records = bench.journal();
  expect(records.flatMap(({ entities }) => entities)).toEqual([]);
  expect(records.flatMap(({ events }) => events)).toMatchObject([
    { kind: 'trade_log', payload: { customer: 'nobody', txn: 1, command: 'COMMIT_BUY', code: 'unknown_user' } },
    { kind: 'trade_log', payload: { customer: 'nobody', txn: 2, command: 'DISPLAY_SUMMARY' } },
  ]);
});
