/** A customer's own account: what it holds, money in and out, quotes and orders. All of it is about who is signed in. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { customerAddress } from '#actors/addresses';
import type { BalanceReply, HeldReply, OrderReply, QuoteReply } from '#actors/schema/customer_commands';
import type { CommandResult } from '#engine/wire';
import { batteryView, orderView, walletView } from '../../live/account_views.ts';
import { maskTag } from '../../live/views.ts';
import {
  Account,
  Balance,
  DepositRequest,
  Held,
  OrderRequest,
  OrderResult,
  PickRequest,
  Quote,
  StopRequest,
  WithdrawRequest,
  type CustomerCommandType,
} from '../../schema/commands.ts';
import { ref } from '../../schema/ref.ts';
import { StationParams } from '../../schema/replies.ts';
import { principalOf } from '../access.ts';
import { customerCommand, valueOf } from '../customer_commands.ts';
import { failures, type ApiScope } from '../scope.ts';
import type { CommandDeps } from '../writing.ts';
import { positionHeader, writing } from '../writing.ts';

export function accountRoutes(app: ApiScope, deps: CommandDeps): void {
  const { accounts, book, door } = deps;

  app.get(
    '/api/account',
    {
      config: { access: 'trade' },
      schema: {
        tags: ['account'],
        summary: 'Money, battery, open orders and tags; shows all that was answered before',
        response: { 200: ref(Account), ...failures },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      await accounts.open(principal);
      const { id, context } = await accounts.current(principal.user);
      const now = app.now();
      return {
        now,
        customer: id,
        name: context.name,
        ...walletView(context),
        battery: batteryView(context, now),
        orders: context.orders.map(orderView),
        tags: context.tags.map(maskTag),
      };
    },
  );

  app.get(
    '/api/stations/:id/quote',
    {
      config: { access: 'trade' },
      schema: {
        tags: ['orders'],
        summary: 'The price in force at a station, as an order would get it',
        params: StationParams,
        response: { 200: ref(Quote), ...failures },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      await accounts.open(principal);
      const to = customerAddress(principal.user);
      const body = { station: request.params.id };
      return valueOf<QuoteReply>(
        await door.request({ id: null, to, type: 'order.quote', body, correlation: request.id }),
      );
    },
  );

  /** Sends a command of the caller for the caller. */
  const send = async <Value>(
    request: FastifyRequest,
    reply: FastifyReply,
    type: CustomerCommandType,
    { id, ...body }: { id: string },
  ): Promise<Value> => {
    const principal = principalOf(request);
    await accounts.open(principal);
    const command = customerCommand(principal.user, id, type, body);
    const result: CommandResult = await book.send(principal.user, command, request.id);
    positionHeader(reply, result);
    return valueOf<Value>(result);
  };

  const about = (tag: string, summary: string) => ({ tags: [tag], summary });

  app.post(
    '/api/account/deposit',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('account', 'Book money that was paid in'),
        body: DepositRequest,
        response: { 200: ref(Balance), ...failures },
      },
    },
    (request, reply) => send<BalanceReply>(request, reply, 'customer.deposit', request.body),
  );
  app.post(
    '/api/account/withdraw',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('account', 'Pay money out'),
        body: WithdrawRequest,
        response: { 200: ref(Balance), ...failures },
      },
    },
    (request, reply) => send<BalanceReply>(request, reply, 'customer.withdraw', request.body),
  );
  app.post(
    '/api/orders',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('orders', 'Hold money (buy) or energy (sell) at a price, for 60 s'),
        body: OrderRequest,
        response: { 200: ref(Held), ...failures },
      },
    },
    (request, reply) => {
      const { side, ...body } = request.body;
      return send<HeldReply>(request, reply, `order.${side}`, body);
    },
  );
  app.post(
    '/api/orders/commit',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('orders', 'Commit a held order: energy flows from now on'),
        body: PickRequest,
        response: { 200: ref(OrderResult), ...failures },
      },
    },
    (request, reply) => send<OrderReply>(request, reply, 'order.commit', request.body),
  );
  app.post(
    '/api/orders/cancel',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('orders', 'Give back what an order holds'),
        body: PickRequest,
        response: { 200: ref(OrderResult), ...failures },
      },
    },
    (request, reply) => send<OrderReply>(request, reply, 'order.cancel', request.body),
  );
  app.post(
    '/api/orders/stop',
    {
      ...writing(deps, 'trade'),
      schema: {
        ...about('orders', 'End a committed order: what flowed is settled, the rest goes back'),
        body: StopRequest,
        response: { 200: ref(OrderResult), ...failures },
      },
    },
    (request, reply) => send<OrderReply>(request, reply, 'order.stop', request.body),
  );
}
