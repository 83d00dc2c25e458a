/**
 * A domain of money, as small as it can be: purses that are filled from a system account and give to each other, also
 * across partitions, and one that forges. It shows what the engine does when rules do not conserve.
 */
import { setup } from 'xstate';
import Type from 'typebox';
import { decide, type ActorEvent, type Command, type Decision, type Domain, type Output } from '#actors/actor';
import { machineTypes } from '#actors/machine';
import type { Ledger } from '#actors/schema/events';

export interface Purse {
  amount: number;
}
interface Vault {
  name: string;
  balance: number;
}
type Event = ActorEvent<{ amount: number; to: string }, { partition: number }>;
type Outputs = Exclude<Output, { type: 'refuse' }>[];

export const purseAddress = (id: string) => ({ kind: 'purse', key: id, id });
const vaultAddress = (partition: number, name: string) => ({ kind: 'vault', key: `@${partition}`, id: name });

/** A batch of postings: one leg is the purse's, the other a system account's. */
function posted({ self, facts, now }: Event, vault: string, toPurse: number, toVault = -toPurse): Outputs {
  const leg = (account: string, amount: number) => ({ ledger: 'SEK' as const, account, amount, balance: null });
  const payload: Ledger = {
    customer: self.id,
    batch: `${self.id}-${now}`,
    kind: 'deposit',
    cause: 'test',
    at: now,
    legs: [leg(self.id, toPurse), leg(vault, toVault)],
  };
  const post = { name: vault, amount: -toPurse };
  return [
    { type: 'send', params: { to: vaultAddress(facts.partition, vault), type: 'post', body: post } },
    { type: 'emit', params: { kind: 'ledger', subject: `ledger.${self.id}`, payload } },
  ];
}

const filled = (purse: Purse, amount: number, outputs: Outputs): Decision<Purse> => ({
  context: { amount: purse.amount + amount },
  outputs: [...outputs, { type: 'reply', params: { value: purse.amount + amount } }],
});
const fill = (purse: Purse, event: Event) =>
  filled(purse, event.body.amount, posted(event, 'deposits', event.body.amount));
const take = (purse: Purse, event: Event) =>
  filled(purse, event.body.amount, posted(event, 'transit', event.body.amount));
const give = (purse: Purse, event: Event): Decision<Purse> => {
  const { to, amount } = event.body;
  if (amount > purse.amount) return { refuse: 'insufficient_funds' };
  const gift: Command = { to: purseAddress(to), type: 'take', body: { amount, to } };
  return filled(purse, -amount, [...posted(event, 'transit', -amount), { type: 'send', params: gift }]);
};
/** Money out of nothing. */
const forge = (purse: Purse, { body: { amount } }: Event) => filled(purse, amount, []);
/** The balances are right, what is told of them is not. */
const misstate = (purse: Purse, event: Event) =>
  filled(purse, event.body.amount, posted(event, 'deposits', event.body.amount, 1));
/** The money goes with the purse. */
const burn = (_purse: Purse, { self }: Event): Decision<Purse> => ({
  outputs: [{ type: 'drop', params: { kind: 'purse', id: self.id } }],
});

const purse = setup({ types: machineTypes<Purse>() }).createMachine({
  initial: 'open',
  context: { amount: 0 },
  states: {
    open: {
      on: {
        fill: { actions: decide(fill) },
        give: { actions: decide(give) },
        take: { actions: decide(take) },
        forge: { actions: decide(forge) },
        misstate: { actions: decide(misstate) },
        burn: { actions: decide(burn) },
      },
    },
  },
});
const vault = setup({ types: machineTypes<Vault>() }).createMachine({
  initial: 'open',
  context: { name: '', balance: 0 },
  states: {
    open: {
      on: {
        post: {
          actions: decide<Vault, ActorEvent<{ name: string; amount: number }>>((vault, { body: { name, amount } }) => ({
            context: { name, balance: vault.balance + amount },
          })),
        },
      },
    },
  },
});

const int = Type.Integer();
const Amount = Type.Object({ amount: int });
const Gift = Type.Object({ to: Type.String(), amount: int });

export const purseDomain: Domain = {
  actors: [
    {
      kind: 'purse',
      version: 1,
      machine: purse,
      context: Type.Object({ amount: int }),
      commands: {
        fill: Amount,
        give: Gift,
        take: Gift,
        forge: Amount,
        misstate: Amount,
        burn: Type.Object({}),
      },
      timers: [],
      creates: ['fill', 'take', 'forge', 'misstate'],
      facts: ({ partition }) => ({ partition }),
    },
    {
      kind: 'vault',
      version: 1,
      machine: vault,
      context: Type.Object({ name: Type.String(), balance: int }),
      commands: { post: Type.Object({ name: Type.String(), amount: int }) },
      timers: [],
      creates: ['post'],
    },
  ],
  records: [],
  slots: [],
  createIndex: () => ({ changed() {} }),
  balances: (kind, { context }) => {
    if (kind === 'purse') return [['SEK', (context as unknown as Purse).amount]];
    return kind === 'vault' ? [['SEK', (context as unknown as Vault).balance]] : null;
  },
  transit: (kind, { context }) => {
    const { name, balance } = context as unknown as Vault;
    return kind === 'vault' && name === 'transit' ? [['SEK', balance]] : null;
  },
  carried: ({ type, body }) => (type === 'take' ? [['SEK', -(body['amount'] as number)]] : null),
};
