/** Creates what is missing, checks what exists; a difference is an error that names stream and field. */
import type { NatsConnection } from '@nats-io/transport-node';
import { heardBy, type IntegratorScope } from './accounts_scope.ts';
import { apiCode, hasCode, jsApi } from './api.ts';
import { ProvisionDifference } from './errors.ts';
import { publicKinds, streamTable, type LogSize, type StreamDefinition } from './streams.ts';
import { internal } from './subjects.ts';

export { integratorConsumer } from './accounts_scope.ts';

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

/**
 * One durable pull consumer per stream an integrator hears: deliver all, ack none. The server moves its position, so each
 * message is handed out once; live subscribers use the republished subjects.
 */
export async function provisionIntegrator(
  nc: NatsConnection,
  { user, hears = [...publicKinds], customers = 'all' }: Pick<IntegratorScope, 'user'> & Partial<IntegratorScope>,
): Promise<void> {
  await inTurns(heardBy({ user, hears, customers }), async ({ stream: name, subject, consumer }) => {
    const wanted = {
      durable_name: consumer,
      deliver_policy: 'all',
      ack_policy: 'none',
      replay_policy: 'instant',
      filter_subject: internal.publicInput(subject),
      max_waiting: 64,
      // One pull may not ask for more than a client's buffers would hold.
      max_batch: 4_096,
    };
    try {
      const { config } = await jsApi<{ config: Record<string, unknown> }>(nc, `CONSUMER.INFO.${name}.${consumer}`);
      compare(`consumer ${consumer} of ${name}`, wanted, config);
    } catch (error) {
      if (!hasCode(error, apiCode.consumerNotFound)) throw error;
      await jsApi(nc, `CONSUMER.DURABLE.CREATE.${name}.${consumer}`, { stream_name: name, config: wanted });
    }
  });
}

/** Removes the consumers of an integrator that is gone, so that a later one of its name begins anew. */
export async function removeIntegrator(nc: NatsConnection, scope: IntegratorScope): Promise<void> {
  await inTurns(heardBy(scope), async ({ stream: name, consumer }) => {
    try {
      await jsApi(nc, `CONSUMER.DELETE.${name}.${consumer}`);
    } catch (error) {
      if (!hasCode(error, apiCode.consumerNotFound)) throw error;
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
