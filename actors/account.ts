/** A system account of the ledger: one per partition, asset and name, so that no posting crosses partitions for its sake. */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { machineTypes } from './machine.ts';
import { AccountState } from './schema/customer_entities.ts';
import { AccountPost, type AccountPostBody } from './schema/customer_internal.ts';
import { safe } from './units.ts';

const initial: AccountState = { ledger: 'SEK', name: '', balance: 0 };

/** Its batch was checked by whoever sends this, in the same unit; it may go below zero. */
const post = (account: AccountState, { body }: ActorEvent<AccountPostBody>): Decision<AccountState> => ({
  context: { ledger: body.ledger, name: body.name, balance: safe(account.balance + body.amount) },
});

export const accountMachine = setup({ types: machineTypes<AccountState>() }).createMachine({
  id: 'account',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'account.post': { target: 'open', actions: decide(post) } } },
    open: { on: { 'account.post': { actions: decide(post) } } },
  },
});

export const account: ActorDefinition = {
  kind: 'account',
  version: 1,
  machine: accountMachine,
  context: AccountState,
  commands: { 'account.post': AccountPost },
  timers: [],
  creates: ['account.post'],
};
