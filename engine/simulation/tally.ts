/** A small domain that exercises everything the engine promises: accounts that move amounts between partitions, and count time. */
import { setup } from 'xstate';
import Type from 'typebox';
import { decide, type ActorEvent, type Command, type Domain, type Index, type Stored } from '#actors/actor';

export interface Account {
  balance: number;
  applied: number;
  fired: number;
  armed: number;
  /** Timers that were set anew or disarmed before they were due. */
  replaced: number;
  /** When the alarm is due, log time; 0 = there is none. */
  alarmAt: number;
  /** Alarms that came before that, or without being set. */
  early: number;
  slot: number;
  padding: string;
}
const address = (id: string) => ({ kind: 'account', key: id, id });

type Event<B = Record<string, unknown>> = ActorEvent<B>;

const accountMachine = setup({
  types: { context: {} as Account, events: {} as Event },
  actions: { reply: () => {}, refuse: () => {}, send: () => {}, arm: () => {}, drop: () => {}, put: () => {} },
}).createMachine({
  initial: 'open',
  context: { balance: 0, applied: 0, fired: 0, armed: 0, replaced: 0, alarmAt: 0, early: 0, slot: 0, padding: '' },
  states: {
    open: {
      on: {
        add: {
          actions: decide<Account, Event<{ amount: number }>>((c, e) =>
            e.body.amount > 1_000
              ? { refuse: 'bad_request' }
              : {
                  context: { ...c, balance: c.balance + e.body.amount, applied: c.applied + 1 },
                  outputs: [{ type: 'reply', params: { value: c.balance + e.body.amount } }],
                },
          ),
        },
        transfer: {
          actions: decide<Account, Event<{ to: string; amount: number }>>((c, e) => ({
            context: { ...c, balance: c.balance - e.body.amount, applied: c.applied + 1 },
            outputs: [
              { type: 'send', params: { to: address(e.body.to), type: 'receive', body: { amount: e.body.amount } } },
              { type: 'reply', params: { value: c.balance - e.body.amount } },
            ],
          })),
        },
        receive: {
          actions: decide<Account, Event<{ amount: number }>>((c, e) => ({
            context: { ...c, balance: c.balance + e.body.amount },
          })),
        },
        wait: {
          actions: decide<Account, Event<{ ms: number }>>((c, e) => ({
            context: { ...c, armed: c.armed + 1 },
            outputs: [{ type: 'arm', params: { name: `w${c.armed}`, dueAt: e.now + e.body.ms } }],
          })),
        },
        // The same timer again and again: each arming replaces the one before.
        alarm: {
          actions: decide<Account, Event<{ ms: number }>>((c, e) => ({
            context: {
              ...c,
              armed: c.armed + 1,
              replaced: c.replaced + Math.sign(c.alarmAt),
              alarmAt: e.now + e.body.ms,
            },
            outputs: [{ type: 'arm', params: { name: 'alarm', dueAt: e.now + e.body.ms } }],
          })),
        },
        silence: {
          actions: decide<Account, Event>((c) => ({
            context: { ...c, replaced: c.replaced + Math.sign(c.alarmAt), alarmAt: 0 },
            outputs: [{ type: 'disarm', params: { name: 'alarm' } }],
          })),
        },
        'timer.alarm': {
          actions: decide<Account, Event>((c, e) =>
            c.alarmAt === 0 || e.now < c.alarmAt
              ? { context: { ...c, early: c.early + 1 } }
              : { context: { ...c, fired: c.fired + 1, alarmAt: 0 } },
          ),
        },
        'timer.*': { actions: decide<Account, Event>((c) => ({ context: { ...c, fired: c.fired + 1 } })) },
        tick: {
          actions: decide<Account, Event<{ slot: number }>>((c, e) =>
            e.body.slot <= c.slot ? {} : { context: { ...c, slot: e.body.slot } },
          ),
        },
        explode: {
          actions: decide<Account, Event>(() => {
            throw new Error('boom');
          }),
        },
        bloat: {
          actions: decide<Account, Event<{ bytes: number }>>((c, e) => ({
            context: { ...c, padding: 'x'.repeat(e.body.bytes) },
          })),
        },
        spoil: { actions: decide<Account, Event>((c) => ({ context: { ...c, padding: 0.5 as unknown as string } })) },
      },
    },
  },
});

class Accounts implements Index {
  readonly ids = new Set<string>();
  changed(_kind: string, id: string, _before: Stored | undefined, after: Stored | undefined) {
    if (after) this.ids.add(id);
    else this.ids.delete(id);
  }
}

const int = Type.Integer();
export const tallyDomain: Domain = {
  actors: [
    {
      kind: 'account',
      version: 1,
      machine: accountMachine,
      context: Type.Object({
        balance: int,
        applied: int,
        fired: int,
        armed: int,
        replaced: int,
        alarmAt: int,
        early: int,
        slot: int,
        padding: Type.String(),
      }),
      commands: {
        add: Type.Object({ amount: int }),
        transfer: Type.Object({ to: Type.String(), amount: int }),
        receive: Type.Object({ amount: int }),
        wait: Type.Object({ ms: int }),
        alarm: Type.Object({ ms: int }),
        silence: Type.Object({}),
        tick: Type.Object({ slot: int }),
        explode: Type.Object({}),
        bloat: Type.Object({ bytes: int }),
        spoil: Type.Object({}),
      },
      timers: [],
      creates: ['add', 'transfer', 'receive', 'wait', 'alarm', 'bloat'],
    },
  ],
  records: [],
  slots: [
    {
      name: 'second',
      everyMs: 1_000,
      active: (view) => (view.index as Accounts).ids.size > 0,
      run: (view, slot): Command[] =>
        [...(view.index as Accounts).ids].map((id) => ({ to: address(id), type: 'tick', body: { slot } })),
    },
  ],
  createIndex: () => new Accounts(),
};
export const accountAddress = address;
