/** The commands of the document for users of the API, run as they stand there. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { password, startTestApi } from './testing.ts';

const document = readFileSync(fileURLToPath(new URL('../../deploy/docs/api.md', import.meta.url)), 'utf8');
const noCurl = spawnSync('curl', ['--version']).error !== undefined;

test.skipIf(noCurl)(
  'every curl command of the document works (needs curl)',
  async () => {
    const api = await startTestApi();
    // An account is there once its owner has signed in.
    await api.app.inject({ url: '/api/account', headers: { cookie: await api.cookieOf('trader') } });
    const dir = mkdtempSync(join(tmpdir(), 'gridtick-curl-'));
    try {
      const blocks = [...document.matchAll(/^```bash\n([^]*?)^```/gm)].map(([, text]) => text as string);
      const script = blocks
        .join('\n')
        .replace('api=http://127.0.0.1:8080/api\n', '')
        .replace('"password":"…"', `"password":"${password}"`)
        .replaceAll('-b admin-jar', "-H 'cookie: '$admin")
        // An answer per line.
        .replaceAll('curl -sS', "curl -sS -w '\\n'");
      const env = { ...process.env, api: `${api.base}/api`, admin: await api.cookieOf('admin') };
      const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-euc', script], { cwd: dir, env });
      expect(stderr).toBe('');
      const answers = stdout.split('\n').filter((line) => line !== '');
      expect(answers).toHaveLength([...script.matchAll(/curl -sS/g)].length);
      for (const answer of answers) expect(JSON.parse(answer)).not.toHaveProperty('code');
      expect(api.door.state('customer')).toMatchObject({ sek: { available: 9_000_000, pending: 1_000_000 } });
      expect(api.door.state('customer')?.orders.map(({ side, state }) => `${side} ${state}`)).toEqual([
        'buy delivering',
        'sell delivering',
      ]);
      expect(api.door.state('customer')?.creditLimitE5Sek).toBe(5_000_000);
    } finally {
      rmSync(dir, { recursive: true, force: true });
      await api.close();
    }
  },
  60_000,
);
