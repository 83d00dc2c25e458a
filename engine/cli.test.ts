import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { upConfig } from './commands/up_command.ts';

test('options of up are settings, and win over the environment', () => {
  const args = ['--sessions', 'a.csv', '--day', '2019-05-15', '--from', '07:00', '--no-simulator', '--engines', '3'];
  const config = upConfig(args, {
    GRIDTICK_DAY: '2020-01-01',
  });
  expect(config).toMatchObject({
    sessions: 'a.csv',
    day: '2019-05-15',
    from: '07:00',
    zone: 'America/Los_Angeles',
    simulator: false,
    engines: 3,
  });
});

test('an unknown option refuses and shows the usage', () => {
  expect(() => upConfig(['--haste', '9'], {})).toThrow(/--haste[^]*gridtick <command>/);
});

test('a refusal is words and exit code 1, no stack', () => {
  const cli = (args: string[], env: Record<string, string>) =>
    spawnSync(
      process.execPath,
      ['--import', 'tsx', '--conditions=source', join(import.meta.dirname, 'cli.ts'), ...args],
      {
        encoding: 'utf8',
        env: { ...process.env, GRIDTICK_NATS_URL: '', ...env },
      },
    );
  const wrong = cli(['up'], { GRIDTICK_HTTP_PORT: 'eighty' });
  expect(wrong.status).toBe(1);
  expect(wrong.stderr.trim()).toBe(
    "GRIDTICK_HTTP_PORT must be a whole number from 0 to 65535 (TCP port), not 'eighty'",
  );
  expect(cli(['verify'], {}).stderr).toContain('set GRIDTICK_NATS_URL');
});
