import { expect, test } from 'vitest';
import { compileDomain } from '../partition/catalogue.ts';
import { PartitionOwner } from '../partition/owner.ts';
import { Bench } from '../partition/testing.ts';
import { Life } from '../simulation/life.ts';
import { accountAddress, tallyDomain } from '../simulation/tally.ts';
import { engineMeters } from './engine_meters.ts';
import { openRegistry, type Registry } from './registry.ts';

/** Values by name and labels, as a scrape shows them. */
async function scrape(registry: Registry): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('gridtick_'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

const add = (id: string | null) => ({ type: 'add', to: accountAddress('a'), body: { amount: 5 }, id });

test('a scrape tells records, commands in them, duplicates, and where the partition is', async () => {
  const registry = openRegistry();
  let owned = new Map<number, PartitionOwner>();
  const meters = engineMeters(registry, () => ({ owned, unserved: new Map() }));
  const bench = await new Bench(tallyDomain, meters.owner).start();
  owned = new Map([[0, bench.owner]]);
  await bench.send(add('x'), add('x'), add(null));
  await bench.send(add('x'));
  // The same frame again, as a writer does that has missed the acknowledgement.
  bench.store({
    kind: 'commands',
    writer: 'door',
    first: 4,
    commands: [{ ...add(null), reply: null, deadline: 0, correlation: null }],
  });
  await bench.idle(1_000);
  const { offset, sequence } = bench.owner.committed;
  expect(await scrape(registry)).toMatchObject({
    gridtick_record_commands_sum: 4,
    'gridtick_duplicates_total{by="command_id"}': 2,
    'gridtick_duplicates_total{by="writer"}': 1,
    'gridtick_partition_epoch{partition="0"}': 1,
    'gridtick_partition_record{partition="0"}': sequence,
    'gridtick_partition_lag_messages{partition="0"}': 0,
    'gridtick_partition_lag_seconds{partition="0"}': 0,
    'gridtick_partition_entities{partition="0"}': 1,
    gridtick_appends_refused_total: 0,
  });
  expect(offset).toBe(bench.owner.logEnd);
  const told = await scrape(registry);
  // Each record but the one of the epoch.
  expect(told['gridtick_commit_seconds_count']).toBe(sequence - 1);
  expect(told['gridtick_commit_seconds_sum']).toBeGreaterThan(0);
  expect(told['gridtick_record_bytes_sum']).toBeGreaterThan(100);
});

test('what a fence refuses is counted, and a partition that is gone is not told any more', async () => {
  const registry = openRegistry();
  let owned = new Map<number, PartitionOwner>();
  const meters = engineMeters(registry, () => ({ owned, unserved: new Map() }));
  const bench = await new Bench(tallyDomain, meters.owner).start();
  owned = new Map([[0, bench.owner]]);
  expect(await scrape(registry)).toHaveProperty('gridtick_partition_epoch{partition="0"}', 1);
  const second = new PartitionOwner({
    partition: 0,
    partitions: 1,
    build: 'test',
    catalogue: compileDomain(tallyDomain),
    ports: bench.log.ports(0, new Life(), () => {}),
    onFailed: (error) => bench.failures.push(error),
  });
  let begun = false;
  void second.start().then(() => (begun = true));
  await bench.world.run(5_000, () => begun);
  await bench.send(add(null));
  expect(bench.failures).toMatchObject([{ name: 'Superseded' }]);
  owned = new Map();
  const told = await scrape(registry);
  expect(told['gridtick_appends_refused_total']).toBeGreaterThan(0);
  expect(told).not.toHaveProperty('gridtick_partition_epoch{partition="0"}');
});

test('how late a timer came is told by the clock of the log', async () => {
  const registry = openRegistry();
  const meters = engineMeters(registry, () => ({
    owned: new Map(),
    unserved: new Map([[3, { code: 'log_damaged' }]]),
  }));
  meters.owner.committed({ commands: 0, known: 0, resent: 0, timerLateMs: 1_500 }, 300, 4);
  meters.owner.committed({ commands: 3, known: 0, resent: 0, timerLateMs: -1 }, 300, 4);
  expect(await scrape(registry)).toMatchObject({
    gridtick_timer_late_seconds_count: 1,
    'gridtick_timer_late_seconds_bucket{le="1"}': 0,
    'gridtick_timer_late_seconds_bucket{le="2"}': 1,
    'gridtick_commit_seconds_bucket{le="0.005"}': 2,
    'gridtick_record_commands_bucket{le="0"}': 1,
    'gridtick_partition_unserved{partition="3",code="log_damaged"}': 1,
  });
});
