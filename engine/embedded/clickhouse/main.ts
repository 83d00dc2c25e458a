/** The role `clickhouse`: the embedded engine behind its HTTP door, for machines without a ClickHouse server. */
import { fstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { Engine } from './engine.ts';
import { openDoor } from './http_door.ts';

const log = pino({ name: 'clickhouse', level: process.env['GRIDTICK_LOG_LEVEL'] || 'info' }, pino.destination(2));

/** Time for running inserts to end after SIGTERM, ms; the supervisor kills after 8 s. */
const stopMs = 7_000;

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function portFrom(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`GRIDTICK_CLICKHOUSE_PORT must be a port from 0 (any free one) to 65535, not '${text}'`);
  }
  return port;
}

async function serve() {
  // The engine takes the machine's zone, whatever its configuration says; a history has one zone everywhere.
  process.env['TZ'] = 'UTC';
  const directory = join(setting('GRIDTICK_DATA_DIR'), 'clickhouse');
  const passwords = {
    gridtick: setting('GRIDTICK_CLICKHOUSE_PASSWORD'),
    analyst: setting('GRIDTICK_ANALYST_PASSWORD'),
  };
  const port = portFrom(process.env['GRIDTICK_CLICKHOUSE_PORT'] || '8123');
  const engine = new Engine(directory);
  // Only this process has the directory open now: what lies here was left by one that was killed.
  const spoolDirectory = join(directory, 'spool');
  rmSync(spoolDirectory, { recursive: true, force: true });
  mkdirSync(spoolDirectory, { mode: 0o700 });
  const bind = process.env['GRIDTICK_BIND'] || '127.0.0.1';
  const door = await openDoor({ engine, bind, port, passwords, spoolDirectory, log });

  let stopping = false;
  const stop = (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'stopping');
    setTimeout(() => process.exit(1), stopMs).unref();
    void door
      .close()
      .then(() => engine.close())
      .then(() => process.exit(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // The supervisor holds the other end of this pipe; when it is gone, also by kill -9, so are we.
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket()) process.stdin.on('close', () => stop('supervisor gone')).resume();
  process.stdout.write(`${JSON.stringify({ ready: true, port: door.port, version: engine.version })}\n`);
  log.info(
    { port: door.port, bind, version: engine.version, rssMb: Math.round(process.memoryUsage.rss() / 1e6) },
    'serving',
  );
}

serve().catch((error: unknown) => {
  const port = process.env['GRIDTICK_CLICKHOUSE_PORT'];
  const busy = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  const text = busy ? `port ${port} is taken; set GRIDTICK_CLICKHOUSE_PORT to a free one` : (error as Error).message;
  log.fatal({ err: error }, text);
  process.exit(1);
});
