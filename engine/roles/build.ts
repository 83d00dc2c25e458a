/**
 * Identity of the rules, written into every record: records of another build are not expected to re-execute alike.
 *
 * It is the version and a hash over the very code that decides: the decider, the codec and all actors with whatever they
 * import, and the exact versions of the packages among that. Whoever reads, sends or shows may change without it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const entries = ['engine/partition/decider', 'engine/partition/record', 'engine/partition/catalogue', 'actors/mod'];
const imported = /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;

interface Package {
  version: string;
  dependencies: Record<string, string>;
}

/**
 * @param root folder that holds `actors` and `engine`
 * @param extension of the files there: `.js` built, `.ts` as written
 * @param from where the rules begin
 */
export function buildOf(root: string, extension: string, { version, dependencies }: Package, from = entries): string {
  const contents = new Map<string, string>();
  const packages = new Set<string>();
  const waiting = [...from];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = join(root, path + extension);
    if (contents.has(path) || !existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    contents.set(path, text);
    for (const [, name = ''] of text.matchAll(imported)) {
      if (name.startsWith('.')) waiting.push(withoutExtension(normalize(join(dirname(path), name))));
      else if (name.startsWith('#')) waiting.push(name.slice(1));
      else for (const own in dependencies) if (name === own || name.startsWith(`${own}/`)) packages.add(own);
    }
  }
  const missing = from.find((path) => !contents.has(path));
  if (missing !== undefined) throw new Error(`${join(root, missing)}${extension} is not there: the build is not whole`);
  const hash = createHash('sha256');
  for (const path of [...contents.keys()].sort()) hash.update(`${path.split(sep).join('/')}\0${contents.get(path)!}\0`);
  for (const name of [...packages].sort()) hash.update(`${name}@${dependencies[name]}\0`);
  return `${version}+${hash.digest('hex').slice(0, 12)}`;
}

const withoutExtension = (path: string) => path.slice(0, path.length - extname(path).length);

const own = fileURLToPath(import.meta.url);
const root = join(dirname(own), '../..');
const isBuilt = extname(own) === '.js';
const packageFile = join(root, isBuilt ? '..' : '.', 'package.json');

export const build = buildOf(root, extname(own), JSON.parse(readFileSync(packageFile, 'utf8')) as Package);
