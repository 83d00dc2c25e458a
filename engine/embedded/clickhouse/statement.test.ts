import { expect, test } from 'vitest';
import { contentType, headerLength, insertHead, namedFormat, startsAtOnce, streamable } from './statement.ts';

/** [head, format, data] */
const split = (text: string) => {
  const found = insertHead(text);
  return found && [found.head, found.format, text.slice(found.dataAt)];
};

test('the data of an INSERT begins after the format, blanks and at most one line feed', () => {
  expect(split('INSERT INTO t FORMAT CSV\n\n1,2\n')).toEqual(['INSERT INTO t FORMAT CSV', 'CSV', '\n1,2\n']);
  expect(split('insert into t (a) format TSV 1')).toEqual(['insert into t (a) format TSV', 'TSV', '1']);
  expect(split('INSERT INTO t FORMAT JSONEachRow\r\n{}')).toEqual([
    'INSERT INTO t FORMAT JSONEachRow',
    'JSONEachRow',
    '{}',
  ]);
  expect(split('INSERT INTO t VALUES (1)')).toEqual(['INSERT INTO t FORMAT Values', 'Values', ' (1)']);
  expect(split('INSERT INTO t FORMAT Values (1)')).toEqual(['INSERT INTO t FORMAT Values', 'Values', ' (1)']);
  expect(
    split('/* VALUES */ -- FORMAT X\n# y\nINSERT INTO `FORMAT` ("VALUES") SETTINGS s = \'a FORMAT b\' FORMAT CSV\nx'),
  ).toEqual([
    '/* VALUES */ -- FORMAT X\n# y\nINSERT INTO `FORMAT` ("VALUES") SETTINGS s = \'a FORMAT b\' FORMAT CSV',
    'CSV',
    'x',
  ]);
});

test('other statements have no data behind them', () => {
  for (const text of [
    'SELECT 1 FORMAT CSV',
    'INSERT INTO t SELECT * FROM u FORMAT CSV',
    'INSERT INTO t WITH x AS (SELECT 1) SELECT 1',
    'INSERT INTO t',
    'INSERT INTO t FORMAT',
    '',
    '-- INSERT INTO t VALUES',
    "'INSERT' INTO t VALUES (1)",
    'INSERT INTO t (VALUES',
  ])
    expect(split(text), text).toBeUndefined();
  expect(() => insertHead("INSERT INTO t FROM INFILE 'x' FORMAT CSV")).toThrow(/FROM INFILE/);
});

test('the format that a statement names is not looked for in its strings', () => {
  expect(namedFormat('SELECT 1 FORMAT JSON')).toBe('JSON');
  expect(namedFormat('SELECT 1 FORMAT JSON SETTINGS a = 1')).toBe('JSON');
  expect(namedFormat("SELECT ' FORMAT JSON'")).toBeUndefined();
  expect(namedFormat("SELECT 'it\\'s FORMAT JSON SETTINGS '")).toBeUndefined();
  expect(namedFormat('SELECT 1 AS ` FORMAT JSON`')).toBeUndefined();
});

test('a SELECT with a scalar subquery is not started on the event loop', () => {
  for (const text of [
    'SELECT 1',
    'SELECT * FROM (SELECT 1)',
    'WITH c AS (SELECT 1) SELECT * FROM c',
    "SELECT '(SELECT 1)' FROM t",
    'SELECT 1 UNION ALL (SELECT 2)',
    'SELECT 1 FROM a INNER JOIN (SELECT 2) AS b ON 1',
  ])
    expect(startsAtOnce(text), text).toBe(true);
  for (const text of [
    'SELECT (SELECT 1)',
    'WITH (SELECT 1) AS x SELECT x',
    'SELECT 1 WHERE a IN (SELECT 1)',
    'SELECT max((SELECT 1))',
    'SELECT a FROM t GROUP BY a WITH TOTALS',
    'EXPLAIN SELECT 1',
    'SHOW TABLES',
  ])
    expect(startsAtOnce(text), text).toBe(false);
});

test('header lines are found, in CSV also with line feeds in names', () => {
  const length = (text: string, lines: number, csv = false) => headerLength(Buffer.from(text), lines, csv);
  expect(length('"a","b\nc"\n1,2\n', 1, true)).toBe(10);
  expect(length('a\tb\nUInt8\tUInt8\n1\t2\n', 2)).toBe(16);
  expect(length('1\n', 0)).toBe(0);
  expect(length('a', 1)).toBe(1);
});

test('only formats whose pieces may be laid end to end are streamed', () => {
  expect(['JSONEachRow', 'CSVWithNames', 'TSVWithNamesAndTypes', 'Native'].map(streamable)).toEqual([0, 1, 2, 0]);
  expect(['JSON', 'Parquet', 'RowBinaryWithNames', 'Pretty', 'Arrow', 'nonsense'].map(streamable)).toEqual(
    Array(6).fill(undefined),
  );
});

test('content types are those of ClickHouse', () => {
  expect(
    ['JSON', 'JSONEachRow', 'CSVWithNames', 'TSV', 'Parquet', 'Vertical'].map((f) => contentType(f).split(';')[0]),
  ).toEqual([
    'application/json',
    'application/x-ndjson',
    'text/csv',
    'text/tab-separated-values',
    'application/octet-stream',
    'text/plain',
  ]);
  expect(contentType('CSVWithNames')).toContain('header=present');
});
