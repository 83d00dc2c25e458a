/**
 * What every role's process has in common: logging, the operators' door, one ready line, an end on SIGTERM or when the
 * supervisor is gone.
 */
import { fstatSync } from 'node:fs';
import pino, { type Logger } from 'pino';
import { loadConfig, type Config } from '../config/config.ts';
import { armFailpoint } from '../failpoint.ts';
import { checkAll, type Probes } from '../telemetry/health.ts';
import { openOpsDoor } from '../telemetry/ops_door.ts';
import { openRegistry, type Registry } from '../telemetry/registry.ts';
import { openTracer, type Tracer } from '../telemetry/tracer.ts';

export interface Role {
  /** What must be so for it to do its work; asked for `/health/ready`. */
  readonly probes?: Probes;
  close(): Promise<void>;
}
export interface RoleContext {
  config: Config;
  log: Logger;
  /** What it measures, shown at `/metrics`. */
  metrics: Registry;
  /** Absent: nothing is followed. */
  tracer?: Tracer;
  /** The role must not go on: nothing is saved any more, the supervisor starts it again. */
  onFatal(error: unknown): void;
}

const never = (reason: string): Probes => ({ role: () => Promise.reject(new Error(reason)) });

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
  let tracer: Tracer | undefined;
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
      const close = async () => {
        await role?.close();
        await tracer?.close();
      };
      void close().then(() => process.exit(code), onFatal);
    };
    process.on('uncaughtException', onFatal);
    process.on('unhandledRejection', onFatal);
    process.on('SIGTERM', () => end(0, 'SIGTERM'));
    process.on('SIGINT', () => end(0, 'SIGINT'));
    // The supervisor holds the other end of this pipe; when it is gone, also by kill -9, so are we.
    const stdin = fstatSync(0);
    if (stdin.isFIFO() || stdin.isSocket()) process.stdin.on('close', () => end(0, 'supervisor gone')).resume();
    const metrics = openRegistry();
    const ops = await openOpsDoor({
      config,
      metrics: () => metrics.metrics(),
      ready: () => checkAll(ending ? never('ending') : role ? (role.probes ?? {}) : never('starting')),
    });
    tracer = await openTracer(config, name);
    const started = await start({ config, log, metrics, ...(tracer && { tracer }), onFatal });
    role = started;
    const { port: metricsPort } = ops;
    log.info({ metricsPort }, 'ready');
    process.stdout.write(`${JSON.stringify({ ready: true, role: name, metricsPort, ...started.ready })}\n`);
  } catch (error) {
    onFatal(error);
  }
}
