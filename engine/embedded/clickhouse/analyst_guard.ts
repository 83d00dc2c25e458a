/**
 * What the user `analyst` may run: one SELECT over the views, and what BI tools ask about them. Decided on the query as the
 * engine parsed it, by a list of what is allowed; what is not known is refused.
 *
 * A1  What is checked is what runs: the statement is first brought into the engine's canonical form (one statement, no
 *     comments), its FORMAT clause is taken off, questions about the catalogue are put to the analyst's own, and that same
 *     text is both explained and executed.
 * A2  Every node of the syntax tree must be of a known kind, and the tree must be whole: a name that imitates the tree's
 *     notation makes the count of children wrong.
 * A3  Tables are the views, the catalogue, or a name of WITH that no real table has; table functions never.
 * A4  It runs in a session that is read-only and limited. That session alone is not enough: in it the function `file()`
 *     reads and INTO OUTFILE writes any file (chdb 3.4).
 */
import { asSelect, catalogueTables, described, withCatalogue } from './analyst_catalogue.ts';
import { isAllowedFunction } from './analyst_functions.ts';
import { quoted, type EngineSession } from './engine.ts';
import { exception } from './exception.ts';
import { bare, namedFormat } from './statement.ts';

export const analystViews = [
  'prices',
  'meter_values',
  'sessions',
  'charger_events',
  'trades',
  'ledger_entries',
  'battery_states',
  'audit_events',
  'loads',
  'session_starts',
  'consumption',
  'ocpp_messages',
  'correlations',
  'trade_facts',
] as const;
const database = 'gridtick';
const views: ReadonlySet<string> = new Set(analystViews.flatMap((view) => [view, `${database}.${view}`]));
const readable: ReadonlySet<string> = new Set([...views, ...catalogueTables]);

/** Characters of one statement. */
const textMax = 64 * 1024;

const MiB = 1024 * 1024;
/** Set before `readonly`; the names that a request may lower are in `analystSettings`. */
export const analystLimits: Readonly<Record<string, number | string>> = {
  max_execution_time: 20,
  timeout_overflow_mode: 'throw',
  max_memory_usage: 512 * MiB,
  max_rows_to_read: 200_000_000,
  read_overflow_mode: 'throw',
  max_result_rows: 1_000_000,
  max_result_bytes: 128 * MiB,
  result_overflow_mode: 'throw',
  max_threads: 2,
  max_ast_depth: 200,
  max_ast_elements: 5_000,
  max_expanded_ast_elements: 50_000,
  max_query_size: textMax,
  max_subquery_depth: 20,
  max_bytes_before_external_group_by: 0,
  max_bytes_before_external_sort: 0,
};

/** Settings that a request of the analyst may carry: how results look, and limits, which can only be made tighter. */
const harmless = new Set([
  'output_format_json_quote_64bit_integers',
  'output_format_json_quote_denormals',
  'output_format_json_quote_decimals',
  'output_format_json_escape_forward_slashes',
  'output_format_json_named_tuples_as_objects',
  'output_format_csv_crlf_end_of_line',
  'output_format_tsv_crlf_end_of_line',
  'output_format_decimal_trailing_zeros',
  'date_time_output_format',
  'send_progress_in_http_headers',
  'enable_http_compression',
  'http_zlib_compression_level',
  'http_headers_progress_interval_ms',
  'http_write_exception_in_output_format',
  'log_queries',
  'cancel_http_readonly_queries_on_client_close',
  'add_http_cors_header',
  'readonly',
]);

/** @throws READONLY for a setting that is not on the list */
export function analystSettings(asked: Iterable<readonly [string, string]>): [string, string][] {
  const settings: [string, string][] = [];
  for (const [name, value] of asked) {
    if (Object.hasOwn(analystLimits, name)) {
      const limit = analystLimits[name];
      if (typeof limit !== 'number' || !(Number(value) > 0 && Number(value) <= limit)) throw fixed(name);
      settings.push([name, value]);
    } else if (!harmless.has(name)) throw fixed(name);
    else if (name !== 'readonly') settings.push([name, value]);
  }
  return settings;
}

