/** Process of the role "history". */
import { fstatSync } from 'node:fs';
import pino from 'pino';
import { loadConfig } from '../config/config.ts';
import { armFailpoint } from '../failpoint.ts';
import { runHistory } from './history_role.ts';

/** The supervisor ends what has not ended by itself 8 s after SIGTERM. */
const stopMsMax = 7_000;

const log = pino(
  { base: { role: 'history' }, level: process.env['GRIDTICK_LOG_LEVEL'] || 'info' },
  pino.destination({ dest: 2, sync: true }),
);
let role: { close(): Promise<void> } | undefined;
let ending = false;

function end(code: number, reason: string): void {
  if (ending) return;
  ending = true;
  log.info({ reason, code }, 'ending');
  setTimeout(() => process.exit(code === 0 ? 1 : code), stopMsMax).unref();
  void (role?.close() ?? Promise.resolve()).then(
    () => process.exit(code),
    (error: unknown) => {
      log.error({ err: error }, 'could not end in order');
      process.exit(1);
    },
  );
}

/** A projection that must not go on: nothing is saved any more, the supervisor starts the role again. */
function fatal(error: unknown): void {
  log.fatal({ err: error }, 'history stopped');
  process.exit(1);
}

process.on('uncaughtException', fatal);
process.on('unhandledRejection', fatal);
process.on('SIGTERM', () => end(0, 'SIGTERM'));
process.on('SIGINT', () => end(0, 'SIGINT'));
// The supervisor holds the other end of this pipe; when it is gone, also by kill -9, so are we.
const stdin = fstatSync(0);
if (stdin.isFIFO() || stdin.isSocket()) process.stdin.on('close', () => end(0, 'supervisor gone')).resume();

try {
  const config = loadConfig(process.env);
  armFailpoint(config.failpoint);
  role = await runHistory(config, { log, onFatal: fatal });
  process.stdout.write(`${JSON.stringify({ ready: true, role: 'history' })}\n`);
} catch (error) {
  fatal(error);
}
