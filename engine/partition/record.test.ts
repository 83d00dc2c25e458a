import { expect, test } from 'vitest';
import { decodeRecord, encodeRecord, genesisHash, verifyChain } from './record.ts';
import type { CommitRecord } from '../wire.ts';

const record: Omit<CommitRecord, 'hash'> = {
  kind: 'batch',
  owner: 'o-1',
  build: 'b-1',
  epoch: 3,
  batch: 7,
  offset: 42,
  now: 1_700_000_000_123,
  writers: { 'gateway-a': 12 },
  relayAcked: { 4: 9 },
  entities: [
    { kind: 'station', id: 'nord-1', version: 5, schema: 1, image: ['normal', 'demo', 138_000, -3, null, true] },
  ],
  timers: { set: [['slot/price', 1_700_000_004_000]], del: ['a'], fired: ['b'] },
  relays: [
    {
      to: 4,
      seq: 10,
      command: {
        id: null,
        to: { kind: 'name', key: 'tag:x', id: 'tag:x' },
        type: 'name.claim',
        body: { a: 1 },
        reply: null,
        deadline: 0,
        correlation: null,
      },
    },
  ],
  effects: [{ id: 'e1', target: 'gw', kind: 'connection.close', body: { connection: 'c' } }],
  events: [],
  replies: [{ inbox: '_R_.a', token: 1, commandId: null, result: { ok: true, value: { x: 1 } } }],
  snapshot: null,
  cut: { units: 3, input: 4_294_967_295 },
  origins: [{ correlation: 'CP-1:2:m1', commandId: null, first: 0, count: 2 }],
};

test('a record comes back from its bytes as it was, with its hash', () => {
  const { bytes, hash } = encodeRecord(record, genesisHash);
  expect(decodeRecord(Uint8Array.from(bytes))).toEqual({ ...record, hash });
});

test('a record says where its events came from, and nothing of it when nobody asked; earlier ones are read as before', () => {
  const { bytes } = encodeRecord({ ...record, cut: null }, genesisHash);
  expect(decodeRecord(Uint8Array.from(bytes))).toMatchObject({ cut: null, origins: record.origins });
  const without = { ...record, origins: [] };
  const { bytes: short, hash } = encodeRecord(without, genesisHash);
  expect(decodeRecord(Uint8Array.from(short))).toEqual({ ...without, hash });
  // As a build before origins wrote it, to the bit.
  expect(hash.slice(0, 8)).toBe('37cd03d9');
});

test('the chain holds for the true predecessor only, and breaks on a flipped byte', () => {
  const { bytes } = encodeRecord(record, genesisHash);
  expect(verifyChain(bytes, genesisHash)).toBe(true);
  expect(verifyChain(bytes, '1'.repeat(64))).toBe(false);
  const flipped = Uint8Array.from(bytes);
  const at = Buffer.from(flipped).indexOf('nord-1');
  flipped[at] = (flipped[at] as number) ^ 1;
  expect(verifyChain(flipped, genesisHash)).toBe(false);
});

test('another owner deciding the same gives the same hash', () => {
  expect(encodeRecord({ ...record, owner: 'o-2', epoch: 9, batch: 1 }, genesisHash).hash).toBe(
    encodeRecord(record, genesisHash).hash,
  );
});
