import { expect, test } from 'vitest';
import { MessageMemory } from './message_memory.ts';

test('the same message is found, another one under its id is not', () => {
  const memory = new MessageMemory(64);
  memory.remember('"1"', 'hash of a', '{"a":1}');
  expect(memory.find('"1"', 'hash of a')).toBe('{"a":1}');
  expect(memory.find('"1"', 'hash of b')).toBeUndefined();
  expect(memory.find('1', 'hash of a')).toBeUndefined();
});

test('an id that is used again stands for its newest message', () => {
  const memory = new MessageMemory(64);
  memory.remember('"1"', 'a', 'first');
  memory.remember('"1"', 'b', 'second');
  expect([memory.find('"1"', 'a'), memory.find('"1"', 'b')]).toEqual([undefined, 'second']);
});

test('the last 64 are remembered, whatever comes', () => {
  const memory = new MessageMemory(64);
  for (let i = 0; i < 100_000; i++) memory.remember(`"${i}"`, 'h', 'x');
  expect(memory.find('"99935"', 'h')).toBeUndefined();
  expect(memory.find('"99936"', 'h')).toBe('x');
  memory.remember(`"${'x'.repeat(300)}"`, 'h', 'x');
  expect(memory.find(`"${'x'.repeat(300)}"`, 'h')).toBeUndefined();
});
