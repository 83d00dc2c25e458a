import { expect, test } from 'vitest';
import { chunkEntries, entryChars, KeyBlock } from './sample_keys.ts';
import type { Sample } from './schema/events.ts';

const sample = (at: number, value = '1'): Sample => ({
  at,
  measurand: 'Power.Active.Import',
  phase: '',
  location: 'Outlet',
  context: 'Sample.Periodic',
  unit: 'W',
  value,
});

/** The chunks of a block after messages of `perMessage` samples each, one per second. */
function afterMessages(count: number, perMessage: number) {
  const chunks: string[] = [];
  const written: number[] = [];
  for (let message = 0; message < count; message++) {
    const block = new KeyBlock(chunks);
    for (let i = 0; i < perMessage; i++) block.take(sample(message * 1_000 + i), true);
    const changed = block.changed();
    for (const [n, keys] of changed) chunks[n] = keys;
    written.push(changed.reduce((sum, [, keys]) => sum + keys.length, 0));
  }
  return { chunks, written };
}

test('what a message writes does not grow with the samples before it', () => {
  const { chunks, written } = afterMessages(200, 4);
  expect(chunks.join('').length).toBe(800 * entryChars);
  expect(Math.max(...written)).toBeLessThanOrEqual((chunkEntries + 4) * entryChars);
});

test('a sample is known whichever chunk holds it, with another value it is a conflict', () => {
  const { chunks } = afterMessages(50, 4);
  const block = new KeyBlock(chunks);
  expect([0, 25_001, 49_003].map((at) => block.take(sample(at), false))).toEqual([
    'duplicate',
    'duplicate',
    'duplicate',
  ]);
  expect(block.changed()).toEqual([]);
  expect(block.take(sample(25_001, '2'), false)).toBe('conflict');
  expect(block.take(sample(25_001, '2'), false)).toBe('duplicate');
  expect(block.take(sample(50_000), false)).toBe('new');
  expect(block.changed().map(([n]) => n)).toEqual([chunks.length - 1]);
});

test('a message that says a value twice says it once', () => {
  const block = new KeyBlock(afterMessages(3, 4).chunks);
  expect(['new', 'duplicate', 'conflict']).toEqual([
    block.take(sample(9_000), true),
    block.take(sample(9_000), true),
    block.take(sample(9_000, '2'), true),
  ]);
});
