/** Requests by route, method and status: bounded by the routes there are. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Sample } from '#engine/telemetry/registry';
import type { ApiScope } from './scope.ts';

type Labels = 'method' | 'route' | 'status';

export class HttpCounts {
  inFlight = 0;
  readonly #requests = new Map<string, { labels: Record<Labels, string>; n: number }>();

  /** Counts what `app` answers from now on. */
  follow(app: Pick<ApiScope, 'addHook'>): void {
    const begun = new WeakSet<FastifyRequest>();
    app.addHook('onRequest', async (request: FastifyRequest) => {
      begun.add(request);
      this.inFlight += 1;
    });
    const over = async (request: FastifyRequest) => {
      if (begun.delete(request)) this.inFlight -= 1;
    };
    app.addHook('onRequestAbort', over);
    app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
      await over(request);
      this.#count(request, reply.statusCode);
    });
  }

  get requests(): Sample<Labels>[] {
    return [...this.#requests.values()].map(({ labels, n }) => [labels, n]);
  }

  #count({ method, routeOptions }: FastifyRequest, statusCode: number): void {
    // A path that is none is whatever its sender made up.
    const labels = { method, route: routeOptions.url ?? 'none', status: String(statusCode) };
    const name = `${method} ${labels.route} ${statusCode}`;
    const counted = this.#requests.get(name);
    if (counted) counted.n += 1;
    else this.#requests.set(name, { labels, n: 1 });
  }
}
