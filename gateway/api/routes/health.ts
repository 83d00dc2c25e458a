/** GET /health/live, /health/ready: for supervisors and load balancers; no sign-in. */
import { ref } from '../../schema/ref.ts';
import { Alive, Ready, type ReadyChecks } from '../../schema/health.ts';
import { checkAll, type Probe } from '#engine/telemetry/health';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

export type Probes = Record<keyof ReadyChecks, Probe>;

export function healthRoutes(app: ApiScope, probes: Probes): void {
  app.get(
    '/health/live',
    {
      schema: { tags: ['health'], summary: 'The process answers', response: { 200: ref(Alive) } },
    },
    async () => ({ ok: true as const, now: app.now() }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        tags: ['health'],
        summary: 'It can serve: stores, projection and engine are there',
        response: { 200: ref(Ready), ...failures },
      },
    },
    async () => {
      const { ok, checks } = await checkAll(probes);
      if (!ok) throw new Refused('starting', { checks });
      return { ok: true as const, now: app.now(), checks };
    },
  );
}
