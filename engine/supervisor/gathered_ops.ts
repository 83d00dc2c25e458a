/** One address for metrics and health of an installation: what its processes tell on ports of their own, put together. */
import type { Config } from '../config/config.ts';
import { gathered } from '../telemetry/gathered.ts';
import type { Check } from '../telemetry/health.ts';
import { openOpsDoor, type OpsDoor } from '../telemetry/ops_door.ts';
import { openRegistry, readGauge } from '../telemetry/registry.ts';

const answerMsMax = 2_500;

export class GatheredOps {
  /** Role → port of its operators' door, from its newest ready line. */
  readonly #ports = new Map<string, number>();
  readonly #registry = openRegistry();
  #serves = false;
  #up = new Map<string, boolean>();

  constructor() {
    readGauge(
      this.#registry,
      { name: 'gridtick_process_up', help: '1 = the process answered this scrape', labels: ['of'] },
      () => [...this.#up].map(([of, up]) => [{ of }, Number(up)] as const),
    );
  }

  /** @throws ConfigError when the configured port is taken */
  open(config: Config): Promise<OpsDoor> {
    return openOpsDoor({ config, metrics: () => this.#metrics(), ready: () => this.#ready() });
  }

  /** A line of a role's output; the ready line tells where it can be asked. */
  heard(role: string, line: string): void {
    if (!line.startsWith('{"ready":true')) return;
    const { metricsPort } = JSON.parse(line) as { metricsPort?: unknown };
    if (typeof metricsPort === 'number') this.#ports.set(role, metricsPort);
  }

  /** All has started. */
  serves(): void {
    this.#serves = true;
  }

  async #metrics(): Promise<string> {
    const told = await this.#ask('/metrics', async (response) => (response.ok ? response.text() : null));
    this.#up = new Map(told.map(([role, text]) => [role, text !== null]));
    const texts = told.flatMap(([role, text]) => (text === null ? [] : [[role, text] as const]));
    return gathered([['supervisor', await this.#registry.metrics()], ...texts]);
  }

  async #ready() {
    type Told = { ok: boolean; checks: Record<string, Check> };
    const told = await this.#ask('/health/ready', async (response) => (await response.json()) as Told);
    const silent: Check = { ok: false, reason: 'the process does not answer' };
    const all: [string, Told | Check][] = told.map(([role, answer]) => [role, answer ?? silent]);
    if (!this.#serves) all.unshift(['supervisor', { ok: false, reason: 'starting' }]);
    return { ok: all.every(([, { ok }]) => ok), checks: Object.fromEntries(all) };
  }

  /** Asks every process at once; null for one that does not answer in time. */
  #ask<Answer>(path: string, read: (response: Response) => Promise<Answer>): Promise<[string, Answer | null][]> {
    return Promise.all(
      [...this.#ports].map(async ([role, port]): Promise<[string, Answer | null]> => {
        try {
          const signal = AbortSignal.timeout(answerMsMax);
          return [role, await read(await fetch(`http://127.0.0.1:${port}${path}`, { signal }))];
        } catch {
          return [role, null];
        }
      }),
    );
  }
}
