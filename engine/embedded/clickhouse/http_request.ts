/** What one HTTP request asks for: who, which database, format, settings and parameters, from the URL and the headers. */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { exception } from './exception.ts';

export type User = 'gridtick' | 'analyst';
export type Passwords = Readonly<Record<User, string>>;

export interface Asked {
  user: User;
  queryId: string;
  /** Text of `query`, which stands before the body's. */
  query: string;
  database: string | undefined;
  format: string;
  settings: [name: string, value: string][];
  /** Values as they came: ClickHouse reads them as tab-separated fields. */
  params: [name: string, value: string][];
  sessionId: string | undefined;
  sessionTimeoutMs: number;
  /** The whole result is made before the first byte is sent, so that an error can still be the answer. */
  waitEndOfQuery: boolean;
  /** As in ClickHouse, GET changes nothing. */
  readOnly: boolean;
  encoding: 'gzip' | 'zstd' | undefined;
}

/** Parameters of the HTTP interface that are no settings of the engine. */
const reserved = new Set([
  'user',
  'password',
  'query',
  'query_id',
  'database',
  'default_format',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'quota_key',
  'role',
  'stacktrace',
  'buffer_size',
  'wait_end_of_query',
  'client_protocol_version',
  'compress',
  'decompress',
  'network_compression_method',
  'log_comment',
]);

const settingName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const settingsMax = 500;

export function readRequest(request: IncomingMessage, url: URL, passwords: Passwords): Asked {
  const { searchParams: given } = url;
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const user = authenticate(request, given, passwords);
  if (given.get('compress') === '1' || given.get('decompress') === '1') {
    throw exception(
      'NOT_IMPLEMENTED',
      "ClickHouse's own compression is not available here; use Content-Encoding: gzip",
    );
  }
  const sessionId = given.get('session_id') ?? undefined;
  const sessionTimeoutS = Number(given.get('session_timeout') ?? 60);
  if (!(sessionTimeoutS > 0 && sessionTimeoutS <= 3600)) {
    throw exception(
      'BAD_ARGUMENTS',
      `session_timeout must be 1 to 3600 seconds, not '${given.get('session_timeout')}'`,
    );
  }
  const settings: Asked['settings'] = [];
  const params: Asked['params'] = [];
  for (const [name, value] of given) addSetting(name, value, settings, params);
  return {
    user,
    queryId: given.get('query_id') || header('x-clickhouse-query-id') || randomUUID(),
    query: given.get('query') ?? '',
    database: given.get('database') ?? header('x-clickhouse-database'),
    format: given.get('default_format') ?? header('x-clickhouse-format') ?? 'TabSeparated',
    settings,
    params,
    sessionId,
    sessionTimeoutMs: sessionTimeoutS * 1000,
    waitEndOfQuery: /^(1|true)$/.test(given.get('wait_end_of_query') ?? given.get('http_wait_end_of_query') ?? ''),
    readOnly: request.method === 'GET',
    encoding:
      given.get('enable_http_compression') === '0' ? undefined : acceptedEncoding(header('accept-encoding') ?? ''),
  };
}

/** Sorts one field into settings or parameters; used for the URL and for multipart bodies. */
export function addSetting(name: string, value: string, settings: Asked['settings'], params: Asked['params']): void {
  const isParam = name.startsWith('param_');
  if (!isParam && reserved.has(name)) return;
  if (!settingName.test(name)) throw exception('UNKNOWN_SETTING', `Unknown setting '${name}'`);
  if (settings.length + params.length >= settingsMax) {
    throw exception('BAD_ARGUMENTS', `More than ${settingsMax} settings and parameters`);
  }
  if (isParam) params.push([name, value]);
  else settings.push([name, value]);
}

function acceptedEncoding(header: string): Asked['encoding'] {
  const names = header.split(',').filter((part) => !/;\s*q=0(\.0*)?\s*$/.test(part));
  const accepted = new Set(names.map((part) => part.split(';')[0]?.trim()));
  if (accepted.has('gzip')) return 'gzip';
  return accepted.has('zstd') ? 'zstd' : undefined;
}

const hash = (text: string) => createHash('sha256').update(text).digest();

function authenticate(request: IncomingMessage, given: URLSearchParams, passwords: Passwords): User {
  const credentials = readCredentials(request, given);
  if (!credentials) throw exception('REQUIRED_PASSWORD', 'A user and a password are required');
  const { user, password } = credentials;
  const known = Object.hasOwn(passwords, user) ? (user as User) : undefined;
  // An unknown user costs the same comparison as a known one.
  const expected = hash(known ? passwords[known] : randomUUID());
  if (!timingSafeEqual(hash(password), expected) || !known) {
    const text = `${user}: Authentication failed: password is incorrect, or there is no user with such name`;
    throw exception('AUTHENTICATION_FAILED', text);
  }
  return known;
}

function readCredentials(request: IncomingMessage, given: URLSearchParams) {
  const user = request.headers['x-clickhouse-user'];
  const key = request.headers['x-clickhouse-key'];
  if (typeof user === 'string') return { user, password: typeof key === 'string' ? key : '' };
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    return colon < 0 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  const named = given.get('user');
  return named === null ? undefined : { user: named, password: given.get('password') ?? '' };
}
