/**
 * What an integrator may hear and send: the one table that the account file, the provisioned consumers and the NATS door
 * read. Kinds whose subject begins with a customer are heard of its customers only.
 */
import Type, { type Static } from 'typebox';
import { token } from '#actors/schema/subjects';
import { publicKinds, type PublicKind } from './streams.ts';
import { stream } from './subjects.ts';

/** Kinds of public subjects whose second token is a customer. */
export const customerKinds: readonly PublicKind[] = ['battery', 'trade', 'ledger'];

/** What can be granted one by one: commands to customers by their type. */
export const integratorCommands = [
  'customer.deposit',
  'customer.withdraw',
  'order.quote',
  'order.buy',
  'order.sell',
  'order.commit',
  'order.cancel',
  'order.stop',
  'trade.add',
  'trade.quote',
  'trade.buy',
  'trade.commitBuy',
  'trade.cancelBuy',
  'trade.sell',
  'trade.commitSell',
  'trade.cancelSell',
  'trade.setBuyAmount',
  'trade.setBuyTrigger',
  'trade.cancelSetBuy',
  'trade.setSellAmount',
  'trade.setSellTrigger',
  'trade.cancelSetSell',
  'trade.dumpLog',
  'trade.displaySummary',
] as const;
export type IntegratorCommand = (typeof integratorCommands)[number];

/** Each one named costs three imports and three consumers. */
export const customersNamedMax = 64;

export const IntegratorScope = Type.Object(
  {
    user: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'NATS user and second token of `in.<user>.…`' }),
    hears: Type.Array(Type.Enum([...publicKinds]), { maxItems: publicKinds.length }),
    commands: Type.Array(Type.Enum([...integratorCommands]), { maxItems: integratorCommands.length }),
    customers: Type.Union(
      [Type.Literal('all'), Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: customersNamedMax })],
      { description: 'whose battery, trades and ledger it hears, and whom it may command' },
    ),
  },
  { additionalProperties: false },
);
export type IntegratorScope = Static<typeof IntegratorScope>;

/** Name of an integrator's durable consumer on a public stream; of one customer's messages alone when one is named. */
export const integratorConsumer = (user: string, customer?: string): string => {
  if (!/^[\w-]+$/.test(user)) throw new Error(`illegal integrator name: '${user}'`);
  // No user name holds `=`, so no other integrator's consumer is called the same.
  return customer === undefined ? `integrator-${user}` : `integrator-${user}=${token(customer)}`;
};

export interface HeardStream {
  kind: PublicKind;
  /** Live, as subscribers name it. */
  subject: string;
  /** Name of the stream that holds it. */
  stream: string;
  /** The durable consumer to replay it by. */
  consumer: string;
}

/** Everything an integrator hears: a kind as a whole, or one subject per customer. */
export function heardBy({ user, hears, customers }: Omit<IntegratorScope, 'commands'>): HeardStream[] {
  const of = (kind: PublicKind, subject: string, consumer: string): HeardStream => ({
    kind,
    subject,
    stream: stream.public(kind),
    consumer,
  });
  return [...new Set(hears)].flatMap((kind) => {
    if (customers === 'all' || !customerKinds.includes(kind)) return [of(kind, `${kind}.>`, integratorConsumer(user))];
    return [...new Set(customers)].map((c) => of(kind, `${kind}.${token(c)}`, integratorConsumer(user, c)));
  });
}
