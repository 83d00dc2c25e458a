/**
 * The benched machine: an account that adds, holds, posts and voids in integers and replies with its balance. An XState
 * machine like every other, registered through the engine's machine table; product builds do not load it.
 */
import { setup } from 'xstate';
import Type from 'typebox';
import { decide, type ActorEvent, type Decision, type Domain } from '#actors/actor';
import { machineTypes } from '#actors/machine';

export interface Account {
  available: number;
  held: number;
  posted: number;
}
type Event = ActorEvent<{ amount: number }>;

const int = Type.Integer();
const Amount = Type.Object({ amount: Type.Integer({ minimum: 1 }) }, { additionalProperties: false });
const balance = (context: Account): Decision<Account> => ({
  context,
  outputs: [{ type: 'reply', params: { value: context.available } }],
});

const add = (account: Account, { body: { amount } }: Event) =>
  balance({ ...account, available: account.available + amount });

const hold = (account: Account, { body: { amount } }: Event): Decision<Account> =>
  account.available < amount
    ? { refuse: 'bad_request' }
    : balance({ ...account, available: account.available - amount, held: account.held + amount });

const post = (account: Account, { body: { amount } }: Event): Decision<Account> =>
  account.held < amount
    ? { refuse: 'bad_request' }
    : balance({ ...account, held: account.held - amount, posted: account.posted + amount });

const machine = setup({ types: machineTypes<Account>() }).createMachine({
  initial: 'open',
  context: { available: 0, held: 0, posted: 0 },
  states: {
    open: { on: { add: { actions: decide(add) }, hold: { actions: decide(hold) }, post: { actions: decide(post) } } },
  },
});

export const accountDomain: Domain = {
  actors: [
    {
      kind: 'account',
      version: 1,
      machine,
      context: Type.Object({ available: int, held: int, posted: int }),
      commands: { add: Amount, hold: Amount, post: Amount },
      timers: [],
      creates: ['add'],
    },
  ],
  records: [],
  slots: [],
  createIndex: () => ({ changed() {} }),
};
