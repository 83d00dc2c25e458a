/** What the history tells of customers, and the lists of people. */
import Type, { type Static } from 'typebox';
import { Battery, Ledger, Trade } from '#actors/schema/events';
import { Wallet } from './account.ts';
import { closed, entityId, instant, now, nullable, ref, unixMs } from './ref.ts';
import { roles } from './sign_in.ts';

export const recordsLimitMax = 1_000;
export const peopleLimitMax = 1_000;

export const RecordsQuery = Type.Object(
  {
    from: Type.Optional(instant('earliest, included')),
    to: Type.Optional(instant('latest, excluded; absent: now')),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: recordsLimitMax, default: 100 })),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'of the page before' })),
    customer: Type.Optional(entityId('somebody else; admins only')),
    all: Type.Optional(Type.Enum(['true'], { description: 'of everybody; admins only' })),
  },
  closed,
);
export type RecordsQuery = Static<typeof RecordsQuery>;

const cursor = nullable(Type.String({ description: 'pass it for the next page; null at the end' }));
const newestFirst = { description: 'newest first' };

export const TradesReply = Type.Object(
  { now, rows: Type.Array(ref(Trade), newestFirst), cursor },
  { $id: 'TradesReply', ...closed },
);

const batch = Ledger.properties;
const leg = batch.legs.items.properties;
/** One leg of a batch of postings. */
export const LedgerEntry = Type.Object(
  {
    customer: batch.customer,
    batch: batch.batch,
    kind: batch.kind,
    cause: batch.cause,
    at: batch.at,
    ledger: leg.ledger,
    account: leg.account,
    amount: leg.amount,
    balance: leg.balance,
  },
  { $id: 'LedgerEntry', ...closed },
);
export type LedgerEntry = Static<typeof LedgerEntry>;
export const LedgerReply = Type.Object(
  { now, rows: Type.Array(ref(LedgerEntry), newestFirst), cursor },
  { $id: 'LedgerReply', ...closed },
);

export const BatteryReply = Type.Object(
  { now, rows: Type.Array(ref(Battery), newestFirst), cursor },
  { $id: 'BatteryReply', ...closed },
);

export const PeopleQuery = Type.Object(
  {
    after: Type.Optional(entityId('continue after this id')),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: peopleLimitMax, default: 200 })),
  },
  closed,
);

const next = nullable(Type.String({ description: 'pass as `after` for the next page; null at the end' }));

export const User = Type.Object(
  {
    user: Type.String(),
    email: Type.String(),
    name: Type.String(),
    roles: Type.Array(Type.Enum([...roles])),
    state: Type.Enum(['invited', 'active', 'disabled']),
    createdAt: unixMs('of the user'),
  },
  { $id: 'User', ...closed },
);
export const UsersReply = Type.Object(
  { now, users: Type.Array(ref(User), { description: 'sorted by id' }), next },
  { $id: 'UsersReply', ...closed },
);
export type UsersReply = Static<typeof UsersReply>;

export const CustomerParams = Type.Object({ id: entityId('the customer') }, closed);
export const TagParams = Type.Object({ tag: entityId('the tag, whatever its case') }, closed);

export const Customer = Type.Object(
  {
    customer: Type.String(),
    name: Type.String(),
    createdAt: unixMs('of the account'),
    ...Wallet.properties,
    energyWh: Type.Integer({ description: 'stored in the battery now, Wh' }),
    openOrders: Type.Integer(),
    openSessions: Type.Integer(),
    credit: Type.Enum(['ok', 'empty']),
    tags: Type.Array(Type.String({ description: 'masked: … and its last three characters' })),
  },
  { $id: 'Customer', ...closed },
);
export const CustomersReply = Type.Object(
  { now, customers: Type.Array(ref(Customer), { description: 'sorted by id' }), next },
  { $id: 'CustomersReply', ...closed },
);
export type CustomersReply = Static<typeof CustomersReply>;
