/**
 * `npm run bench -- slots [--customers 10000] [--stations 100] [--seconds 60]`: battery slots every 5 s for all customers and
 * price slots every 12 s for all stations, with engine, history and gateway running. Lateness is the store time of the journal record that
 * holds a sample against the moment it was due; "outside" is the arrival at a subscriber of the public subjects.
 * Ends with 1 when a sample is missing or doubled, or a gate is missed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { customerAddress, siteAddress, stationAddress } from '#actors/mod';
import type { Battery, Price } from '#actors/schema/events';
import { loadConfig } from '#engine/config/config';
import { connectLog, journalBounds, openDoor, tailJournalBatches, type DoorCommand } from '#engine/log/mod';
import { startInstallation, type Installation } from '#engine/supervisor/installation';
import { natsUrl } from '#engine/supervisor/parts';
import { Latencies } from './lib/latencies.ts';
import { cpuUs, hardware } from './lib/process_cpu.ts';

const { values: args } = parseArgs({
  options: {
    customers: { type: 'string', default: '10000' },
    stations: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
  },
});
const [customers, stations, seconds] = [args.customers, args.stations, args.seconds].map(Number) as [
  number,
  number,
  number,
];
const stationsPerSite = 5;
const lateGateMs = 100;
const coreGatePercent = 30;
const everyMs = { battery: 5_000, price: 12_000 };
type Kind = keyof typeof everyMs;

const say = (line: string) => process.stdout.write(`${line}\n`);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-bench-'));
const anyPort = Object.fromEntries(
  ['HTTP', 'OCPP', 'NATS', 'REDIS', 'CLICKHOUSE'].map((p) => [`GRIDTICK_${p}_PORT`, '0']),
);
const config = loadConfig({
  ...anyPort,
  GRIDTICK_DATA_DIR: dataDir,
  GRIDTICK_DEMO: 'false',
  GRIDTICK_LOG_LEVEL: 'warn',
});
const { partitions } = config;

/** What was seen of one kind: how late, and each (who, slot) once. */
class Seen {
  readonly late = new Latencies();
  readonly bySlot = new Map<number, Set<string>>();
  doubled = 0;
  add(who: string, slot: number, dueAt: number, at: number) {
    let slotSeen = this.bySlot.get(slot);
    if (!slotSeen) this.bySlot.set(slot, (slotSeen = new Set()));
    if (slotSeen.has(who)) this.doubled += 1;
    slotSeen.add(who);
    this.late.add(at - dueAt);
  }
}

async function populate(installation: Installation): Promise<void> {
  const nc = await connectLog(natsUrl(installation.place), 'bench');
  const door = await openDoor(nc, { name: 'bench', partitions: partitions });
  const send = async (command: Omit<DoorCommand, 'id'>) => {
    const result = await door.request({ id: 'bench:1', ...command, timeoutMs: 60_000 });
    if (!result.ok) throw new Error(`${command.type} of ${command.to.id}: ${result.code}`);
  };
  for (let n = 0; n < stations; n++) {
    const site = `site-${Math.floor(n / stationsPerSite)}`;
    if (n % stationsPerSite === 0) {
      const body = { name: site, timeZone: 'Europe/Stockholm', capacityW: null, profile0Networks: [] };
      await send({ to: siteAddress(site), type: 'site.create', body });
    }
    const body = { site, name: `st-${n}`, capacityW: 138_000, baseE5SekPerKwh: 100_000 };
    await send({ to: stationAddress(site, `st-${n}`), type: 'station.create', body });
  }
  const until = Date.now() + 3_600_000;
  const one = async (n: number) => {
    const to = customerAddress(`bench-${n}`);
    await send({ to, type: 'customer.open', body: { name: `Bench ${n}` } });
    const result = await door.request({
      id: 'bench:2',
      to,
      type: 'customer.present',
      body: { until },
      timeoutMs: 60_000,
    });
    if (!result.ok) throw new Error(`customer.present: ${result.code}`);
  };
  for (let n = 0; n < customers; n += 500) {
    const some = Array.from({ length: Math.min(500, customers - n) }, (_, i) => n + i);
    await Promise.all(some.map(one));
  }
  await door.close();
  await nc.close();
}

