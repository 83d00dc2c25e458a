/** `gridtick ps`: what runs on a data directory, and who owns which partition. */
import { existsSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, type Config } from '../config/config.ts';
import { readEndpoints, runningNatsUrl } from '../supervisor/endpoints.ts';
import { withRunningLog } from '../supervisor/log_access.ts';
import { PidFile } from '../supervisor/pid_file.ts';
import { usageOf } from '../supervisor/processes.ts';
import { argumentsOf, jsonLine, tableOf, type Screen } from './command.ts';
import { standingsOf, type PartitionStanding } from './standing.ts';

export const psUsage = `gridtick ps [--json]
  processes of the installation on GRIDTICK_DATA_DIR with state, CPU, memory and restarts, and every partition with its
  owner, epoch, newest record and offset: exit code 0 = all of it runs, 1 = something does not`;

interface PartUsage {
  role: string;
  pid: number | null;
  state: 'runs' | 'stopped' | 'restarting';
  /** Share of one core over the last half second, and since its start. */
  cpuPercent: number;
  cpuPercentMean: number;
  rssBytes: number;
  upMs: number;
  restarts: number | null;
}

const sampleMs = 500;

export async function psCommand(config: Config, args: readonly string[], { say }: Screen): Promise<0 | 1> {
  const { values, words } = argumentsOf(args, { json: { type: 'boolean' } }, psUsage);
  if (words.length > 0) throw new ConfigError(psUsage);
  const isLocal = config.natsUrl === '' && existsSync(config.dataDir);
  const parts = isLocal ? await partsOf(realpathSync(config.dataDir)) : [];
  const serves = config.natsUrl !== '' || runningNatsUrl(config) !== null;
  const metrics = isLocal && serves ? readEndpoints(config.dataDir).metrics : null;
  const partitions = serves
    ? await withRunningLog(config, 'ps', ({ nc, partitions: count }) => standingsOf(nc, count))
    : [];
  const healthy = serves && parts.every(({ state }) => state === 'runs') && partitions.every(({ engine }) => engine);
  const exitCode = healthy ? 0 : 1;
  if (values.json) say(jsonLine({ exitCode, serves, metrics, parts, partitions }));
  else {
    for (const line of linesOf(config.dataDir, serves, parts, partitions)) say(line);
    if (metrics !== null) say(`\nmetrics ${metrics}`);
  }
  return exitCode;
}

async function partsOf(dataDir: string): Promise<PartUsage[]> {
  const parts = PidFile.parts(dataDir);
  const before = parts.map(({ pid }) => (pid === null ? null : usageOf(pid)));
  const started = performance.now();
  if (parts.length > 0) await sleep(sampleMs);
  const elapsedMs = performance.now() - started;
  return parts.map(({ role, pid, restarts }, i): PartUsage => {
    const now = pid === null ? null : usageOf(pid);
    if (now === null)
      return { role, pid: null, state: 'restarting', cpuPercent: 0, cpuPercentMean: 0, rssBytes: 0, upMs: 0, restarts };
    const percent = (cpuMs: number, ofMs: number) => (ofMs > 0 ? Math.round((1_000 * cpuMs) / ofMs) / 10 : 0);
    return {
      role,
      pid,
      state: now.state === 'T' || now.state === 't' ? 'stopped' : 'runs',
      cpuPercent: percent(now.cpuMs - (before[i]?.cpuMs ?? now.cpuMs), elapsedMs),
      cpuPercentMean: percent(now.cpuMs, now.upMs),
      rssBytes: now.rssBytes,
      upMs: Math.round(now.upMs),
      restarts,
    };
  });
}

function* linesOf(
  dataDir: string,
  serves: boolean,
  parts: readonly PartUsage[],
  partitions: readonly PartitionStanding[],
): Generator<string> {
  if (parts.length > 0) {
    const rows = parts.map((part) => [
      part.role,
      part.pid ?? '–',
      part.state,
      part.cpuPercent.toFixed(1),
      part.cpuPercentMean.toFixed(1),
      Math.round(part.rssBytes / 1_048_576),
      duration(part.upMs),
      part.restarts ?? '–',
    ]);
    yield* tableOf(['part', 'pid', 'state', 'cpu %', 'mean %', 'MiB', 'up', 'restarts'], rows);
  }
  if (!serves) {
    yield parts.length > 0 ? 'it is starting or stopping' : `nothing runs on ${dataDir}`;
    return;
  }
  if (parts.length > 0) yield '';
  const rows = partitions.map((p) => [p.partition, p.engine ?? 'nobody', p.owner ?? '–', p.epoch, p.record, p.offset]);
  yield* tableOf(['partition', 'engine', 'owner', 'epoch', 'record', 'offset'], rows);
}

function duration(ms: number): string {
  const s = Math.floor(ms / 1_000);
  const [days, hours, minutes] = [Math.floor(s / 86_400), Math.floor(s / 3_600) % 24, Math.floor(s / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${s % 60} s` : `${s} s`;
}
