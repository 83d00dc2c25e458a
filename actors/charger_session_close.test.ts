import { beforeEach, expect, test } from 'vitest';
import { chargerAddress, nameAddress } from './addresses.ts';
import { checkBooks, systemBalance, TestCustomer } from './testing_customers.ts';
import { demoSite, TestWorld, type TestCharger } from './testing.ts';

let world: TestWorld;
let ada: TestCustomer;
let charger: TestCharger;
let other: TestCharger;
let t0: number;

/** TAG-1 is ada's, who has 30 SEK; the price is 1 SEK/kWh. */
beforeEach(() => {
  world = new TestWorld({ partitions: 3 });
  [charger, other] = demoSite(world, { chargers: 2 }) as [TestCharger, TestCharger];
  ada = new TestCustomer(world);
  ada.deposit(30);
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', {
    customer: 'ada',
    group: null,
    status: 'Accepted',
    expiresAt: null,
  });
  world.advance(12_000);
  t0 = world.now;
});

const close = (transaction: number, at: TestCharger = charger) =>
  world.ask(at.address, 'session.close', { transaction });
const endings = () => world.payloads('session').filter(({ state }) => state === 'ended');
/** A session that drew 500 Wh in ten minutes and was never heard of again, two hours ago. */
function silent(): number {
  const { transaction } = charger.start({ meterStartWh: 1_000 });
  for (let minute = 1; minute <= 10; minute++) {
    world.advance(60_000);
    charger.meter(transaction, { w: 3_000, wh: 1_000 + 50 * minute });
  }
  world.advance(7_200_000);
  return transaction;
}

test('a session that nobody ends is ended at its last sample: it is billed, its hold goes back, its connector is free', () => {
  const transaction = silent();
  expect(ada.sek).toEqual({ available: 3_000_000 - 50_000 - 2_000_000, pending: 2_000_000 });
  expect(close(transaction)).toEqual({ transaction, endAt: t0 + 600_000 });
  expect(endings()).toMatchObject([
    {
      transaction,
      endAt: t0 + 600_000,
      receivedAt: world.now,
      reason: 'Operator',
      energyWh: 500,
      flags: expect.arrayContaining(['abandoned']),
    },
  ]);
  expect(ada.sek).toEqual({ available: 3_000_000 - 50_000, pending: 0 });
  expect([ada.state.sessions, systemBalance(world, 'Wh', 'delivered')]).toEqual([[], 500]);
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0, powerW: 0, silentFromMs: null });
  world.advance(24_000);
  expect(world.payloads('load').at(-1)).toMatchObject({ loadW: 0, stale: false });
  checkBooks(world);
});

test('its real stop, when it comes after all, settles it anew: only what is new is billed, by the same transaction', () => {
  const transaction = silent();
  close(transaction);
  // The car had charged on for an hour while nobody heard it.
  expect(charger.stop(transaction, { at: t0 + 4_200_000, meterStopWh: 4_000, reason: 'EVDisconnected' })).toMatchObject(
    {
      transaction,
    },
  );
  expect(endings().map(({ version, energyWh, reason, endAt }) => [version, energyWh, reason, endAt! - t0])).toEqual([
    [1, 500, 'Operator', 600_000],
    [2, 3_000, 'EVDisconnected', 4_200_000],
  ]);
  expect(ada.sek).toEqual({ available: 3_000_000 - 300_000, pending: 0 });
  expect(systemBalance(world, 'Wh', 'delivered')).toBe(3_000);
  // The stop is known now: the operator comes too late, and the same stop again says nothing new.
  expect(world.send(charger.address, 'session.close', { transaction })).toMatchObject({ code: 'session_ended' });
  charger.stop(transaction, { at: t0 + 4_200_000, meterStopWh: 4_000, reason: 'EVDisconnected' });
  expect(endings().length).toBe(2);
  checkBooks(world);
});

test('samples from before its end still count when they come later; those from after it are kept for an operator', () => {
  const transaction = silent();
  close(transaction);
  charger.meter(transaction, { at: t0 + 300_500, w: 3_000, wh: 1_250 });
  expect(endings().at(-1)).toMatchObject({ version: 2, energyWh: 500, reason: 'Operator' });
  charger.meter(transaction, { w: 3_000, wh: 9_000 });
  expect(endings().at(-1)).toMatchObject({ version: 2, energyWh: 500 });
  expect(world.payloads('charger').at(-1)).toMatchObject({
    kind: 'event',
    detail: { reason: 'late_value', transaction },
  });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction: 0, powerW: 0 });
});

test('one without any sample ends where it began, with 0 Wh; the next start supersedes nothing', () => {
  const { transaction } = charger.start({ meterStartWh: 7 });
  world.advance(3_600_000);
  expect(close(transaction)).toEqual({ transaction, endAt: t0 });
  expect(endings()).toMatchObject([{ transaction, endAt: t0, energyWh: 0, reason: 'Operator' }]);
  expect(ada.sek).toEqual({ available: 3_000_000, pending: 0 });
  charger.start({ meterStartWh: 7 });
  expect(endings().length).toBe(1);
});

test.each([
  ['nobody began', () => ({ to: charger.address, transaction: 77 }), 'unknown_session'],
  ['runs at another charger', () => ({ to: other.address, transaction: silent() }), 'unknown_session'],
  [
    'has ended',
    () => {
      const transaction = silent();
      charger.stop(transaction, { meterStopWh: 2_000 });
      return { to: charger.address, transaction };
    },
    'session_ended',
  ],
  [
    'was closed before',
    () => {
      const transaction = silent();
      close(transaction);
      return { to: charger.address, transaction };
    },
    'session_ended',
  ],
  ['has no number', () => ({ to: charger.address, transaction: -1 }), 'bad_request'],
  [
    'is of a charger that there is not',
    () => ({ to: chargerAddress('demo', 'CP-9'), transaction: 1 }),
    'unknown_entity',
  ],
] as const)('a session that %s cannot be closed: nothing changes', (_what, given, code) => {
  const { to, transaction } = given();
  const images = () => JSON.stringify(world.partitions.map((partition) => partition.images()));
  const before = [images(), world.events.length];
  expect(world.send(to, 'session.close', { transaction })).toMatchObject({ ok: false, code });
  expect([images(), world.events.length]).toEqual(before);
});
