/**
 * The one dependency rule: actors ← engine ← gateway, the dashboard sees types only, nothing imports deploy.
 * One function answers for the lint rule and for the style test.
 */
import { posix } from 'node:path';

/** Folder → the top folders it may import at run time, its own left out. */
export const arrows = {
  actors: [],
  engine: ['actors'],
  gateway: ['actors', 'engine'],
  dashboard: [],
  deploy: ['actors', 'engine', 'gateway', 'dashboard'],
};

/** Schemas whose types the dashboard may name. */
const dashboardTypes = /^(actors|gateway)\/(.*\/)?schema(\/|\.|$)/;

/** Packages that a folder may use; a folder that is not listed may use any dependency. */
const packages = { actors: /^(xstate|typebox)(\/|$)/ };

/**
 * Why `file` must not import `specifier`, or null when it may.
 * @param {string} file path from the repository's root, with slashes
 * @param {string} specifier as written
 * @param {boolean} typeOnly `import type` or `export type`
 */
export function arrowProblem(file, specifier, typeOnly = false) {
  const from = file.split('/')[0] ?? '';
  if (!(from in arrows)) return null;
  const relative = specifier.startsWith('.');
  const alias = /^#(actors|engine|gateway)\//.test(specifier);
  if (!relative && !alias) {
    const allowed = packages[from];
    if (!allowed || isTest(file) || allowed.test(specifier)) return null;
    return `${from}/ may use xstate and typebox only, not '${specifier}'`;
  }
  const target = alias ? specifier.slice(1) : posix.normalize(posix.join(posix.dirname(file), specifier));
  const to = target.split('/')[0] ?? '';
  if (to === from) return null;
  if (!(to in arrows)) return null;
  if (relative && from !== 'deploy') return `'${specifier}' climbs out of ${from}/: import '#${target}'`;
  if (arrows[from].includes(to)) return null;
  if (from === 'dashboard') {
    if (typeOnly && dashboardTypes.test(target)) return null;
    return `dashboard/ may only \`import type\` from a schema folder, not '${specifier}'`;
  }
  return `the arrow points the other way: ${from}/ must not import ${to}/`;
}

const isTest = (file) => /\.test\.ts$|\/testing\//.test(file);
