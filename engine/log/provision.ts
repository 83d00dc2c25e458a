/** Creates what is missing, checks what exists; a difference is an error that names stream and field. */
import type { NatsConnection } from '@nats-io/transport-node';
import { apiCode, hasCode, jsApi } from './api.ts';
import { ProvisionDifference } from './errors.ts';
import { publicKinds, streamTable, type LogSize, type PublicKind, type StreamDefinition } from './streams.ts';
import { stream } from './subjects.ts';

const hints: Record<string, string> = {
  max_bytes: 'a data directory keeps its size: set GRIDTICK_LOG_SCALE as it was',
  num_replicas: 'change the replicas of existing streams with the nats tool',
};

/** Creates or checks all streams. Throws {@link ProvisionDifference} and leaves the stream as it is. */
export async function provision(nc: NatsConnection, size: LogSize): Promise<void> {
  await inTurns(streamTable(size), (definition) => provisionStream(nc, definition));
}

async function provisionStream(nc: NatsConnection, wanted: StreamDefinition): Promise<void> {
  const name = `stream ${wanted.name}`;
  try {
    const { config } = await jsApi<{ config: Record<string, unknown> }>(nc, `STREAM.INFO.${wanted.name}`);
    compare(name, { ...wanted }, config);
    // A foreign republish or mirror changes what subscribers see; absent in the table means absent.
    for (const field of ['republish', 'mirror', 'sources', 'sealed'] as const) {
      if (!(field in wanted) && config[field]) throw new ProvisionDifference(name, field, undefined, config[field]);
    }
  } catch (error) {
    if (!hasCode(error, apiCode.streamNotFound)) throw error;
    await jsApi(nc, `STREAM.CREATE.${wanted.name}`, wanted);
  }
}

/** Name of an integrator's durable consumer on a public stream. */
export const integratorConsumer = (user: string): string => {
  if (!/^[\w-]+$/.test(user)) throw new Error(`illegal integrator name: '${user}'`);
  return `integrator-${user}`;
};

/**
 * One durable pull consumer per public stream for an integrator: deliver all, ack none. The server moves its position, so
 * each message is handed out once; live subscribers use the republished subjects.
 */
export async function provisionIntegrator(
  nc: NatsConnection,
  { user, kinds = publicKinds }: { user: string; kinds?: readonly PublicKind[] },
): Promise<void> {
  const durable = integratorConsumer(user);
  await inTurns([...kinds], async (kind) => {
    const name = stream.public(kind);
    const wanted = {
      durable_name: durable,
      deliver_policy: 'all',
      ack_policy: 'none',
      replay_policy: 'instant',
      filter_subject: `pub.${kind}.>`,
      max_waiting: 64,
      // One pull may not ask for more than a client's buffers would hold.
      max_batch: 4_096,
    };
    try {
      const { config } = await jsApi<{ config: Record<string, unknown> }>(nc, `CONSUMER.INFO.${name}.${durable}`);
      compare(`consumer ${durable} of ${name}`, wanted, config);
    } catch (error) {
      if (!hasCode(error, apiCode.consumerNotFound)) throw error;
      await jsApi(nc, `CONSUMER.DURABLE.CREATE.${name}.${durable}`, { stream_name: name, config: wanted });
    }
  });
}

function compare(subjectOf: string, wanted: Record<string, unknown>, found: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(wanted)) {
    const other = found[field] ?? (value === false ? false : value === 0 ? 0 : undefined);
    if (!same(value, other)) throw new ProvisionDifference(subjectOf, field, value, other, hints[field]);
  }
}

/** Equality of JSON values; objects may have more fields than wanted when those are false. */
function same(wanted: unknown, found: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(found) && wanted.length === found.length && wanted.every((v, i) => same(v, found[i]));
  if (wanted !== null && typeof wanted === 'object') {
    if (found === null || typeof found !== 'object') return false;
    const other = found as Record<string, unknown>;
    const own = wanted as Record<string, unknown>;
    return Object.keys({ ...own, ...other }).every((k) => same(own[k], other[k]) || (!(k in own) && !other[k]));
  }
  return wanted === found;
}

/** A few requests at a time: a fresh server creates some fifty streams within a second or two. */
async function inTurns<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item);
    }),
  );
}
