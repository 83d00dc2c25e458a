/** Spans over OTLP/HTTP. Imported only when an address is set; see tracer.ts. */
import { ROOT_CONTEXT, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Tracer } from './tracer.ts';

/** Spans that wait for the collector; beyond it they are thrown away. */
const waitingMax = 2_048;
const sendEveryMs = 1_000;
const sendMsMax = 5_000;
const closeMs = 2_000;

const parent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;

/** @param ratio share of frames that are followed, 0 to 1 */
export function otlpTracer(url: string, ratio: number, role: string): Tracer {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: sendMsMax });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.namespace': 'gridtick', 'service.name': role }),
    // Drawn here, once per frame, before anything is made for it.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: waitingMax, scheduledDelayMillis: sendEveryMs })],
  });
  const tracer = provider.getTracer('gridtick');
  return {
    begin(name, startTime, attributes) {
      if (Math.random() >= ratio) return null;
      const options = { root: true, kind: SpanKind.PRODUCER, startTime, attributes };
      const span = tracer.startSpan(name, options, ROOT_CONTEXT);
      const { traceId, spanId } = span.spanContext();
      return { context: `00-${traceId}-${spanId}-01`, end: (atMs) => span.end(atMs) };
    },
    span(context, name, startTime, endMs, attributes) {
      const [, traceId, spanId] = parent.exec(context) ?? [];
      if (traceId === undefined || spanId === undefined) return;
      const above = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
      tracer
        .startSpan(name, { startTime, attributes }, trace.setSpanContext(ROOT_CONTEXT, above))
        .end(Math.max(startTime, endMs));
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        provider.shutdown().catch(() => undefined),
        new Promise((resolve) => (timer = setTimeout(resolve, closeMs))),
      ]);
      clearTimeout(timer);
    },
  };
}
