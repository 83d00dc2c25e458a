import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError, loadConfig, reachable, speedOf, unknownVariables, withoutSecrets } from './config.ts';
import { settingsTable } from './settings_table.ts';

const refusal = (env: Record<string, string>) => {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'accepted';
};

test('an empty environment is a demo installation on loopback', () => {
  const config = loadConfig({ GRIDTICK_HTTP_PORT: '' });
  expect(config).toMatchObject({
    bind: '127.0.0.1',
    httpPort: 8080,
    ocppPort: 9220,
    partitions: 16,
    stopMs: 8_000,
    natsUrl: '',
    demo: true,
    simulator: true,
    dataDir: resolve('.data'),
  });
  expect([...config.configured]).toEqual([]);
});

test('a named setting is read with its unit and counts as configured', () => {
  const config = loadConfig({ GRIDTICK_HTTP_PORT: '9000', GRIDTICK_LOG_SCALE: '0.05', GRIDTICK_SIMULATOR: 'false' });
  expect(config).toMatchObject({ httpPort: 9000, logScale: 0.05, simulator: false });
  expect([...config.configured]).toEqual(['httpPort', 'logScale', 'simulator']);
});

test.each([
  [
    { GRIDTICK_HTTP_PORT: 'eighty' },
    "GRIDTICK_HTTP_PORT must be a whole number from 0 to 65535 (TCP port), not 'eighty'",
  ],
  [{ GRIDTICK_HTTP_PORT: '70000' }, 'GRIDTICK_HTTP_PORT must be a whole number'],
  [{ GRIDTICK_PARTITIONS: '0' }, 'GRIDTICK_PARTITIONS must be a whole number from 1 to 64'],
  [{ GRIDTICK_LOG_SCALE: '0' }, 'GRIDTICK_LOG_SCALE must be a number from 0.001 to 16'],
  [{ GRIDTICK_SIMULATOR: 'maybe' }, "GRIDTICK_SIMULATOR must be true or false, not 'maybe'"],
  [{ GRIDTICK_LOG_LEVEL: 'loud' }, 'must be one of trace, debug, info, warn, error'],
  [{ GRIDTICK_HTTP_PORT: '9000', GRIDTICK_OCPP_PORT: '9000' }, 'are both 9000: give one of them another port'],
  [{ GRIDTICK_NATS_URL: 'nats://a:b@h:4222', GRIDTICK_NATS_PORT: '4222' }, 'which the URL replaces; unset one'],
  [{ GRIDTICK_NATS_URL: 'http://h' }, 'GRIDTICK_NATS_URL is not a URL that starts with nats://'],
  [
    { GRIDTICK_CLICKHOUSE_URL: 'http://u:p@h:8123' },
    'move them to GRIDTICK_CLICKHOUSE_USER and GRIDTICK_CLICKHOUSE_PASSWORD',
  ],
  [{ GRIDTICK_BIND: 'localhost' }, 'GRIDTICK_BIND=localhost is not an IP address'],
  [{ GRIDTICK_BIND: '0.0.0.0' }, 'set GRIDTICK_DEMO=false, or leave GRIDTICK_BIND at 127.0.0.1'],
  [{ GRIDTICK_FAILPOINT: 'engine.nowhere:1' }, "GRIDTICK_FAILPOINT must be a <failpoint>:<n>, not 'engine.nowhere:1'"],
  [{ GRIDTICK_FAILPOINT: 'door.replied:0' }, 'GRIDTICK_FAILPOINT must be'],
  [
    { GRIDTICK_FAILPOINT: 'door.replied:1', GRIDTICK_BIND: '0.0.0.0', GRIDTICK_DEMO: 'false' },
    'GRIDTICK_FAILPOINT kills processes of what GRIDTICK_BIND=0.0.0.0 shows to the network: unset one of them',
  ],
  [{ GRIDTICK_SESSIONS: 'a.csv' }, 'add --day'],
  [{ GRIDTICK_DAY: '2019-05-15' }, '--day belongs to --sessions FILE'],
  [{ GRIDTICK_SPEED: 'max' }, '--speed belongs to --sessions FILE'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: 'fast' }, 'GRIDTICK_SPEED must be a factor, or max'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: '0' }, '--speed 0 would never get anywhere'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: '60', GRIDTICK_DAY: '2019-05-15' }, 'say --from DATE --to DATE'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: '60', GRIDTICK_FROM: '07:00' }, 'say the first day'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: '60', GRIDTICK_FROM: '2019-02-30' }, 'is not a date of the calendar'],
  [
    { GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_SPEED: 'max', GRIDTICK_FROM: '2019-05-20', GRIDTICK_TO: '2019-05-13' },
    '--to 2019-05-13 is not after --from 2019-05-20',
  ],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_TO: '2019-05-20' }, '--to belongs to --speed'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_FROM: '2019-05-15' }, 'give a time of the day'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-02-30' }, '--day 2019-02-30 is not a date of the calendar'],
  [
    { GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_FROM: '25:00' },
    'GRIDTICK_FROM must be a time of day',
  ],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_ZONE: 'Mars/Base' }, 'not an IANA time zone'],
  [{ GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_DAY: '2019-05-15', GRIDTICK_DEMO: 'false' }, 'is a demo scenario'],
])('%j refuses to start and names the fix', (env, message) => {
  expect(refusal(env as Record<string, string>)).toContain(message);
});

