import { expect, test } from 'vitest';
import { checkVersion } from './nats.ts';

test.each([
  [[2, 9, 9], '127.0.0.1', '2.9.10 or newer'],
  [[2, 9, 10], '192.168.1.5', '2.12.7 or newer'],
  [[2, 10, 29], '0.0.0.0', '2.12.7 or newer'],
  [[2, 12, 6], '0.0.0.0', '2.12.7 or newer'],
] as const)('nats-server %j does not listen on %s', (version, bind, why) => {
  expect(() => checkVersion(version, bind)).toThrow(why);
});

test.each([
  [[2, 9, 10], '127.0.0.1'],
  [[2, 12, 7], '0.0.0.0'],
  [[3, 0, 0], '192.168.1.5'],
] as const)('nats-server %j listens on %s', (version, bind) => {
  expect(() => checkVersion(version, bind)).not.toThrow();
});
