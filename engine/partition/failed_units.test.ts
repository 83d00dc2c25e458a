import { setup } from 'xstate';
import Type from 'typebox';
import { expect, test } from 'vitest';
import { decide, type ActorEvent, type Domain } from '#actors/actor';
import { accountAddress, boardAddress, customerAddress, domain } from '#actors/mod';
import { machineTypes } from '#actors/machine';
import type { CustomerState } from '#actors/schema/customer_entities';
import { Bench } from './testing.ts';

interface Clerk {
  done: number;
}
type Event = ActorEvent<{ ms: number; key: string }>;

/** How the clerk's timer fails: not at all, by throwing, by a state that cannot be written. */
let fails: 'no' | 'throws' | 'spoils' = 'no';
const clerkAddress = { kind: 'clerk', key: 'c', id: 'c' };
const clerk = setup({ types: machineTypes<Clerk>() }).createMachine({
  initial: 'open',
  context: { done: 0 },
  states: {
    open: {
      on: {
        wait: {
          actions: decide<Clerk, Event>((_c, { now, body }) => ({
            outputs: [{ type: 'arm', params: { name: 'due', dueAt: now + body.ms } }],
          })),
        },
        misdirect: {
          actions: decide<Clerk, Event>(({ done }, { body }) => ({
            context: { done: done + 1 },
            outputs: [
              { type: 'put', params: { kind: 'note', id: 'n', state: { written: 1 } } },
              { type: 'arm', params: { name: 'due', dueAt: 1 } },
              {
                type: 'send',
                params: { to: { kind: 'clerk', key: body.key, id: 'd' }, type: 'wait', body: { ms: 1 } },
              },
            ],
          })),
        },
        'timer.due': {
          actions: decide<Clerk, Event>(({ done }) => {
            if (fails === 'throws') throw new Error('boom');
            return { context: { done: fails === 'spoils' ? 0.5 : done + 1 } };
          }),
        },
      },
    },
  },
});
const clerks: Domain = {
  actors: [
    {
      kind: 'clerk',
      version: 1,
      machine: clerk,
      context: Type.Object({ done: Type.Integer() }),
      commands: { wait: Type.Object({ ms: Type.Integer() }), misdirect: Type.Object({ key: Type.String() }) },
      timers: ['due'],
      creates: ['wait', 'misdirect'],
    },
  ],
  records: [{ kind: 'note', version: 1, context: Type.Object({ written: Type.Integer() }) }],
  slots: [],
  createIndex: () => ({ changed() {} }),
};
const wait = { to: clerkAddress, type: 'wait', body: { ms: 1_000 } };
const done = ({ owner }: Bench) => owner.state.get<Clerk>('clerk', 'c')?.context.done;
const letters = (bench: Bench) =>
  bench.journal().flatMap(({ events }) => events.flatMap((event) => (event.kind === 'audit' ? [event.payload] : [])));

test.each(['throws', 'spoils'] as const)(
  'a timer that fails (%s) becomes a dead letter and is due again ten minutes later, once',
  async (how) => {
    const bench = await new Bench(clerks).start();
    fails = how;
    await bench.send(wait);
    await bench.idle(5_000);
    expect([done(bench), letters(bench)]).toMatchObject([0, [{ kind: 'dead_letter', command: 'timer.due' }]]);
    fails = 'no';
    await bench.idle(590_000);
    expect(done(bench)).toBe(0);
    await bench.idle(20_000);
    expect(done(bench)).toBe(1);
    await bench.idle(1_300_000);
    expect([done(bench), letters(bench).length, bench.failures]).toEqual([1, 1, []]);
  },
);

test('a hold whose expiry failed can be neither committed nor cancelled, and is released when its timer comes again', async () => {
  let isBroken = true;
  const bench = await new Bench({
    ...domain,
    actors: domain.actors.map((actor) =>
      actor.kind !== 'customer'
        ? actor
        : {
            ...actor,
            facts: (view, self, type, body) => {
              if (isBroken && type === 'timer.expire') throw new Error('boom');
              return actor.facts!(view, self, type, body);
            },
          },
    ),
  }).start();
  const to = customerAddress('ada');
  const slot = Math.floor(bench.world.now / 12_000);
  const price = { station: 's', site: 'g', slot, priceE5SekPerKwh: 100_000, tier: 'normal', importOpen: true };
  const pick = { side: 'buy', order: null };
  const sek = () => bench.owner.state.get<CustomerState>('customer', 'ada')!.context.sek;
  expect(
    await bench.send(
      { to: boardAddress(0, 9), type: 'board.slot', body: { slot, changed: [price] } },
      { to, type: 'customer.open', body: { name: 'ada' } },
      { to, type: 'customer.deposit', body: { amountE5Sek: 500_000 } },
      { to, type: 'order.buy', body: { station: 's', slot: null, energyWh: 1_000 } },
    ),
  ).toMatchObject([{ ok: true }, { ok: true }, { ok: true }, { value: { amountE5Sek: 100_000 } }]);
  await bench.idle(70_000);
  expect(letters(bench)).toMatchObject([{ command: 'timer.expire', reason: 'boom' }]);
  expect(await bench.send({ to, type: 'order.commit', body: pick }, { to, type: 'order.cancel', body: pick })).toEqual(
    Array(2).fill({ ok: false, code: 'nothing_pending', detail: { side: 'buy' } }),
  );
  expect(sek()).toEqual({ available: 400_000, pending: 100_000 });
  isBroken = false;
  await bench.idle(600_000);
  expect(sek()).toEqual({ available: 500_000, pending: 0 });
  expect(bench.owner.state.get('account', accountAddress(0, 'SEK', 'deposits').id)).toMatchObject({
    context: { balance: -500_000 },
  });
});

test.each(['@7', '@x', '@-1'])(
  'a command that sends to %s, which is no partition, fails as a whole: no state, record, timer or message of it is left',
  async (key) => {
    fails = 'no';
    const bench = await new Bench(clerks).start();
    await bench.send({ ...wait, body: { ms: 1_000_000 } });
    const before = JSON.stringify([...bench.owner.state.timers.entries()]);
    expect(await bench.send({ to: clerkAddress, type: 'misdirect', body: { key } })).toEqual([
      { ok: false, code: 'internal_error' },
    ]);
    expect([done(bench), bench.owner.state.get('note', 'n')]).toEqual([0, undefined]);
    expect(JSON.stringify([...bench.owner.state.timers.entries()])).toBe(before);
    expect(letters(bench)).toMatchObject([{ command: 'misdirect', reason: `no such partition: '${key}'` }]);
    // Nor is it born by it.
    const born = { kind: 'clerk', key: 'new', id: 'new' };
    expect(await bench.send({ to: born, type: 'misdirect', body: { key } })).toMatchObject([{ ok: false }]);
    expect([bench.owner.state.entity('clerk', 'new'), bench.failures]).toEqual([undefined, []]);
  },
);
