import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { failpoints } from './failpoint.ts';

/** Passes one place five times, in turns of their own, and says how far it came. */
function pass(setting: string, name: string) {
  const program = `
    import { armFailpoint, failpoint } from ${JSON.stringify(join(import.meta.dirname, 'failpoint.ts'))};
    armFailpoint(${JSON.stringify(setting)});
    for (let n = 1; n <= 5; n++) {
      process.stdout.write(String(n));
      failpoint(${JSON.stringify(name)});
      await new Promise((resolve) => setTimeout(resolve, 20));
    }`;
  const { signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  return { signal, stdout };
}

test('a process dies by SIGKILL at the third passing of its failpoint, and of no other', () => {
  expect(pass('engine.released:3', 'engine.released')).toEqual({ signal: 'SIGKILL', stdout: '123' });
  expect(pass('engine.frame_decided:3', 'engine.frame_decided')).toEqual({ signal: 'SIGKILL', stdout: '123' });
  expect(pass('engine.released:3', 'door.replied')).toEqual({ signal: null, stdout: '12345' });
  expect(pass('', 'engine.released')).toEqual({ signal: null, stdout: '12345' });
});

test('with :stop it stops at the place instead, and goes on from there when it is told to', async () => {
  const program = `
    import { armFailpoint, failpoint } from ${JSON.stringify(join(import.meta.dirname, 'failpoint.ts'))};
    armFailpoint('door.replied:2:stop');
    for (let n = 1; n <= 4; n++) {
      process.stdout.write(String(n));
      failpoint('door.replied');
    }`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program]);
  const ended = once(child, 'close');
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const state = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.[0];
  while (state() !== 'T') await new Promise((resolve) => setTimeout(resolve, 10));
  while (said.length < 2) await once(child.stdout, 'data');
  expect(said).toBe('12');
  child.kill('SIGCONT');
  expect([await ended, said]).toEqual([[0, null], '1234']);
});

test('operations.md lists every failpoint with what is true there', () => {
  const docs = readFileSync(join(import.meta.dirname, '../deploy/docs/operations.md'), 'utf8');
  for (const [name, when] of Object.entries(failpoints)) expect(docs).toContain(`| \`${name}\` | ${when} |`);
});
