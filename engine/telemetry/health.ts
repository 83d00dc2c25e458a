/** Whether a process can do its work: a probe per part it needs, each with its own time limit. */

/** Resolves when its part works and rejects with the reason when it does not. */
export type Probe = () => Promise<void>;
export type Probes = Readonly<Record<string, Probe>>;

/** One part; `reason` is for operators, not for screens. */
export interface Check {
  ok: boolean;
  reason?: string;
}

const probeTimeoutMs = 2_000;

async function check(probe: Probe): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      probe(),
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${probeTimeoutMs} ms`)), probeTimeoutMs);
      }),
    ]);
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Asks all at once; answers within 2 s. */
export async function checkAll<Name extends string>(
  probes: Readonly<Record<Name, Probe>>,
): Promise<{ ok: boolean; checks: Record<Name, Check> }> {
  const names = Object.keys(probes) as Name[];
  const results = await Promise.all(names.map((name) => check(probes[name])));
  const checks = Object.fromEntries(names.map((name, i) => [name, results[i]])) as Record<Name, Check>;
  return { ok: results.every(({ ok }) => ok), checks };
}