const fixed = (name: string) => exception('READONLY', `Cannot modify '${name}' setting in readonly mode`);
const denied = (why: string) =>
  exception(
    'ACCESS_DENIED',
    `analyst: Not enough privileges. One SELECT over ${analystViews.join(', ')} is allowed: ${why}`,
  );

const names = '(WithNames(AndTypes)?)?';
const formats = new RegExp(
  `^(${[
    `JSON(Strings|Columns|Compact)*(EachRow|Columns)?${names}`,
    `JSONCompactStringsEachRow${names}`,
    'JSONColumnsWithMetadata|JSONObjectEachRow|JSONLines|NDJSON',
    `(TabSeparated|TSV)(Raw)?${names}|CSV${names}|RowBinary${names}`,
    'Native|Parquet|Arrow(Stream)?|MsgPack|XML|Values|Vertical|Markdown|Null|Pretty\\w*',
  ].join('|')})$`,
);

/**
 * Decides and returns the text to execute, without FORMAT, and the format.
 * @param session read-only, limited, with the request's parameters set
 * @throws ACCESS_DENIED or the parser's own error
 */
export async function checkAnalystQuery(
  session: EngineSession,
  text: string,
  defaultFormat: string,
): Promise<{ sql: string; format: string }> {
  if (text.length > textMax) throw exception('QUERY_IS_TOO_LARGE', `The query exceeds ${textMax} characters`);
  // Explaining a query with INTO OUTFILE may already write the file, so the word is refused wherever it stands.
  if (/outfile|infile/i.test(text)) throw denied('INTO OUTFILE and FROM INFILE are not');
  if (/^(\s|--[^\n]*\n|#[^\n]*\n|\/\*[\s\S]*?\*\/)*insert\b/i.test(text)) throw denied('INSERT is not');
  const canonical = await session.canonical(text);
  const question = canonical.replace(formatAtEnd, '');
  const about = described(question);
  if (about !== undefined && !views.has(about)) throw denied(`table ${about} is not`);
  const select = withCatalogue(asSelect(question) ?? question);
  if (!/^\(*(SELECT|WITH) /.test(select)) throw denied(`${/^\w*/.exec(canonical)?.[0] ?? 'this'} is not`);
  // Names with escapes could forge lines of the explained tree (A2).
  if (/[\n\r\t]/.test(canonical) || hasOddName(canonical)) throw denied('names with escapes or parentheses are not');
  const format = namedFormat(canonical) ?? defaultFormat;
  if (!formats.test(format)) throw denied(`the format ${format} is not`);
  // What was put in place of a statement is laid out by hand.
  const sql = select === question ? select : await session.canonical(select);
  checkTree(parseTree(await session.text(`EXPLAIN AST ${sql}`)), await temporaryTables(session, sql));
  return { sql, format };
}

const formatAtEnd = / FORMAT \w+$/;

/** A quoted name of a canonical statement with a backslash, or with what the tree's notation is made of. */
function hasOddName(canonical: string): boolean {
  const tokens = canonical.match(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`/g) ?? [];
  return tokens.some((token) => token.startsWith('`') && /\\|\((children|alias|column) /.test(token));
}

export interface Node {
  kind: string;
  /** Name or literal behind the kind, without the alias. */
  name: string;
  children: Node[];
}

/** Indent, kind, name; the alias and the count stand behind them. */
const line = /^( *)(\S+)(?: (.*))?$/;

/** Reads what EXPLAIN AST printed: one node a line, one blank of indent a level. */
export function parseTree(explained: string): Node {
  const stack: { node: Node; missing: number }[] = [];
  let root: Node | undefined;
  for (const row of explained.replace(/\n$/, '').split('\n')) {
    const children = / \(children (\d+)\)$/.exec(row)?.[1] ?? '0';
    const text = row.replace(/ \(children \d+\)$/, '').replace(/ \(alias .*\)$/, '');
    const [, indent, kind, name = ''] = line.exec(text) ?? [];
    if (indent === undefined || kind === undefined) throw denied('the query could not be read');
    while (stack.length > 0 && stack.at(-1)?.missing === 0) stack.pop();
    if (indent.length !== stack.length || (root && stack.length === 0)) throw denied('the query could not be read');
    const node = { kind, name, children: [] };
    const parent = stack.at(-1);
    if (parent) {
      parent.node.children.push(node);
      parent.missing--;
    } else root = node;
    stack.push({ node, missing: Number(children) });
  }
  if (!root || stack.some(({ missing }) => missing > 0)) throw denied('the query could not be read');
  return root;
}

/** Kinds that carry nothing but their children. `ColumnsApplyTransformer` hides its function and is not here. */
const containers = new Set([
  'SelectWithUnionQuery',
  'SelectIntersectExceptQuery',
  'ExpressionList',
  'TablesInSelectQuery',
  'SelectQuery',
  'TablesInSelectQueryElement',
  'TableExpression',
  'WithElement',
  'TableJoin',
  'ArrayJoin',
  'Subquery',
  'Literal',
  'Asterisk',
  'QualifiedAsterisk',
  'ColumnsTransformerList',
  'ColumnsExceptTransformer',
  'ColumnsReplaceTransformer',
  'ColumnsReplaceTransformer::Replacement',
  'ColumnsListMatcher',
  'ColumnsRegexpMatcher',
  'QualifiedColumnsListMatcher',
  'QualifiedColumnsRegexpMatcher',
  'OrderByElement',
  'InterpolateElement',
  'WindowListElement',
  'WindowDefinition',
  'Identifier',
]);

/** A right side of IN that is a bare name is a table. */
const membership = new Set([
  'in',
  'notin',
  'globalin',
  'globalnotin',
  'nullin',
  'notnullin',
  'globalnullin',
  'globalnotnullin',
]);

/** @param tables names of WITH that hide no real table */
export function checkTree(root: Node, tables: ReadonlySet<string>): void {
  if (root.kind !== 'SelectWithUnionQuery') throw denied(`${root.kind} is not`);
  check(root, tables);
}

function check(node: Node, tables: ReadonlySet<string>): void {
  if (node.kind === 'Function') checkFunction(node, tables);
  else if (node.kind === 'TableIdentifier') checkTable(node.name, tables);
  else if (node.kind === 'TableExpression' && node.children.some(({ kind }) => kind === 'Function')) {
    throw denied(`table function ${node.children[0]?.name} is not`);
  } else if (!containers.has(node.kind)) throw denied(`${node.kind} is not`);
  for (const child of node.children) check(child, tables);
}

function checkTable(name: string, tables: ReadonlySet<string>): void {
  if (!readable.has(name) && !tables.has(name)) throw denied(`table ${name} is not`);
}

function checkFunction(node: Node, tables: ReadonlySet<string>): void {
  if (!isAllowedFunction(node.name)) throw denied(`function ${node.name} is not`);
  const right = membership.has(node.name.toLowerCase()) ? node.children[0]?.children[1] : undefined;
  if (right?.kind === 'Identifier') checkTable(right.name, tables);
}

/** Names that WITH gives to subqueries. The tree does not show them, the canonical text does: `name AS (SELECT …`. */
export const withNames = (canonical: string): string[] =>
  [
    ...bare(canonical).matchAll(
      /(?<![\w`.])([A-Za-z_]\w*)(?:\([^()]*\))? AS (?:(?:NOT )?MATERIALIZED )?\((?=SELECT |WITH |\()/g,
    ),
  ].map(([, name]) => name as string);

/**
 * A name of WITH that is also a real table could be used where the WITH is not in scope, and would then mean the table.
 */
async function temporaryTables(session: EngineSession, sql: string): Promise<ReadonlySet<string>> {
  const names = new Set(withNames(sql));
  if (names.size === 0) return names;
  const list = [...names].map(quoted).join(', ');
  const real = await session.text(
    `SELECT name FROM system.tables WHERE database = '${database}' AND name IN (${list})`,
  );
  for (const name of real.split('\n')) {
    if (name && !views.has(name)) throw denied(`WITH ${name}, which is a table's name, is not`);
  }
  return names;
}
