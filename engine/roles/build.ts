/** Identity of this build, written into every record: records of another build are not expected to re-execute alike. */
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(
  readFileSync(
    new URL(import.meta.url.includes('/dist/') ? '../../../package.json' : '../../package.json', import.meta.url),
    'utf8',
  ),
) as { version: string };

export const build = process.env['GRIDTICK_TEST_BUILD'] ?? version;
