/** The NATS edge of a gateway. */
import type { Config } from '#engine/config/config';
import { natsJournal } from '#engine/projections/journal';
import { defaultLimits } from './limits.ts';
import { journalOutcomes } from './outcome.ts';
import { followScopes } from './scopes.ts';
import { startNatsDoor, type NatsDoor, type NatsDoorOptions } from './server.ts';

export type { NatsDoor, NatsDoorStats } from './server.ts';

export interface StartNatsOptions extends Pick<NatsDoorOptions, 'nats' | 'door' | 'log' | 'desk'> {
  config: Pick<Config, 'demo' | 'dataDir'>;
}

const tellEveryMs = 60_000;

/**
 * Answers `in.>` until `close`; what it has counted goes into the log once a minute, when there was anything.
 * @throws ConfigError when the file of integrators is damaged
 */
export async function startNats({ nats, door, log, config, desk }: StartNatsOptions): Promise<NatsDoor> {
  const served = await startNatsDoor({
    nats,
    door,
    log,
    ...(desk && { desk }),
    scopes: followScopes(config, log),
    outcomes: journalOutcomes(natsJournal(nats, door.partitions), defaultLimits.lookUpsMax),
  });
  let told = 0;
  const telling = setInterval(() => {
    const { inWork, counters } = served.stats();
    if (counters.requests !== told) log.info({ event: 'nats_door', inWork, ...counters }, 'commands of integrators');
    told = counters.requests;
  }, tellEveryMs);
  telling.unref();
  return {
    stats: () => served.stats(),
    close() {
      clearInterval(telling);
      return served.close();
    },
  };
}
