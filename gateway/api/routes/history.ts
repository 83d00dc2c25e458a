/**
 * GET /api/loads, /api/consumption, /api/sessions, /api/chargers/:id/messages: what the load tree did, from the history. For
 * who may see chargers; what is asked for must exist, ranges and rows are bounded.
 */
import type { FastifyRequest } from 'fastify';
import { BadCursor, type HistoryStore } from '#engine/history/mod';
import type { Grid } from '../../live/grid.ts';
import { maskTag } from '../../live/views.ts';
import {
  ChargerParams,
  ConsumptionQuery,
  ConsumptionReply,
  consumptionStepsMax,
  historyRangeMsMax,
  LoadsQuery,
  LoadsReply,
  MessagesQuery,
  MessagesReply,
  SessionsQuery,
  SessionsReply,
} from '../../schema/history.ts';
import { ref } from '../../schema/ref.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

/** What this needs of the history store. */
export type GridHistory = Pick<HistoryStore, 'loads' | 'consumption' | 'sessions' | 'messages'>;

const bad = (field: string, reason: string) => new Refused('bad_request', { in: 'querystring', field, reason });
const stepMs = { hour: 3_600_000, day: 86_400_000 };

function checkRange(from: number | undefined, to: number | undefined): void {
  if (from === undefined || to === undefined) return;
  if (from >= to) throw bad('/from', 'must be before to');
  if (to - from > historyRangeMsMax) throw bad('/from', 'must be at most ten years before to');
}

async function asked<Answer>(request: FastifyRequest, read: () => Promise<Answer>): Promise<Answer> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof BadCursor) throw bad('/cursor', 'not a cursor');
    request.log.error({ event: 'history_failed', err: error }, 'the history could not be read');
    throw new Refused('history_unavailable');
  }
}

interface Scope {
  site?: string | undefined;
  station?: string | undefined;
  charger?: string | undefined;
}

/** The site that a question is about; null: none was named. Throws {@link Refused} for what does not exist. */
function siteOf(grid: Grid, { site, station, charger }: Scope): string | null {
  const named = [site, station, charger].filter((id) => id !== undefined);
  if (named.length > 1) throw bad('', 'name one of site, station and charger');
  if (site !== undefined && grid.site(site) === undefined) throw new Refused('unknown_site', { site });
  if (site !== undefined) return site;
  if (station !== undefined) {
    const found = grid.station(station);
    if (found === undefined) throw new Refused('unknown_station', { station });
    return found.context.site;
  }
  if (charger === undefined) return null;
  const found = grid.charger(charger);
  if (found === undefined) throw new Refused('unknown_charger', { charger });
  return found.context.site;
}

export function historyRoutes(app: ApiScope, grid: Grid, history: GridHistory): void {
  app.get(
    '/api/loads',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['history'],
        summary: 'Load of a site or station over any range, gathered to a number of points',
        querystring: LoadsQuery,
        response: { 200: ref(LoadsReply), ...failures },
      },
    },
    async (request) => {
      const { node, from, to, points = 500 } = request.query;
      checkRange(from, to);
      if (grid.site(node) === undefined && grid.station(node) === undefined)
        throw new Refused('unknown_entity', { kind: 'node', id: node });
      const loads = await asked(request, () => history.loads({ node, from, to, points }));
      return { now: app.now(), node, ...loads };
    },
  );

  app.get(
    '/api/consumption',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['history'],
        summary: 'Energy that sessions took by hour or day, running ones included',
        querystring: ConsumptionQuery,
        response: { 200: ref(ConsumptionReply), ...failures },
      },
    },
    async (request) => {
      const { from, to, step, ...scope } = request.query;
      checkRange(from, to);
      const site = siteOf(grid, scope);
      if (site === null) throw bad('', 'name one of site, station and charger');
      if ((to - from) / stepMs[step] > consumptionStepsMax)
        throw bad('/from', `at most ${consumptionStepsMax} steps; ask by day, or for a shorter range`);
      const zone = grid.site(site)?.context.timeZone ?? 'UTC';
      const rows = await asked(request, () => history.consumption({ ...scope, from, to, step, zone }));
      return { now: app.now(), rows };
    },
  );

  app.get(
    '/api/sessions',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['history'],
        summary: 'Sessions, running ones included',
        querystring: SessionsQuery,
        response: { 200: ref(SessionsReply), ...failures },
      },
    },
    async (request) => {
      const { from, to } = request.query;
      checkRange(from, to);
      siteOf(grid, request.query);
      const { rows, next } = await asked(request, () => history.sessions(request.query));
      return { now: app.now(), rows: rows.map((row) => ({ ...row, tag: maskTag(row.tag) })), next };
    },
  );

  app.get(
    '/api/chargers/:id/messages',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['history'],
        summary: 'What went over a charger’s sockets, kept for 90 days',
        params: ChargerParams,
        querystring: MessagesQuery,
        response: { 200: ref(MessagesReply), ...failures },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { from, to } = request.query;
      checkRange(from, to);
      if (grid.charger(id) === undefined) throw new Refused('unknown_charger', { charger: id });
      const page = await asked(request, () => history.messages({ charger: id, ...request.query }));
      return { now: app.now(), ...page };
    },
  );
}
