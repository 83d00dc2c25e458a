/**
 * Spans of single frames, from the door to the history: off unless there is an address to send them to. Who follows no frame
 * loads no tracing code, and a frame that is not followed carries nothing of it.
 */
import type { Config } from '../config/config.ts';

export type SpanAttributes = Record<string, string | number>;

/** A span that begins a trace. */
export interface RootSpan {
  /** W3C traceparent: what travels with the frame and its record. */
  context: string;
  end(atMs: number): void;
}

/** Times are unix ms. */
export interface Tracer {
  /** Draws whether a frame is followed; if so its trace begins, with a span that began at `startMs`. */
  begin(name: string, startMs: number, attributes: SpanAttributes): RootSpan | null;
  /** A span that is over, below the one that `context` tells of; contexts that are none are passed over. */
  span(context: string, name: string, startMs: number, endMs: number, attributes: SpanAttributes): void;
  /** Sends what it holds, for 2 s at most. */
  close(): Promise<void>;
}

/** @param role name of the service that the spans are of */
export async function openTracer(
  { traces, tracesRatio }: Pick<Config, 'traces' | 'tracesRatio'>,
  role: string,
): Promise<Tracer | undefined> {
  if (traces === '') return undefined;
  const { otlpTracer } = await import('./otlp_tracer.ts');
  return otlpTracer(traces, tracesRatio, role);
}
