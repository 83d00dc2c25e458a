/** The metrics of a process: Node's own, and what its parts add. */
import { collectDefaultMetrics, Counter, Gauge, Registry, type MetricObject } from 'prom-client';

export type { Registry } from 'prom-client';

/** A registry with event-loop delay, memory, collections and handles of this process. */
export function openRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** One value of a metric under its labels. */
export type Sample<Label extends string> = readonly [labels: Partial<Record<Label, string | number>>, value: number];

interface Metric<Label extends string> {
  /** In base units, by Prometheus' conventions. */
  name: MetricObject['name'];
  help: MetricObject['help'];
  labels?: readonly Label[];
}

/** Reads what somebody counts anyway, at the moment of the scrape: counting then costs no more than an addition. */
export function readGauge<Label extends string>(
  registry: Registry,
  { labels = [], ...metric }: Metric<Label>,
  read: () => Iterable<Sample<Label>> | Promise<Iterable<Sample<Label>>>,
): void {
  new Gauge<Label>({
    ...metric,
    labelNames: labels,
    registers: [registry],
    async collect() {
      const samples = await read();
      // What is no longer told is gone: a partition that was given away has no lag here.
      this.reset();
      for (const [of, value] of samples) this.set(of, value);
    },
  });
}

/** The same for what only grows. */
export function readCounter<Label extends string>(
  registry: Registry,
  { labels = [], ...metric }: Metric<Label>,
  read: () => Iterable<Sample<Label>>,
): void {
  new Counter<Label>({
    ...metric,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      for (const [of, value] of read()) this.inc(of, value);
    },
  });
}

/** Samples of a record of counts, its names under one label. */
export const byName = <Label extends string>(
  label: Label,
  counts: Readonly<Record<string, number | undefined>>,
): Sample<Label>[] =>
  Object.entries(counts).map(([name, count]) => [{ [label]: name } as Record<Label, string>, count ?? 0]);
