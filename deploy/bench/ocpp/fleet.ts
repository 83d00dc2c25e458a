/** The chargers of the benchmark: registered through the door like any others, waited for until each may connect. */
import type { Redis } from 'ioredis';
import { chargerAddress, nameAddress, nameId, partitionOf, siteAddress, stationAddress, tagAddress } from '#actors/mod';
import type { Door, DoorCommand } from '#engine/log/mod';
import { lookup, projectedId } from '#engine/projections/mod';

export const tag = 'BENCH-TAG';
export const identityOf = (n: number): string => `BENCH-${String(n).padStart(4, '0')}`;
const site = 'bench';
const chargersPerStation = 100;
/** Messages come a hundred times as often as in life, and so do their watt-hours: the registers must stay believable. */
const ratedW = 350_000;
const confirmMs = 60_000;

/** Site `bench`, a station per 100 chargers, one tag. Resolves when all of it is projected and can be used. */
export async function registerFleet(door: Door, redis: Redis, chargers: number): Promise<void> {
  const id = 'bench:1';
  const send = async (command: Omit<DoorCommand, 'id'>) => {
    const result = await door.request({ id, ...command, timeoutMs: confirmMs });
    if (!result.ok) throw new Error(`${command.type} of ${command.to.id}: ${result.code}`);
  };
  const stationOf = (n: number) => `bench-${Math.ceil(n / chargersPerStation)}`;
  const numbers = Array.from({ length: chargers }, (_, i) => i + 1);
  await send({
    to: siteAddress(site),
    type: 'site.create',
    body: { name: 'Bench', timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: ['127.0.0.0/8'] },
  });
  for (const station of new Set(numbers.map(stationOf))) {
    await send({
      to: stationAddress(site, station),
      type: 'station.create',
      body: { site, name: station, capacityW: chargersPerStation * ratedW, baseE5SekPerKwh: 100_000 },
    });
  }
  await send({
    to: nameAddress('tag', tag),
    type: 'tag.put',
    body: { customer: null, group: null, status: 'Accepted', expiresAt: null },
  });
  await Promise.all(
    numbers.map((n) =>
      send({
        to: chargerAddress(site, identityOf(n)),
        type: 'charger.register',
        body: { site, station: stationOf(n), ratedW, connectors: 1, securityProfile: 0, passwordHash: '' },
      }),
    ),
  );
  const deadline = Date.now() + confirmMs;
  const tagId = projectedId(tagAddress(partitionOf(site, door.partitions), tag));
  const isReady = async () => {
    if ((await lookup(redis, 'tag', tagId)) === undefined) return false;
    const names = await Promise.all(numbers.map((n) => lookup(redis, 'name', nameId('identity', identityOf(n)))));
    return names.every((name) => name?.value === 'confirmed');
  };
  while (!(await isReady())) {
    if (Date.now() > deadline) throw new Error(`the chargers are not confirmed after ${confirmMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
