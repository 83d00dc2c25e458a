/** Bodies of the writing routes. Each carries the caller's command id: sent again under it, the stored result comes back. */
import Type, { type Static, type TSchema } from 'typebox';
import { BalanceReply, energyWhMax, HeldReply, OrderReply, QuoteReply } from '#actors/schema/customer_commands';
import { BatteryNow, OrderView, Wallet } from './account.ts';
import { Refusal } from './refusal.ts';
import { closed, entityId, now, nullable, ref, unixMs } from './ref.ts';

/** Commands of one batch. */
export const batchMax = 64;

/** Names of series are the caller's; those that Gridtick itself uses begin with `=`, so the two never meet. */
const commandIdPattern = '^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9_-]{1,64}:[1-9][0-9]{0,14})$';
export const commandId = Type.String({
  pattern: commandIdPattern,
  description: 'made by the caller: a UUID, or `<series>:<n>` with n dense from 1',
  examples: ['6f1c2c9e-4c0b-4b7e-9a51-1f6c1a1f0d11', 'till-3:17'],
});

/** Decimal text, so that no digit is lost on the way; what does not fit is refused `bad_amount`. */
const amountText = (description: string, pattern: string) =>
  Type.String({ pattern, description: `${description}; SEK, at most two decimals, at most 10⁹`, examples: ['100.00'] });
const positive = '^(?!0+(\\.0+)?$)(0|[1-9][0-9]{0,9})(\\.[0-9]{1,2})?$';
const zeroOrMore = '^(0|[1-9][0-9]{0,9})(\\.[0-9]{1,2})?$';

const side = Type.Enum(['buy', 'sell']);
const energyWh = Type.Integer({ minimum: 1, maximum: energyWhMax, description: 'Wh' });
const slot = nullable(
  Type.Integer({ minimum: 0, maximum: 2 ** 32, description: 'whose price is meant; null: the newest' }),
);
const pick = nullable(entityId('an order; null: the newest that is held on that side'));

/** What each command of a customer carries, by its type; the routes of their own add the id. */
export const customerCommands = {
  'customer.deposit': { amount: amountText('money that has been paid in', positive) },
  'customer.withdraw': { amount: amountText('money to pay out, at most what is available', positive) },
  'order.buy': { station: entityId('the station'), slot, energyWh },
  'order.sell': { station: entityId('the station'), slot, energyWh },
  'order.commit': { side, order: pick },
  'order.cancel': { side, order: pick },
  'order.stop': { order: entityId('a committed order') },
} as const satisfies Record<string, Record<string, TSchema>>;
export type CustomerCommandType = keyof typeof customerCommands;
export const customerCommandTypes = Object.keys(customerCommands) as CustomerCommandType[];

export const DepositRequest = Type.Object(
  { id: commandId, ...customerCommands['customer.deposit'] },
  { $id: 'DepositRequest', ...closed },
);
export const WithdrawRequest = Type.Object(
  { id: commandId, ...customerCommands['customer.withdraw'] },
  { $id: 'WithdrawRequest', ...closed },
);
export const OrderRequest = Type.Object(
  { id: commandId, side, ...customerCommands['order.buy'] },
  { $id: 'OrderRequest', ...closed },
);
export const PickRequest = Type.Object(
  { id: commandId, ...customerCommands['order.commit'] },
  { $id: 'PickRequest', ...closed },
);
export const StopRequest = Type.Object(
  { id: commandId, ...customerCommands['order.stop'] },
  { $id: 'StopRequest', ...closed },
);

export const CreditRequest = Type.Object(
  { id: commandId, limit: amountText('how far below zero the available money may go, from 0', zeroOrMore) },
  { $id: 'CreditRequest', ...closed },
);
export const TagRequest = Type.Object(
  {
    id: commandId,
    customer: nullable(entityId('who pays for what is charged with it; null: nobody')),
    group: Type.Optional(nullable(Type.String({ maxLength: 128 }))),
    status: Type.Optional(Type.Enum(['Accepted', 'Blocked'])),
    expiresAt: Type.Optional(
      nullable(Type.Integer({ minimum: 0, maximum: 9_999_999_999_999, description: 'unix ms, UTC' })),
    ),
  },
  { $id: 'TagRequest', description: 'what is left out: no group, Accepted, for ever', ...closed },
);

export const CloseRequest = Type.Object({ id: commandId }, { $id: 'CloseRequest', ...closed });
export const SessionParams = Type.Object(
  { transaction: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'of the session' }) },
  closed,
);

/** The body of each command is looked at by itself, so that one bad one does not stop the others. */
export const BatchRequest = Type.Object(
  {
    commands: Type.Array(
      Type.Object(
        {
          id: commandId,
          type: Type.Enum(customerCommandTypes),
          body: Type.Record(Type.String(), Type.Unknown(), { description: 'as of the route of its own, without `id`' }),
        },
        closed,
      ),
      { minItems: 1, maxItems: batchMax },
    ),
  },
  { $id: 'BatchRequest', ...closed },
);
export type BatchRequest = Static<typeof BatchRequest>;

// --- answers ---------------------------------------------------------------------------------------------------------

export const Balance = Type.Object(BalanceReply.properties, { $id: 'Balance', ...closed });
export const Quote = Type.Object(QuoteReply.properties, { $id: 'Quote', ...closed });
export const Held = Type.Object(HeldReply.properties, { $id: 'Held', ...closed });
export const OrderResult = Type.Object(OrderReply.properties, { $id: 'OrderResult', ...closed });
export const ClosedSession = Type.Object(
  { transaction: Type.Integer(), endAt: unixMs('of its last sample, or of its start') },
  { $id: 'ClosedSession', ...closed },
);
export const TagResult = Type.Object({ tag: Type.String() }, { $id: 'TagResult', ...closed });

export const Account = Type.Object(
  {
    now,
    customer: Type.String(),
    name: Type.String(),
    ...Wallet.properties,
    battery: ref(BatteryNow),
    orders: Type.Array(ref(OrderView), { description: 'the open ones, oldest first' }),
    tags: Type.Array(Type.String({ description: 'masked: … and its last three characters' })),
  },
  { $id: 'Account', ...closed },
);
export type Account = Static<typeof Account>;

/** `at` = `<partition>:<journal sequence>` of the decision; '' when the command never reached the log. */
export const CommandOutcome = Type.Object(
  {
    id: Type.String(),
    ok: Type.Boolean(),
    value: Type.Optional(Type.Unknown({ description: 'the reply; of an accepted command' })),
    code: Type.Optional(Refusal.properties.code),
    detail: Refusal.properties.detail,
    at: Type.String(),
  },
  { $id: 'CommandOutcome', ...closed },
);
export type CommandOutcome = Static<typeof CommandOutcome>;

export const BatchReply = Type.Object(
  { now, results: Type.Array(ref(CommandOutcome), { description: 'in the order of the commands' }) },
  { $id: 'BatchReply', ...closed },
);
export type BatchReply = Static<typeof BatchReply>;

export const CommandParams = Type.Object({ id: commandId }, closed);
export const CommandStatus = Type.Object(
  {
    now,
    id: Type.String(),
    state: Type.Enum(['done', 'unknown'], {
      description: 'unknown: not decided yet, never sent by this user, or too long ago. Sending it again is safe',
    }),
    result: Type.Optional(ref(CommandOutcome)),
  },
  { $id: 'CommandStatus', ...closed },
);
export type CommandStatus = Static<typeof CommandStatus>;