async function measure(installation: Installation): Promise<boolean> {
  const nc = await connectLog(natsUrl(installation.place), 'bench');
  const stored: Record<Kind, Seen> = { battery: new Seen(), price: new Seen() };
  const outside: Record<Kind, Seen> = { battery: new Seen(), price: new Seen() };
  const readers = await Promise.all(
    Array.from({ length: partitions }, async (_, p) =>
      tailJournalBatches(nc, p, (await journalBounds(nc, p)).last + 1, (records) => {
        for (const { at, record } of records)
          for (const { kind, payload } of record.events) {
            if (kind === 'battery') stored.battery.add(payload.customer, payload.slot, payload.at, at);
            else if (kind === 'price') stored.price.add(payload.station, payload.slot, payload.producedAt, at);
          }
      }),
    ),
  );
  const subscriptions = (['battery', 'price'] as const).map((kind) =>
    nc.subscribe(`${kind}.>`, {
      callback: (error, message) => {
        if (error) return;
        const payload = message.json<Battery & Price>();
        const [who, dueAt] =
          kind === 'battery' ? [payload.customer, payload.at] : [payload.station, payload.producedAt];
        outside[kind].add(who, payload.slot, dueAt, Date.now());
      },
    }),
  );
  const pids = installation.pids();
  const cpu = () => Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuUs(pid)]));
  // From one common border to another (60 s hold 12 battery slots and 5 price slots), a little after the samples of the first.
  await wait(60_000 - (Date.now() % 60_000) + 2_500);
  const from = Date.now() - 2_500;
  const before = cpu();
  await wait(seconds * 1_000);
  const after = cpu();
  const to = from + seconds * 1_000;
  await wait(2_500);

  const percent = (name: string) => ((after[name]! - before[name]!) / 1e6 / seconds) * 100;
  const problems: string[] = [];
  for (const kind of ['battery', 'price'] as const) {
    const wanted = kind === 'battery' ? customers : stations;
    for (const [place, seen] of [
      ['journal', stored[kind]],
      ['outside', outside[kind]],
    ] as const) {
      for (let slot = Math.ceil(from / everyMs[kind]) + 1; slot * everyMs[kind] < to; slot++) {
        const count = seen.bySlot.get(slot)?.size ?? 0;
        if (count !== wanted) problems.push(`${place}: ${count} of ${wanted} ${kind} samples in slot ${slot}`);
      }
      if (seen.doubled > 0) problems.push(`${place}: ${seen.doubled} ${kind} samples twice`);
      const { p50Ms, p99Ms, maxMs } = seen.late.report();
      say(`${kind} ${place}: late p50 ${p50Ms} p99 ${p99Ms} max ${maxMs} ms, ${seen.bySlot.size} slots`);
      if (place === 'journal' && p99Ms >= lateGateMs) problems.push(`${kind}: p99 ${p99Ms} ms`);
    }
  }
  const load = Object.keys(pids).map((name) => `${name} ${percent(name).toFixed(1)}`);
  const core = percent('engine') + percent('history');
  say(
    `CPU, % of one core: ${load.join(', ')} · engine + publisher (history) ${core.toFixed(1)} (gate ${coreGatePercent})`,
  );
  if (core >= coreGatePercent) problems.push(`engine + publisher ${core.toFixed(1)} % of a core`);
  for (const subscription of subscriptions) subscription.unsubscribe();
  for (const reader of readers) await reader.stop();
  await nc.close();
  say(problems.length === 0 ? 'all gates passed' : `missed: ${problems.slice(0, 10).join('; ')}`);
  return problems.length === 0;
}

let installation: Installation | undefined;
try {
  say(`${hardware()}, ${customers} customers present, ${stations} stations, ${seconds} s`);
  installation = await startInstallation({ config, say: (line) => process.stderr.write(`  ${line}\n`) });
  await populate(installation);
  if (!(await measure(installation))) process.exitCode = 1;
} finally {
  await installation?.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
