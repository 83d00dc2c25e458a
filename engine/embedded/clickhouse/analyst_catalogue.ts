/**
 * What there is for an analyst, as BI tools ask for it: `system.databases`, `system.tables`, `system.columns`,
 * `system.settings` and `system.one`, SHOW, DESCRIBE and EXISTS. The engine knows no users, so its own tables would show
 * everything; in their place stand views of a database of their own, and the statements become SELECTs of those. What is
 * made here is judged like anything an analyst writes.
 */
import { quoted } from './engine.ts';

export const catalogueDatabase = 'catalogue';
const database = 'gridtick';
const names = ['databases', 'tables', 'columns', 'settings', 'one'] as const;

/** As an analyst's query names them once it is rewritten. */
export const catalogueTables: readonly string[] = names.map((name) => `${catalogueDatabase}.${name}`);

const empty = (type: string, columns: readonly string[]) =>
  columns.map((column) => `CAST(defaultValueOfTypeName('${type}'), '${type}') AS ${column}`).join(', ');

/** Run at every start: the engine's own tables may have changed with its version, and the views with ours. */
export function catalogueStatements(views: readonly string[]): string[] {
  const visible = `IN (${views.map(quoted).join(', ')})`;
  const view = (name: (typeof names)[number], select: string) =>
    `CREATE OR REPLACE VIEW ${catalogueDatabase}.${name} AS ${select}`;
  return [
    `CREATE DATABASE IF NOT EXISTS ${catalogueDatabase}`,
    view(
      'databases',
      `SELECT * REPLACE (${empty('String', ['data_path', 'metadata_path', 'engine_full'])})
FROM system.databases WHERE name = '${database}'`,
    ),
    view(
      'tables',
      `SELECT * REPLACE (${empty('String', ['metadata_path', 'create_table_query', 'as_select', 'engine_full'])},
  ${empty('Array(String)', ['data_paths', 'dependencies_database', 'dependencies_table'])})
FROM system.tables WHERE database = '${database}' AND name ${visible}`,
    ),
    view('columns', `SELECT * FROM system.columns WHERE database = '${database}' AND table ${visible}`),
    // A client then knows that there is nothing to be set.
    view('settings', `SELECT * REPLACE (toUInt8(1) AS readonly) FROM system.settings`),
    view('one', 'SELECT dummy FROM system.one'),
  ];
}

const system = new RegExp(`(?<![\\w.])system\\.(${names.join('|')})(?!\\w)`, 'g');
const literal = `'(?:[^'\\\\]|\\\\.)*'`;
/** Strings and quoted names, which stay as they are. */
const quotes = new RegExp(`(${literal}|\`(?:[^\`\\\\]|\\\\.)*\`)`);

/** A canonical statement that names the catalogue where it named the engine's tables. */
export const withCatalogue = (canonical: string): string =>
  canonical
    .split(quotes)
    .map((part, i) => (i % 2 === 1 ? part : part.replace(system, `${catalogueDatabase}.$1`)))
    .join('');

const pattern = `(?: (NOT )?(I?LIKE) (${literal}))?`;
const limit = '(?: LIMIT (\\d{1,9}))?';
const showDatabases = new RegExp(`^SHOW DATABASES${pattern}${limit}$`);
const showTables = new RegExp(`^SHOW TABLES(?: FROM (\\w+))?${pattern}${limit}$`);
const describe = /^DESCRIBE TABLE (?:(\w+)\.)?(\w+)$/;
const exists = /^EXISTS (TABLE|VIEW|DATABASE) (?:(\w+)\.)?(\w+)$/;

const like = (not = '', word = '', text = '') => (text === '' ? '' : ` AND name ${not}${word} ${text}`);
const atMost = (rows = '') => (rows === '' ? '' : ` LIMIT ${rows}`);

/** The SELECT that answers a canonical SHOW, DESCRIBE or EXISTS without FORMAT; undefined for every other statement. */
export function asSelect(canonical: string): string | undefined {
  let found = showDatabases.exec(canonical);
  if (found) {
    const [, not, word, text, rows] = found;
    return `SELECT name FROM system.databases WHERE 1${like(not, word, text)} ORDER BY name${atMost(rows)}`;
  }
  found = showTables.exec(canonical);
  if (found) {
    const [, from = database, not, word, text, rows] = found;
    return `SELECT name FROM system.tables WHERE database = ${quoted(from)}${like(not, word, text)} ORDER BY name${atMost(rows)}`;
  }
  found = describe.exec(canonical);
  if (found) {
    const [, of = database, table = ''] = found;
    return `SELECT name, type, default_kind AS default_type, default_expression, comment,
compression_codec AS codec_expression, '' AS ttl_expression
FROM system.columns WHERE database = ${quoted(of)} AND table = ${quoted(table)} ORDER BY position`;
  }
  found = exists.exec(canonical);
  if (!found) return undefined;
  const [, kind, of = database, name = ''] = found;
  return kind === 'DATABASE'
    ? `SELECT count() > 0 AS result FROM system.databases WHERE name = ${quoted(name)}`
    : `SELECT count() > 0 AS result FROM system.tables WHERE database = ${quoted(of)} AND name = ${quoted(name)}`;
}

/** The view that a canonical DESCRIBE is about, with its database; undefined for every other statement. */
export function described(canonical: string): string | undefined {
  const [, of = database, table] = describe.exec(canonical) ?? [];
  return table === undefined ? undefined : `${of}.${table}`;
}
