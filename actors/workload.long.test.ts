import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { outcomes } from './testing_workload.ts';

const folder = new URL('../../shared/data/workloads/', import.meta.url);
const read = (name: string) => (existsSync(new URL(name, folder)) ? readFileSync(new URL(name, folder)) : null);

test.for(['stack', 'slot'] as const)(
  '100,000 commands with a %s of pending orders come out exact to the cent',
  (rule, context) => {
    const script = read('100User_testWorkLoad.txt.gz');
    if (!script) return context.skip('the script is not on this machine: it lies beside the repository');
    const text = gunzipSync(script).toString();
    const { came, wanted } = outcomes(text, String(read('expected_outcomes.json')), '100User_testWorkLoad.txt', rule);
    return expect(came).toEqual(wanted);
  },
);
