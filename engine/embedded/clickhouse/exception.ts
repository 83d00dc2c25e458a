/** Errors as ClickHouse tells them over HTTP: a code, a name, one line of text. */

/** Codes that this door raises itself; the engine's own pass through. */
const codes = {
  BAD_ARGUMENTS: 36,
  NOT_IMPLEMENTED: 48,
  SYNTAX_ERROR: 62,
  UNKNOWN_SETTING: 115,
  READONLY: 164,
  QUOTA_EXCEEDED: 201,
  REQUIRED_PASSWORD: 194,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  QUERY_IS_TOO_LARGE: 307,
  UNKNOWN_EXCEPTION: 1002,
  SESSION_IS_LOCKED: 373,
  QUERY_WAS_CANCELLED: 394,
  TOO_MANY_BYTES: 307,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
} as const;

export class ClickHouseException extends Error {
  override name = 'ClickHouseException';
  readonly code: number;
  /** Upper-case name of the code, e.g. `SYNTAX_ERROR`. */
  readonly type: string;

  constructor(code: number, type: string, text: string) {
    super(text);
    this.code = code;
    this.type = type;
  }

  /** The line a client parses: `Code: 62. DB::Exception: … (SYNTAX_ERROR) (version …)`. */
  line(version: string): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.type}) (version ${version} (embedded))\n`;
  }
}

export const exception = (type: keyof typeof codes, text: string) => new ClickHouseException(codes[type], type, text);

const told = /^Code: (\d+)\. DB::Exception: ([\s\S]*?)\s*\(([A-Z][A-Z0-9_]+)\)\s*$/;
/** Inserts wrap the engine's line in a second one. */
const wrapped = /^Code: \d+\. DB::Exception: ([\s\S]*?)\s*\([A-Z][A-Z0-9_]+\) \(version [^)]*\)\.$/;

/** What the engine threw, with its code and name taken out of the text. */
export function fromEngine(error: unknown): ClickHouseException {
  if (error instanceof ClickHouseException) return error;
  const text = error instanceof Error ? error.message : String(error);
  const [, code, message, type] = told.exec(text) ?? [];
  if (code === undefined || message === undefined || type === undefined) return exception('UNKNOWN_EXCEPTION', text);
  return new ClickHouseException(Number(code), type, wrapped.exec(message)?.[1] ?? message);
}

const statuses: Record<number, readonly number[]> = {
  400: [6, 25, 26, 27, 36, 38, 41, 42, 43, 53, 62, 69, 72, 117, 131, 456, 457],
  401: [194],
  403: [164, 192, 193, 497, 516],
  404: [46, 47, 50, 56, 60, 73, 81, 115],
  408: [159],
  413: [307],
  423: [373],
  429: [201, 202],
  501: [48],
};
const statusByCode = new Map(
  Object.entries(statuses).flatMap(([status, list]) => list.map((c) => [c, Number(status)])),
);

/** HTTP status as ClickHouse's server chooses it; 500 for what it has no other for. */
export const httpStatus = (e: ClickHouseException): number => statusByCode.get(e.code) ?? 500;
