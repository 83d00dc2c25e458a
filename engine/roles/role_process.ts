/** What every role's process has in common: logging, one ready line, an end on SIGTERM or when the supervisor is gone. */
import { fstatSync } from 'node:fs';
import pino, { type Logger } from 'pino';
import { loadConfig, type Config } from '../config/config.ts';
import { armFailpoint } from '../failpoint.ts';

export interface Role {
  close(): Promise<void>;
}
export interface RoleContext {
  config: Config;
  log: Logger;
  /** The role must not go on: nothing is saved any more, the supervisor starts it again. */
  onFatal(error: unknown): void;
}

/** Runs `start` as this process's role. The ready line may carry what `start` returns beside `close`. */
export async function runRole(
  name: string,
  start: (context: RoleContext) => Promise<Role & { ready?: Record<string, unknown> }>,
) {
  const log = pino(
    { base: { role: name }, level: process.env['GRIDTICK_LOG_LEVEL'] || 'info' },
    pino.destination({ dest: 2, sync: true }),
  );
  let role: Role | undefined;
  let ending = false;
  const onFatal = (error: unknown): void => {
    log.fatal({ err: error }, `${name} stopped`);
    process.exit(1);
  };
  try {
    const config = loadConfig(process.env);
    armFailpoint(config.failpoint);
    const end = (code: number, reason: string) => {
      if (ending) return;
      ending = true;
      log.info({ reason, code }, 'ending');
      setTimeout(() => process.exit(1), Math.max(500, config.stopMs - 1_000)).unref();
      void (role?.close() ?? Promise.resolve()).then(() => process.exit(code), onFatal);
    };
    process.on('uncaughtException', onFatal);
    process.on('unhandledRejection', onFatal);
    process.on('SIGTERM', () => end(0, 'SIGTERM'));
    process.on('SIGINT', () => end(0, 'SIGINT'));
    // The supervisor holds the other end of this pipe; when it is gone, also by kill -9, so are we.
    const stdin = fstatSync(0);
    if (stdin.isFIFO() || stdin.isSocket()) process.stdin.on('close', () => end(0, 'supervisor gone')).resume();
    const started = await start({ config, log, onFatal });
    role = started;
    process.stdout.write(`${JSON.stringify({ ready: true, role: name, ...started.ready })}\n`);
  } catch (error) {
    onFatal(error);
  }
}
