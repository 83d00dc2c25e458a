/** CPU and memory of processes, and of those with all that they started, between two moments. */
import { readdirSync, readFileSync } from 'node:fs';
import { cpuUs, rssKib } from '../lib/process_cpu.ts';

const lookEveryMs = 2_000;

/** What /proc says of a process that may be gone already. */
function ofLiving(read: (pid: number) => number, pid: number): number {
  try {
    return read(pid);
  } catch {
    return 0;
  }
}

/** The process and everything below it. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = ofLiving((pid) => Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]), +name);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Memory of its own and its share of what it has in common with others, KiB: can be added up over a browser's processes. */
const pssKib = (pid: number) =>
  Number(/\nPss:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);

export interface Use {
  /** Of one core. */
  cpuPercent: number;
  startMib: number;
  endMib: number;
}

/** Begins to measure; `end` gives the figures by name. `trees` are counted with everything that they started. */
export function measureUse(pids: Record<string, number>, trees: Record<string, number>) {
  const startedAt = performance.now();
  const groups = () => ({
    ...Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, [pid]])),
    ...Object.fromEntries(Object.entries(trees).map(([name, pid]) => [name, treeOf(pid)])),
  });
  const mib = (name: string, members: number[]) =>
    members.reduce((sum, pid) => sum + ofLiving(name in trees ? pssKib : rssKib, pid), 0) / 1_024;
  /** CPU time of each process seen, by group: those that end meanwhile keep what they had used. */
  const used = new Map<string, Map<number, number>>();
  const look = () => {
    const now = groups();
    for (const [name, members] of Object.entries(now)) {
      const group = used.get(name) ?? new Map<number, number>();
      used.set(name, group);
      for (const pid of members) group.set(pid, Math.max(group.get(pid) ?? 0, ofLiving(cpuUs, pid)));
    }
    return now;
  };
  const sum = (name: string) => [...(used.get(name)?.values() ?? [])].reduce((a, b) => a + b, 0);

  const first = look();
  const before = Object.fromEntries(
    Object.entries(first).map(([name, members]) => [name, { us: sum(name), mib: mib(name, members) }]),
  );
  const timer = setInterval(look, lookEveryMs);
  return {
    end(): Record<string, Use> {
      clearInterval(timer);
      const last = look();
      const elapsedUs = (performance.now() - startedAt) * 1_000;
      return Object.fromEntries(
        Object.entries(last).map(([name, members]): [string, Use] => [
          name,
          {
            cpuPercent: ((sum(name) - before[name]!.us) / elapsedUs) * 100,
            startMib: before[name]!.mib,
            endMib: mib(name, members),
          },
        ]),
      );
    },
  };
}
