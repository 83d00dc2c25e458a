/** The chargers of the benchmark: registered through the door like any others, waited for until each may connect. */
import type { Redis } from 'ioredis';
import { chargerAddress, nameAddress, nameId, partitionOf, siteAddress, stationAddress, tagAddress } from '#actors/mod';
import type { Door, DoorCommand } from '#engine/log/mod';
import { lookup, projectedId } from '#engine/projections/mod';

export const tag = 'BENCH-TAG';
export const identityOf = (n: number): string => `BENCH-${String(n).padStart(4, '0')}`;
const confirmMs = 60_000;

export interface Layout {
  chargersPerSite: number;
  chargersPerStation: number;
  /** Of a charger; its station has as much capacity as all of its chargers. */
  ratedW: number;
}
/** Messages come a hundred times as often as in life, and so do their watt-hours: the registers must stay believable. */
const oneSite: Layout = { chargersPerSite: Infinity, chargersPerStation: 100, ratedW: 350_000 };

/** The site of charger `n`, which counts from 1. */
export const siteOf = (n: number, { chargersPerSite }: Layout): string =>
  `bench-${1 + Math.floor((n - 1) / chargersPerSite)}`;
const stationOf = (n: number, layout: Layout) =>
  `${siteOf(n, layout)}-${1 + Math.floor((n - 1) / layout.chargersPerStation)}`;

/** Sites, their stations and chargers, one tag. Resolves when all of it is projected and can be used. */
export async function registerFleet(
  door: Door,
  redis: Redis,
  chargers: number,
  layout: Layout = oneSite,
): Promise<void> {
  const id = 'bench:1';
  const send = async (command: Omit<DoorCommand, 'id'>) => {
    const result = await door.request({ id, ...command, timeoutMs: confirmMs });
    if (!result.ok) throw new Error(`${command.type} of ${command.to.id}: ${result.code}`);
  };
  const numbers = Array.from({ length: chargers }, (_, i) => i + 1);
  const sites = [...new Set(numbers.map((n) => siteOf(n, layout)))];
  for (const site of sites) {
    await send({
      to: siteAddress(site),
      type: 'site.create',
      body: { name: site, timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: ['127.0.0.0/8'] },
    });
  }
  const siteOfStation = new Map(numbers.map((n) => [stationOf(n, layout), siteOf(n, layout)]));
  for (const [station, site] of siteOfStation) {
    const capacityW = layout.chargersPerStation * layout.ratedW;
    await send({
      to: stationAddress(site, station),
      type: 'station.create',
      body: { site, name: station, capacityW, baseE5SekPerKwh: 100_000 },
    });
  }
  await send({
    to: nameAddress('tag', tag),
    type: 'tag.put',
    body: { customer: null, group: null, status: 'Accepted', expiresAt: null },
  });
  await Promise.all(
    numbers.map((n) => {
      const [site, station] = [siteOf(n, layout), stationOf(n, layout)];
      return send({
        to: chargerAddress(site, identityOf(n)),
        type: 'charger.register',
        body: { site, station, ratedW: layout.ratedW, connectors: 1, securityProfile: 0, passwordHash: '' },
      });
    }),
  );
  const deadline = Date.now() + confirmMs;
  const partitions = new Set(sites.map((site) => partitionOf(site, door.partitions)));
  const isReady = async () => {
    for (const partition of partitions)
      if ((await lookup(redis, 'tag', projectedId(tagAddress(partition, tag)))) === undefined) return false;
    const names = await Promise.all(numbers.map((n) => lookup(redis, 'name', nameId('identity', identityOf(n)))));
    return names.every((name) => name?.value === 'confirmed');
  };
  while (!(await isReady())) {
    if (Date.now() > deadline) throw new Error(`the chargers are not confirmed after ${confirmMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
