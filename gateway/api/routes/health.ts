/** GET /health/live, /health/ready: for supervisors and load balancers; no sign-in. */
import { ref } from '../../schema/ref.ts';
import { Alive, Ready, type ReadyChecks } from '../../schema/health.ts';
import { Refused } from '../refused.ts';
import { failures, type ApiScope } from '../scope.ts';

/** Each resolves when its part works and rejects with the reason when it does not. */
export type Probes = Record<keyof ReadyChecks, () => Promise<void>>;

const probeTimeoutMs = 2_000;

async function check(probe: () => Promise<void>): Promise<{ ok: boolean; reason?: string }> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      probe(),
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${probeTimeoutMs} ms`)), probeTimeoutMs);
      }),
    ]);
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

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
      const names = Object.keys(probes) as (keyof ReadyChecks)[];
      const results = await Promise.all(names.map((name) => check(probes[name])));
      const checks = Object.fromEntries(names.map((name, i) => [name, results[i]])) as ReadyChecks;
      if (results.some(({ ok }) => !ok)) throw new Refused('starting', { checks });
      return { ok: true as const, now: app.now(), checks };
    },
  );
}
