import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadConfig } from '../config/config.ts';
import { endpointsOf, writeEndpoints } from './endpoints.ts';
import { joiningEnvironment } from './joining.ts';
import { keepScenario } from './scenario.ts';
import { openSecrets } from './secrets.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'gridtick-joining-'));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

test('an engine started by hand finds the log of the installation on its data directory, and its number of partitions', async () => {
  const env = { GRIDTICK_DATA_DIR: dataDir, GRIDTICK_NATS_PORT: '4333' };
  expect(() => joiningEnvironment(env)).toThrow(`nothing runs on ${dataDir}`);
  const config = loadConfig({ ...env, GRIDTICK_PARTITIONS: '4' });
  await keepScenario(config);
  const secrets = openSecrets(dataDir);
  const ports = { httpPort: 1, ocppPort: 2, natsPort: 4333, redisPort: 3, clickhousePort: 5 };
  writeEndpoints(dataDir, endpointsOf(config, ports, secrets, 6));
  const joined = loadConfig(joiningEnvironment(env));
  expect(joined).toMatchObject({ partitions: 4, clock: 'wall' });
  const { host, username, password } = new URL(joined.natsUrl);
  expect([host, username, password]).toEqual(['127.0.0.1:4333', 'core', secrets.nats]);
});

test('other settings than those of the installation are refused; a log that is named is taken as it is', () => {
  const env = { GRIDTICK_DATA_DIR: dataDir };
  expect(() => joiningEnvironment({ ...env, GRIDTICK_PARTITIONS: '8' })).toThrow('has 4 partitions');
  const driven = { ...env, GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: 'max' };
  expect(() => joiningEnvironment(driven)).toThrow('goes by the wall clock');
  const named = { ...env, GRIDTICK_NATS_URL: 'nats://core:x@elsewhere:4222', GRIDTICK_PARTITIONS: '8' };
  expect(joiningEnvironment(named)).toEqual(named);
});
