/**
 * The ClickHouse engine as a library, one data directory per process. Every request gets a session of its own (≈ 1 ms):
 * E1  settings and parameters set for one request never reach another;
 * E2  after a failed query the engine puts what that query had already written in front of the session's next result
 *     (chdb 3.4), so a session that has failed is closed, or flushed where a client keeps it;
 * E3  parameters go in by `SET param_…`, because the library's own binding is not isolated between sessions.
 */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Session, drainPending, type RawInsertFormat } from 'chdb';
import { engineConfig } from './engine_config.ts';
import { fromEngine } from './exception.ts';

export interface EngineResult {
  bytes: Uint8Array;
  rowsRead: number;
  bytesRead: number;
}

/** A string literal for the engine's parser. */
export const quoted = (text: string) => `'${text.replace(/[\\'\0]/g, (c) => (c === '\0' ? '\\0' : `\\${c}`))}'`;

export class Engine {
  readonly path: string;
  readonly version: string;
  /** Keeps the directory open between requests and carries `KILL QUERY`. */
  readonly #admin: Session;

  /** @throws Error in words when the directory cannot be opened; another process that holds it is the usual reason. */
  constructor(path: string) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK);
    const config = join(path, 'engine.xml');
    writeFileSync(config, engineConfig(), { mode: 0o600 });
    try {
      this.#admin = new Session(path, { connectionArgs: [`--config-file=${config}`] });
    } catch (error) {
      throw new Error(
        `cannot open the ClickHouse data directory '${path}': another process has it open ` +
          `(one process per directory; stop it, or choose another GRIDTICK_DATA_DIR), or its files are damaged`,
        { cause: error },
      );
    }
    this.path = path;
    this.version = this.#admin.query('SELECT version()', 'TSVRaw').trim();
  }

  /** Runs statements of ours, in order, on this thread. For the start, before there are requests. */
  prepare(statements: readonly string[]): void {
    for (const statement of statements) this.#admin.query(statement, 'Null');
  }

  session(): EngineSession {
    return new EngineSession(new Session(this.path));
  }

  /** Cancels the query that runs under this mark; nothing happens when none does. Runs on this thread: ≈ 4 ms. */
  kill(mark: string): void {
    this.#admin.query(`KILL QUERY WHERE Settings['log_comment'] = ${quoted(mark)} ASYNC`, 'Null');
  }

  /** Waits for what runs, then lets the directory go. */
  async close(): Promise<void> {
    await drainPending();
    this.#admin.close();
    await drainPending();
  }
}

export class EngineSession {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Runs one statement, or several of ours; bytes in `format` unless the statement names its own. */
  async query(sql: string, format: string): Promise<EngineResult> {
    try {
      const result = await this.#session.queryAsync(sql, { format });
      return { bytes: result.bytes(), rowsRead: result.rowsRead, bytesRead: result.bytesRead };
    } catch (error) {
      throw fromEngine(error);
    }
  }

  async text(sql: string): Promise<string> {
    return Buffer.from((await this.query(sql, 'TSVRaw')).bytes).toString('utf8');
  }

  /**
   * The statement as the engine's parser understands it, on one line, without comments. Executes nothing.
   * @throws SYNTAX_ERROR, also when there are several statements
   */
  async canonical(sql: string): Promise<string> {
    return (await this.text(`SELECT formatQuerySingleLine(${quoted(sql)})`)).replace(/\n$/, '');
  }

  /** Each chunk is a whole block in `format`; the next is made when it is asked for. Only SELECT can be streamed. */
  async *stream(sql: string, format: string): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#session.queryStream(sql, { format })) yield chunk.raw();
    } catch (error) {
      throw fromEngine((error as Error).cause ?? error);
    }
  }

  /** Bytes go to the engine's parser without becoming text here. Resolves with the number of rows written. */
  async insert(table: string, columns: string[] | undefined, format: RawInsertFormat, values: Buffer): Promise<number> {
    try {
      const params = { table, format, values };
      return (await this.#session.insert(columns ? { ...params, columns } : params)).rowsWritten;
    } catch (error) {
      throw fromEngine((error as Error).cause ?? error);
    }
  }

  /** See E2. */
  async flush(): Promise<void> {
    await this.#session.queryAsync('SELECT 1').catch(() => undefined);
  }

  close(): void {
    this.#session.close();
  }
}
