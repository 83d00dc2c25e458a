/**
 * The benched machine: an account that adds, holds, posts and voids in integers and replies with its balance. An XState
 * machine like every other, registered through the engine's machine table; product builds do not load it.
 */
import { assign, setup } from 'xstate';
import Type from 'typebox';
import type { ActorEvent, Domain } from '#actors/actor';

export interface Account {
  available: number;
  held: number;
  posted: number;
}
type Event = ActorEvent<{ amount: number }>;

const int = Type.Integer();
const Amount = Type.Object({ amount: Type.Integer({ minimum: 1 }) }, { additionalProperties: false });
const balance = {
  type: 'reply',
  params: ({ context }: { context: Account }) => ({ value: context.available }),
} as never;
const refuse = { type: 'refuse', params: { code: 'bad_request' } } as never;

const machine = setup({
  types: { context: {} as Account, events: {} as Event },
  actions: { reply: () => {}, refuse: () => {} },
  guards: {
    canHold: ({ context, event }) => context.available >= event.body.amount,
    isHeld: ({ context, event }) => context.held >= event.body.amount,
  },
}).createMachine({
  initial: 'open',
  context: { available: 0, held: 0, posted: 0 },
  states: {
    open: {
      on: {
        add: {
          actions: [assign({ available: ({ context, event }) => context.available + event.body.amount }), balance],
        },
        hold: [
          {
            guard: 'canHold',
            actions: [
              assign(({ context, event }) => ({
                available: context.available - event.body.amount,
                held: context.held + event.body.amount,
              })),
              balance,
            ],
          },
          { actions: [refuse] },
        ],
        post: [
          {
            guard: 'isHeld',
            actions: [
              assign(({ context, event }) => ({
                held: context.held - event.body.amount,
                posted: context.posted + event.body.amount,
              })),
              balance,
            ],
          },
          { actions: [refuse] },
        ],
      },
    },
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
