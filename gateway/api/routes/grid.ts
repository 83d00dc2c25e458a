/** GET /api/sites, /api/stations/:id, /api/chargers: live state, from memory. */
import type { ChargerState } from '#actors/schema/entities';
import type { Grid, GridEntity } from '../../live/grid.ts';
import { may } from '../../auth/rights.ts';
import { encodeCursor } from '../../live/cursor.ts';
import { chargerView, connectorView, siteView, stationView } from '../../live/views.ts';
import { ref } from '../../schema/ref.ts';
import { ChargersQuery, ChargersReply, SitesReply, StationParams, StationReply } from '../../schema/replies.ts';
import { principalOf } from '../access.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

/** Where the live topics of a site stand now. */
export function cursorOf(grid: Grid, site: string): string {
  const { partition, sequence } = grid.positionOf(site);
  return encodeCursor({ partition, state: sequence, event: sequence });
}

export function gridRoutes(app: ApiScope, grid: Grid): void {
  app.get(
    '/api/sites',
    {
      config: { access: 'view_site' },
      schema: {
        tags: ['grid'],
        summary: 'All sites with their stations',
        response: { 200: ref(SitesReply), ...failures },
      },
    },
    async (request) => {
      const { roles } = principalOf(request);
      const now = app.now();
      return { now, sites: grid.sites().map((site) => siteView(grid, site, now, roles)) };
    },
  );

  app.get(
    '/api/stations/:id',
    {
      config: { access: 'view_station' },
      schema: {
        tags: ['grid'],
        summary: 'One station and its connectors',
        params: StationParams,
        response: { 200: ref(StationReply), ...failures },
      },
    },
    async (request) => {
      const station = grid.station(request.params.id);
      if (station === undefined) throw new Refused('unknown_station', { station: request.params.id });
      const now = app.now();
      const { roles } = principalOf(request);
      const chargers = may(roles, 'view_charger') ? grid.chargersOf(station.id) : [];
      const connectors = chargers.flatMap((charger) =>
        charger.context.connectors.flatMap((_, i) => connectorView(grid, charger, i + 1, now) ?? []),
      );
      return {
        now,
        cursor: cursorOf(grid, station.context.site),
        station: stationView(grid, station, now, roles),
        connectors,
      };
    },
  );

  app.get(
    '/api/chargers',
    {
      config: { access: 'view_charger' },
      schema: {
        tags: ['grid'],
        summary: 'Chargers, of one site or station if named',
        querystring: ChargersQuery,
        response: { 200: ref(ChargersReply), ...failures },
      },
    },
    async (request) => {
      const { site, station, after, limit = 200 } = request.query;
      const found = chargersOf(grid, site, station)
        .filter(({ id }) => after === undefined || id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      const page = found.slice(0, limit);
      const now = app.now();
      const { roles } = principalOf(request);
      return {
        now,
        chargers: page.map((charger) => chargerView(grid, charger, now, roles)),
        next: found.length > limit ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );
}

/** Throws {@link Refused} for a site or station that does not exist, rather than answering with none. */
function chargersOf(grid: Grid, site: string | undefined, station: string | undefined): GridEntity<ChargerState>[] {
  if (site !== undefined && grid.site(site) === undefined) throw new Refused('unknown_site', { site });
  if (station !== undefined) {
    const found = grid.station(station);
    if (found === undefined) throw new Refused('unknown_station', { station });
    return site === undefined || found.context.site === site ? grid.chargersOf(station) : [];
  }
  const sites = site === undefined ? grid.sites().map(({ id }) => id) : [site];
  return sites.flatMap((id) => grid.stationsOf(id)).flatMap(({ id }) => grid.chargersOf(id));
}
