import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { DoorCommand } from '#engine/log/mod';
import { Presence, presentEveryMs, presentForMs } from './presence.ts';

function presence() {
  const sent: DoorCommand[] = [];
  const place = { now: 1_000_000, fails: false, accounts: new Set(['c1', 'c2']) };
  const watch = new Presence({
    door: {
      append: (command) => {
        sent.push(command);
        return place.fails ? Promise.reject(new Error('overloaded')) : Promise.resolve();
      },
    },
    hasAccount: (customer) => place.accounts.has(customer),
    log: pino({ level: 'silent' }),
    clock: () => place.now,
  });
  return { sent, place, watch };
}
const customer = (user: string) => ({ user, roles: ['customer' as const] });

test('a customer who is there is told of once a minute, with 150 s to come', () => {
  const { sent, place, watch } = presence();
  for (let i = 0; i < 50; i++) watch.seen(customer('c1'));
  watch.seen(customer('c2'));
  expect(sent).toMatchObject([
    { id: null, to: { kind: 'customer', key: 'c1', id: 'c1' }, type: 'customer.present', body: { until: 1_150_000 } },
    { to: { id: 'c2' } },
  ]);
  place.now += presentEveryMs - 1;
  watch.seen(customer('c1'));
  expect(sent).toHaveLength(2);
  place.now += 1;
  watch.seen(customer('c1'));
  expect(sent.at(-1)?.body).toEqual({ until: place.now + presentForMs });
});

test('who has no account, or is no customer, is not told of', () => {
  const { sent, place, watch } = presence();
  watch.seen({ user: 'c1', roles: ['operator', 'admin'] });
  watch.seen(customer('newcomer'));
  expect(sent).toEqual([]);
  place.accounts.add('newcomer');
  watch.seen(customer('newcomer'));
  expect(sent).toHaveLength(1);
});

test('what could not be told is told at the next use', async () => {
  const { sent, place, watch } = presence();
  place.fails = true;
  watch.seen(customer('c1'));
  await Promise.resolve();
  await Promise.resolve();
  place.fails = false;
  watch.seen(customer('c1'));
  expect(sent).toHaveLength(2);
});