test('all wrong values are named at once', () => {
  expect(refusal({ GRIDTICK_HTTP_PORT: 'x', GRIDTICK_PARTITIONS: 'y' }).split('\n')).toHaveLength(2);
});

test('a speed gives the log a clock of its own; without one it has that of the machine', () => {
  const days = { GRIDTICK_SESSIONS: 'a.csv', GRIDTICK_FROM: '2019-05-13', GRIDTICK_TO: '2019-05-20' };
  const config = (speed: string) => loadConfig({ ...days, GRIDTICK_SPEED: speed });
  expect(['max', '60', '0.5'].map((speed) => [speedOf(config(speed)), config(speed).clock])).toEqual([
    ['max', 'driven'],
    [60, 'driven'],
    [0.5, 'driven'],
  ]);
  expect([speedOf(loadConfig({})), loadConfig({}).clock]).toEqual([null, 'wall']);
});

test('a bind to the network is accepted without demo logins', () => {
  expect(loadConfig({ GRIDTICK_BIND: '0.0.0.0', GRIDTICK_DEMO: 'false' }).bind).toBe('0.0.0.0');
});

test('a secret reaches neither a refusal nor a log line', () => {
  const hidden = 'nats://core:swordfish@127.0.0.1:4222';
  expect(JSON.stringify(withoutSecrets(loadConfig({ GRIDTICK_NATS_URL: hidden })))).not.toContain('swordfish');
  expect(refusal({ GRIDTICK_NATS_URL: 'ftp://swordfish', GRIDTICK_BIND: 'x' })).not.toContain('swordfish');
  expect(refusal({ GRIDTICK_CLICKHOUSE_PASSWORD: 'swordfish'.repeat(1_000) })).not.toContain('swordfish');
});

test('a mistyped variable is noticed', () => {
  expect(unknownVariables({ GRIDTICK_HTTP_PROT: '1', GRIDTICK_HTTP_PORT: '1', PATH: '/bin' })).toEqual([
    'GRIDTICK_HTTP_PROT',
  ]);
});

test('what listens everywhere is reached by loopback, IPv6 in brackets', () => {
  expect([reachable('0.0.0.0'), reachable('::'), reachable('10.0.0.7')]).toEqual(['127.0.0.1', '[::1]', '10.0.0.7']);
});

test('the settings table in the docs is the schema', async () => {
  await expect(settingsTable()).toMatchFileSnapshot(resolve(import.meta.dirname, '../../deploy/docs/settings.md'));
});
