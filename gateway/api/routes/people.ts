/** For admins: users, customers, limits of credit, who pays for a tag. */
import { customerAddress, nameAddress } from '#actors/addresses';
import type { BalanceReply } from '#actors/schema/customer_commands';
import type { UserState } from '#actors/schema/entities';
import { knownRoles } from '../../auth/rights.ts';
import { batteryView, walletView } from '../../live/account_views.ts';
import type { GridReplica } from '../../live/grid.ts';
import { maskTag } from '../../live/views.ts';
import { Balance, CreditRequest, TagRequest, TagResult } from '../../schema/commands.ts';
import { CustomerParams, CustomersReply, PeopleQuery, TagParams, UsersReply } from '../../schema/records.ts';
import { ref } from '../../schema/ref.ts';
import { principalOf } from '../access.ts';
import { amountE5Sek } from '../amounts.ts';
import { valueOf } from '../customer_commands.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';
import { positionHeader, writing, type CommandDeps } from '../writing.ts';

/** One page of what is sorted by id. */
function pageAfter<E extends { id: string }>(
  sorted: readonly E[],
  { after, limit = 200 }: { after?: string; limit?: number },
) {
  const rest = after === undefined ? sorted : sorted.filter(({ id }) => id > after);
  const page = rest.slice(0, limit);
  return { page, next: rest.length > limit ? (page.at(-1)?.id ?? null) : null };
}

export function peopleRoutes(app: ApiScope, replica: GridReplica, deps: CommandDeps): void {
  const { accounts, book } = deps;
  const knownCustomer = (customer: string) => {
    if (accounts.get(customer) === undefined) throw new Refused('unknown_customer', { customer });
  };

  app.get(
    '/api/users',
    {
      config: { access: 'view_people' },
      schema: {
        tags: ['people'],
        summary: 'Who may sign in',
        querystring: PeopleQuery,
        response: { 200: ref(UsersReply), ...failures },
      },
    },
    async (request) => {
      const users = [...replica.all<UserState>('user')].sort((a, b) => (a.id < b.id ? -1 : 1));
      const { page, next } = pageAfter(users, request.query);
      return {
        now: app.now(),
        users: page.map(({ id, value, context: { email, name, roles, createdAt } }) => ({
          user: id,
          email,
          name,
          roles: knownRoles(roles),
          state: value as 'invited' | 'active' | 'disabled',
          createdAt,
        })),
        next,
      };
    },
  );

  app.get(
    '/api/customers',
    {
      config: { access: 'view_people' },
      schema: {
        tags: ['people'],
        summary: 'Accounts',
        querystring: PeopleQuery,
        response: { 200: ref(CustomersReply), ...failures },
      },
    },
    async (request) => {
      const now = app.now();
      const { page, next } = pageAfter(accounts.all(), request.query);
      return {
        now,
        customers: page.map(({ id, context: c }) => ({
          customer: id,
          name: c.name,
          createdAt: c.createdAt,
          ...walletView(c),
          energyWh: batteryView(c, now).energyWh,
          openOrders: c.orders.length,
          openSessions: c.sessions.length,
          credit: c.credit,
          tags: c.tags.map(maskTag),
        })),
        next,
      };
    },
  );

  app.put(
    '/api/customers/:id/credit',
    {
      ...writing(deps, 'set_credit'),
      schema: {
        tags: ['people'],
        summary: 'Set how far below zero the available money may go',
        params: CustomerParams,
        body: CreditRequest,
        response: { 200: ref(Balance), ...failures },
      },
    },
    async (request, reply) => {
      const { id, limit } = request.body;
      const body = { limitE5Sek: amountE5Sek(limit, 0) };
      knownCustomer(request.params.id);
      const to = customerAddress(request.params.id);
      const command = { id, to, type: 'customer.credit', body };
      const result = await book.send(principalOf(request).user, command, request.id);
      positionHeader(reply, result);
      return valueOf<BalanceReply>(result);
    },
  );

  app.put(
    '/api/tags/:tag',
    {
      ...writing(deps, 'put_tag'),
      schema: {
        tags: ['people'],
        summary: 'Say who pays for what is charged with a tag; a new tag is made',
        params: TagParams,
        body: TagRequest,
        response: { 200: ref(TagResult), ...failures },
      },
    },
    async (request, reply) => {
      const { id, customer, group = null, status = 'Accepted', expiresAt = null } = request.body;
      if (customer !== null) knownCustomer(customer);
      const to = nameAddress('tag', request.params.tag);
      const body = { customer, group, status, expiresAt };
      const result = await book.send(principalOf(request).user, { id, to, type: 'tag.put', body }, request.id);
      positionHeader(reply, result);
      return valueOf<{ tag: string }>(result);
    },
  );
}
