/** Finds a charger by its identity in the live state: the directory name first, then the charger and its site. */
import type { Redis } from 'ioredis';
import { nameId } from '#actors/addresses';
import type { ChargerState, NameState, SiteState } from '#actors/schema/entities';
import { lookup, projectionReady } from '#engine/projections/mod';
import type { Resolve } from './ocpp/mod.ts';

/** Two rounds to Redis per connection, whatever the size of the fleet. */
export function identityResolver(redis: Redis, partitions: number): Resolve {
  return async (identityFolded) => {
    const absent = async () => ((await projectionReady(redis, partitions)) ? null : ('starting' as const));
    const name = await lookup<NameState>(redis, 'name', nameId('identity', identityFolded));
    if (name?.value !== 'confirmed' || name.context.owner.kind !== 'charger') return absent();
    const { id, key: site } = name.context.owner;
    const [charger, place] = await Promise.all([
      lookup<ChargerState>(redis, 'charger', id),
      lookup<SiteState>(redis, 'site', site),
    ]);
    if (!charger || !place) return absent();
    const { station, securityProfile, passwordHash } = charger.context;
    return {
      charger: id,
      site,
      station,
      securityProfile,
      passwordHash,
      profile0Networks: place.context.profile0Networks,
    };
  };
}
