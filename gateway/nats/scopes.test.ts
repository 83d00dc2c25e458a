import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeIntegrators } from '#engine/supervisor/integrators';
import { followScopes, mayCommand, type Scopes } from './scopes.ts';
import { parseSubject } from './subject.ts';

let dataDir = '';
let scopes: Scopes | null = null;
beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'gridtick-scopes-'))));
afterEach(() => {
  scopes?.close();
  rmSync(dataDir, { recursive: true, force: true });
});

test('the scopes of the file count within seconds of its change; a damaged file changes nothing', async () => {
  const said: string[] = [];
  const say = (entry: unknown) => void said.push((entry as { event: string }).event);
  scopes = followScopes({ demo: true, dataDir }, { info: say, warn: say });
  expect(scopes.of('integrator')).toMatchObject({ customers: 'all' });
  expect(scopes.of('acme')).toBeUndefined();

  writeIntegrators(dataDir, [{ user: 'acme', password: 'x', hears: [], commands: ['order.buy'], customers: ['anna'] }]);
  await expect
    .poll(() => scopes?.of('acme'), { timeout: 5_000 })
    .toEqual({
      user: 'acme',
      hears: [],
      commands: ['order.buy'],
      customers: ['anna'],
    });
  writeFileSync(join(dataDir, 'integrators.json'), '[{"user":');
  await expect.poll(() => said, { timeout: 5_000 }).toEqual(['integrators_changed', 'integrators_unreadable']);
  expect(scopes.of('acme')).toBeDefined();
  writeIntegrators(dataDir, []);
  await expect.poll(() => scopes?.of('acme'), { timeout: 5_000 }).toBeUndefined();
});

test('a scope names its customers, or all', () => {
  const scope = { user: 'a', hears: [], commands: [] };
  expect(mayCommand({ ...scope, customers: 'all' }, 'anna')).toBe(true);
  expect(mayCommand({ ...scope, customers: ['anna'] }, 'anna')).toBe(true);
  expect(mayCommand({ ...scope, customers: ['anna'] }, 'ann')).toBe(false);
  expect(mayCommand({ ...scope, customers: [] }, 'all')).toBe(false);
});

test.each([
  ['in.acme.customer.anna', { integrator: 'acme', kind: 'customer', id: 'anna' }],
  ['in.acme.customer.a=2Eb', { integrator: 'acme', kind: 'customer', id: 'a.b' }],
  ['in.acme.customer.=C3=B6', { integrator: 'acme', kind: 'customer', id: 'ö' }],
  ['in.acme.commands.till=3A7', { integrator: 'acme', kind: 'commands', id: 'till:7' }],
  ['in.acme.customer.a=2eb', undefined],
  ['in.acme.customer.a=', undefined],
  ['in.acme.customer.=C3', undefined],
  ['in.acme.customer.ö', undefined],
  ['in.acme.customer.=41', undefined],
  ['in.acme.customer.', undefined],
  ['in.acme', undefined],
  ['out.acme.customer.anna', undefined],
])('%s addresses %j', (subject, addressed) => {
  expect(parseSubject(subject)).toEqual(addressed);
});
