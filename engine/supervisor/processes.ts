/** What the kernel knows about processes: who is alive, and whether a number still means the same process. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Fields of /proc/<pid>/stat after the name, proc(5): [0] state, [1] parent, [19] start time; null when there is none. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, so count from its end.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/**
 * Start time of a living process, or null: boot id and clock ticks since boot. A pid alone is used again sooner or later;
 * pid and start time together are not, not even after a reboot.
 */
export function startTime(pid: number): string | null {
  const fields = statFields(pid);
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return null;
  return `${bootId()}:${fields[19]}`;
}

/** Pid of its parent; null when the process is gone. */
export function parentOf(pid: number): number | null {
  const parent = statFields(pid)?.[1];
  return parent === undefined ? null : Number(parent);
}

/** What the process calls itself, at most 15 characters; empty when it is gone. */
export function processName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

export interface Usage {
  /** Letter of proc(5): R and S work or wait, T is stopped (SIGSTOP), D waits for a disk. */
  state: string;
  /** User and system time since its start, ms. */
  cpuMs: number;
  /** Resident memory, bytes. */
  rssBytes: number;
  /** Since its start, ms. */
  upMs: number;
}

/** Linux gives times in /proc in hundredths of a second, whatever its kernel counts in. */
const tickMs = 10;

/** What a process takes; null when it is gone. */
export function usageOf(pid: number): Usage | null {
  const fields = statFields(pid);
  if (!fields) return null;
  try {
    const rssKb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    const bootedMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000;
    return {
      state: fields[0] ?? '?',
      cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
      rssBytes: Number(rssKb) * 1_024,
      upMs: Math.max(0, bootedMs - Number(fields[19]) * tickMs),
    };
  } catch {
    return null;
  }
}

let cachedBootId = '';
const bootId = () => (cachedBootId ||= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());

/** Sends a signal to a process group; false when nobody is left in it. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Ends a process group: asks, waits up to `askMs`, kills. Resolves when the process is gone. */
export async function endGroup(pid: number, askMs: number): Promise<void> {
  const started = startTime(pid);
  if (started === null) return;
  signalGroup(pid, 'SIGCONT');
  signalGroup(pid, 'SIGTERM');
  // A process that is not our child ends without telling us: there is nothing to wait on but its entry in /proc.
  const waitUntil = async (deadline: number) => {
    while (startTime(pid) === started && Date.now() < deadline) await sleep(20);
    return startTime(pid) !== started;
  };
  if (await waitUntil(Date.now() + askMs)) return;
  signalGroup(pid, 'SIGKILL');
  if (!(await waitUntil(Date.now() + 5_000))) throw new Error(`process ${pid} does not end, not even by SIGKILL`);
}
