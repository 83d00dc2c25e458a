/** Real parts for tests of projections: a redis-server, and journals filled with real records. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import Type from 'typebox';
import { encodeImage } from '#actors/codec';
import type { PublicEvent } from '#actors/schema/events';
import { encodeRecord, genesisHash } from '../partition/record.ts';
import { ringPublisher } from '../log/mod.ts';
import { internal } from '../log/subjects.ts';
import { freePort } from '../log/testing.ts';
import type { EntityImage } from '../wire.ts';
import { definitionsOf, type EntityDefinition } from './entities.ts';

export interface TestRedis {
  readonly url: string;
  /** A client of its own per call; closed by `stop`. */
  client(): Redis;
  stop(): Promise<void>;
}

/** Starts redis-server on a free loopback port in a temporary directory. */
export async function startTestRedis(): Promise<TestRedis> {
  const home = await mkdtemp(join(tmpdir(), 'gridtick-redis-'));
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const onExit = () => child.kill('SIGKILL');
  process.on('exit', onExit);
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${log}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
      if (log.includes('Ready to accept connections')) resolve();
    });
  });
  child.removeAllListeners('exit');
  const clients: Redis[] = [];
  const url = `redis://127.0.0.1:${port}`;
  return {
    url,
    client() {
      const redis = new Redis(url);
      redis.on('error', () => undefined);
      clients.push(redis);
      return redis;
    },
    async stop() {
      for (const redis of clients) redis.disconnect();
      process.off('exit', onExit);
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A kind for tests that is decoded like the domain's own. */
export const lampDefinition: EntityDefinition = {
  kind: 'lamp',
  version: 1,
  context: Type.Object({ site: Type.String(), watts: Type.Integer() }),
};
export const tagDefinition: EntityDefinition = {
  kind: 'tag',
  version: 1,
  context: Type.Object({ version: Type.Integer() }),
};
export const testDefinitions = definitionsOf({ actors: [lampDefinition], records: [tagDefinition] });

/** A lamp's post-image; `watts` null = removed. */
export const lamp = (id: string, version: number, watts: number | null): EntityImage => ({
  kind: 'lamp',
  id,
  version,
  schema: 1,
  key: 'demo',
  image: watts === null ? null : encodeImage(lampDefinition, watts > 0 ? 'on' : 'off', { site: 'demo', watts }),
});

/** What every partition holds its own of. */
export const tag = (id: string, partition: number, version: number): EntityImage => ({
  kind: 'tag',
  id,
  version,
  schema: 1,
  key: `@${partition}`,
  image: encodeImage(tagDefinition, null, { version }),
});

export const priceEvent = (station: string, slot: number): PublicEvent => ({
  kind: 'price',
  subject: `price.${station}`,
  payload: {
    station,
    slot,
    producedAt: slot * 12_000,
    loadW: 110_400,
    capacityW: 138_000,
    utilisationBp: 8_000,
    tier: 'normal',
    importOpen: true,
    priceE5SekPerKwh: 100_000,
    validUntil: slot * 12_000 + 24_000,
  },
});

export const meterEvent = (charger: string, at: number): PublicEvent => ({
  kind: 'meter',
  subject: `meter.${charger}.1`,
  payload: {
    site: 'demo',
    station: 'nord-1',
    charger,
    connector: 1,
    transaction: 7,
    receivedAt: at,
    samples: [
      {
        at,
        measurand: 'Power.Active.Import',
        phase: '',
        location: 'Outlet',
        context: 'Sample.Periodic',
        unit: 'W',
        value: '11040',
      },
      {
        at,
        measurand: 'Energy.Active.Import.Register',
        phase: '',
        location: 'Outlet',
        context: 'Sample.Periodic',
        unit: 'Wh',
        value: String(at % 1_000_000),
      },
    ],
  },
});

/** Appends records to `J_<p>` as an owner would: chained hashes, dense batches, in order. */
export function journalWriter(nc: NatsConnection, partition: number) {
  const ring = ringPublisher(nc);
  let hash = genesisHash;
  let [epoch, batch] = [1, -1];
  return {
    /** Resolves with the record's journal sequence. `as` sets its epoch and batch; the next ones follow. */
    append(what: {
      entities?: EntityImage[];
      events?: PublicEvent[];
      now?: number;
      as?: [epoch: number, batch: number];
    }): Promise<{ sequence: number }> {
      [epoch, batch] = what.as ?? [epoch, batch + 1];
      const encoded = encodeRecord(
        {
          kind: batch === 0 ? 'epoch' : 'batch',
          owner: `owner-${epoch}`,
          build: 'test',
          epoch,
          batch,
          offset: batch + 1,
          now: what.now ?? 1_700_000_000_000 + batch,
          writers: {},
          relayAcked: {},
          entities: what.entities ?? [],
          timers: { set: [], del: [], fired: [] },
          relays: [],
          effects: [],
          events: what.events ?? [],
          replies: [],
          snapshot: null,
          cut: null,
          origins: [],
        },
        hash,
      );
      hash = encoded.hash;
      return ring.publish(internal.journal(partition), Uint8Array.from(encoded.bytes));
    },
    close: () => ring.close(),
  };
}

/** mulberry32: numbers in [0, 1) that a seed repeats. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Resolves when `condition` holds; throws with `what` after `timeoutMs`. For states that no event announces. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
