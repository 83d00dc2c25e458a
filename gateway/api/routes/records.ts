/** GET /api/trades, /api/ledger, /api/battery: a customer's own rows of the history; an admin names whose. */
import type { FastifyRequest } from 'fastify';
import { BadCursor, type HistoryStore, type Page, type PageQuery } from '#engine/history/mod';
import { BatteryReply, LedgerReply, RecordsQuery, TradesReply } from '../../schema/records.ts';
import { ref } from '../../schema/ref.ts';
import { may } from '../../auth/rights.ts';
import { principalOf } from '../access.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

/** What this needs of the history store. */
export type RecordHistory = Pick<HistoryStore, 'trades' | 'ledgerEntries' | 'batteryStates'>;

/** Whose rows a request is about; null: everybody's. Throws {@link Refused} when that is not for the one who asks. */
function customerOf(request: FastifyRequest, { customer, all }: RecordsQuery): string | null {
  const { user, roles } = principalOf(request);
  const others = may(roles, 'view_people');
  if (customer !== undefined && all !== undefined)
    throw new Refused('bad_request', { in: 'querystring', field: '/all', reason: 'not together with customer' });
  if (all !== undefined || (customer !== undefined && customer !== user)) {
    if (!others) throw new Refused('role_missing', { right: 'view_people' });
    return customer ?? null;
  }
  if (!may(roles, 'trade'))
    throw new Refused('bad_request', { in: 'querystring', field: '/customer', reason: 'name a customer, or all=true' });
  return user;
}

async function pageOf<Row>(
  request: FastifyRequest,
  { from, to, limit, cursor, ...whose }: RecordsQuery,
  read: (query: PageQuery) => Promise<Page<Row>>,
): Promise<{ now: number } & Page<Row>> {
  const customer = customerOf(request, whose);
  if (from !== undefined && to !== undefined && from >= to)
    throw new Refused('bad_request', { in: 'querystring', field: '/from', reason: 'must be before to' });
  try {
    const { rows, cursor: next } = await read({ customer, from, to, limit, cursor });
    return { now: request.server.now(), rows, cursor: next };
  } catch (error) {
    if (error instanceof BadCursor)
      throw new Refused('bad_request', { in: 'querystring', field: '/cursor', reason: 'not a cursor' });
    request.log.error({ event: 'history_failed', err: error }, 'records could not be read');
    throw new Refused('history_unavailable');
  }
}

export function recordRoutes(app: ApiScope, history: RecordHistory): void {
  app.get(
    '/api/trades',
    {
      config: { access: 'view_records' },
      schema: {
        tags: ['records'],
        summary: 'Steps of orders',
        querystring: RecordsQuery,
        response: { 200: ref(TradesReply), ...failures },
      },
    },
    (request) => pageOf(request, request.query, (query) => history.trades(query)),
  );
  app.get(
    '/api/ledger',
    {
      config: { access: 'view_records' },
      schema: {
        tags: ['records'],
        summary: 'Postings, a row per leg',
        querystring: RecordsQuery,
        response: { 200: ref(LedgerReply), ...failures },
      },
    },
    (request) => pageOf(request, request.query, (query) => history.ledgerEntries(query)),
  );
  app.get(
    '/api/battery',
    {
      config: { access: 'view_records' },
      schema: {
        tags: ['records'],
        summary: 'Samples of the battery, every 5 s while somebody is signed in or energy moves',
        querystring: RecordsQuery,
        response: { 200: ref(BatteryReply), ...failures },
      },
    },
    (request) => pageOf(request, request.query, (query) => history.batteryStates(query)),
  );
}
