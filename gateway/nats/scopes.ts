/** What each integrator may do, as the operator's file says now. */
import type { Logger } from 'pino';
import type { Config } from '#engine/config/config';
import type { IntegratorScope } from '#engine/log/mod';
import { integratorScopes, watchIntegrators } from '#engine/supervisor/integrators';

export interface Scopes {
  of(user: string): IntegratorScope | undefined;
  close(): void;
}

/** Fixed ones. */
export function scopesOf(scopes: readonly IntegratorScope[]): Scopes {
  const byUser = new Map(scopes.map((scope) => [scope.user, scope]));
  return { of: (user) => byUser.get(user), close: () => undefined };
}

/** Follows the file; one that is damaged changes nothing. @throws ConfigError when it is damaged already */
export function followScopes(config: Pick<Config, 'demo' | 'dataDir'>, log: Pick<Logger, 'info' | 'warn'>): Scopes {
  // Watched before it is read: a change in between is read twice, and not missed.
  const stop = watchIntegrators(config.dataDir, () => {
    try {
      present = scopesOf(integratorScopes(config));
      log.info({ event: 'integrators_changed' }, 'integrators changed');
    } catch (error) {
      log.warn({ event: 'integrators_unreadable', err: error }, 'integrators stay as they were');
    }
  });
  let present: Scopes;
  try {
    present = scopesOf(integratorScopes(config));
  } catch (error) {
    stop();
    throw error;
  }
  return { of: (user) => present.of(user), close: stop };
}

export const mayCommand = ({ customers }: IntegratorScope, customer: string): boolean =>
  customers === 'all' || customers.includes(customer);
