import { expect, test } from 'vitest';
import { aPrice } from './a_price.ts';
import { priceRows, Prices, pricesMax } from './prices.ts';

test('history and live prices that overlap are one list without holes or doubles', () => {
  const prices = new Prices();
  prices.add([aPrice(10), aPrice(11), aPrice(12)]);
  prices.add([aPrice(12)]);
  prices.add([aPrice(13)]);
  prices.add([aPrice(9), aPrice(10)]);
  expect(prices.list.map(({ slot }) => slot)).toEqual([9, 10, 11, 12, 13]);
});

test('only so many are kept, the newest', () => {
  const prices = new Prices();
  prices.add(Array.from({ length: pricesMax + 5 }, (_, i) => aPrice(i)));
  expect(prices.list).toHaveLength(pricesMax);
  expect(prices.list[0]?.slot).toBe(5);
});

test('rows are newest first, say the direction, and name slots that were never produced', () => {
  const rows = priceRows([
    aPrice(1),
    aPrice(2, { priceE5SekPerKwh: 200_000 }),
    aPrice(6, { priceE5SekPerKwh: 200_000 }),
    aPrice(7, { priceE5SekPerKwh: 100_000 }),
  ]);
  expect(rows.map((row) => (row.kind === 'gap' ? `gap ${row.slots}` : `${row.price.slot} ${row.change}`))).toEqual([
    '7 down',
    '6 same',
    'gap 3',
    '2 up',
    '1 same',
  ]);
});
