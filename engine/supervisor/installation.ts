/**
 * A whole installation under one supervisor: three servers, the roles, the seed, the simulated fleet.
 *
 * Invariants: 1. nobody else works on the data directory (lock), nor a process of an earlier supervisor (pid file).
 * 2. `endpoints.json` exists exactly while everything was ready and nothing was asked to stop.
 * 3. What was started is stopped, last first, within `stopMs`, whatever it does.
 */
import { chmodSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';
import { Child, type ChildSpec } from './child.ts';
import { endpointsOf, removeEndpoints, writeEndpoints, type Endpoints } from './endpoints.ts';
import { GatheredOps } from './gathered_ops.ts';
import { lockDataDirectory, type Lock } from './lock.ts';
import { realParts, type Parts, type Place } from './parts.ts';
import { PidFile } from './pid_file.ts';
import { choosePorts, portNames, type PortName } from './ports.ts';
import { keepScenario } from './scenario.ts';
import { openSecrets } from './secrets.ts';

export interface InstallationOptions {
  config: Config;
  /** Lines for the screen. @default nobody listens */
  say?: (line: string) => void;
  /** Stops a start that is under way. */
  signal?: AbortSignal;
  /** Lines of the simulated fleet. */
  onFleetLine?: (line: string) => void;
  /** Variables for the children beside the settings. @default process.env */
  env?: NodeJS.ProcessEnv;
  /** Other servers and roles, for tests of the supervisor itself. */
  parts?: Parts;
}

export interface Installation {
  readonly endpoints: Endpoints;
  /** Addresses with core credentials, as the roles get them. */
  readonly place: Place;
  /** Role → pid of the process that runs now. */
  pids(): Record<string, number>;
  /** Sends a signal to a role; it comes back with back-off unless everything is being stopped. */
  kill(role: string, signal: NodeJS.Signals): void;
  /** Resolves when the role serves: now, or after its next start. */
  whenReady(role: string): Promise<void>;
  /** Ends everything in reverse order. Safe to call twice. */
  stop(): Promise<void>;
}

/** @throws ConfigError, LockHeld, or the reason why a part does not start; nothing runs then */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { config, say = () => {}, signal } = options;
  mkdirSync(join(config.dataDir, 'logs'), { recursive: true, mode: 0o700 });
  chmodSync(config.dataDir, 0o700);
  const dataDir = realpathSync(config.dataDir);
  const lock = await lockDataDirectory(dataDir);
  const running = new Running(dataDir, config.stopMs, lock, say);
  const abort = () => void running.stop();
  signal?.addEventListener('abort', abort);
  try {
    await keepScenario(config);
    const leftOver = await running.pids.endLeftOver();
    if (leftOver.length > 0) say(`ended what an earlier run left: ${leftOver.join(', ')}`);
    removeEndpoints(dataDir);
    const secrets = openSecrets(dataDir);
    const ports = await choosePorts(config, wantedPorts(config), say);
    const metricsPort = await running.openOps(config);
    const place: Place = { config: { ...config, dataDir }, ports, secrets, env: options.env ?? process.env };
    const parts = options.parts ?? realParts;

    say('starting the servers …');
    await running.start(parts.servers(place));
    await running.during(parts.provision(place));
    say('starting the roles …');
    await running.start(parts.roles(place));
    for (const spec of parts.seed(place)) await running.once(spec);
    const { onFleetLine: heard } = options;
    await running.start(parts.fleet(place).map((spec) => (heard ? { ...spec, heard } : spec)));

    const endpoints = endpointsOf(place.config, ports, secrets, metricsPort);
    running.serve(endpoints);
    return {
      endpoints,
      place,
      pids: () => running.pidsByRole(),
      kill: (role, by) => void running.child(role).kill(by),
      whenReady: (role) => running.child(role).whenReady(),
      stop: () => running.stop(),
    };
  } catch (error) {
    await running.stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Ports of the doors, and of those servers that are ours. */
function wantedPorts(config: Config): PortName[] {
  const replaced = { natsPort: config.natsUrl, redisPort: config.redisUrl, clickhousePort: config.clickhouseUrl };
  return portNames.filter((name) => !(replaced as Partial<Record<PortName, string>>)[name]);
}

export class StartInterrupted extends Error {
  override name = 'StartInterrupted';
}

class Running {
  readonly pids: PidFile;
  /** In the order of their start; those of one stage start and stop together. */
  readonly #stages: Child[][] = [];
  readonly #dataDir: string;
  readonly #stopMs: number;
  readonly #lock: Lock;
  readonly #say: (line: string) => void;
  readonly #ops = new GatheredOps();
  #closeOps: () => Promise<void> = async () => {};
  #stopped: Promise<void> | null = null;

  constructor(dataDir: string, stopMs: number, lock: Lock, say: (line: string) => void) {
    this.pids = new PidFile(dataDir);
    this.#dataDir = dataDir;
    this.#stopMs = stopMs;
    this.#lock = lock;
    this.#say = say;
  }

  /** Port under which metrics and health of all are found. */
  async openOps(config: Config): Promise<number> {
    const { port, close } = await this.#ops.open(config);
    this.#closeOps = close;
    const { metricsPort } = config;
    if (metricsPort !== 0 && metricsPort !== port)
      this.#say(`port ${metricsPort} is taken, metrics get ${port} (${variable('metricsPort')} sets it)`);
    return port;
  }

  async start(specs: ChildSpec[]): Promise<void> {
    this.#goOn();
    const stage = specs.map((spec) => this.#child(spec));
    this.#stages.push(stage);
    await this.during(Promise.all(stage.map((child) => child.start())));
  }

  /** Runs a part that ends by itself. */
  async once(spec: ChildSpec): Promise<void> {
    this.#goOn();
    const child = this.#child({ ...spec, oneShot: true });
    this.#stages.push([child]);
    await this.during(child.start());
    this.#stages.pop();
    await child.stop(0);
  }

  /** Waits for a step of the start, and turns a stop meanwhile into an error. */
  async during(step: Promise<unknown>): Promise<void> {
    try {
      await step;
    } finally {
      this.#goOn();
    }
  }

  serve(endpoints: Endpoints): void {
    this.#goOn();
    writeEndpoints(this.#dataDir, endpoints);
    this.#ops.serves();
  }

  child(role: string): Child {
    const found = this.#stages.flat().find((child) => child.spec.role === role);
    if (!found)
      throw new Error(
        `no role '${role}' here: ${this.#stages
          .flat()
          .map((child) => child.spec.role)
          .join(', ')}`,
      );
    return found;
  }

  pidsByRole(): Record<string, number> {
    return Object.fromEntries(this.#stages.flat().flatMap(({ spec, pid }) => (pid === null ? [] : [[spec.role, pid]])));
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll(): Promise<void> {
    removeEndpoints(this.#dataDir);
    const deadline = Date.now() + this.#stopMs;
    for (const stage of this.#stages.toReversed()) {
      // Half of what is left for each stage: the last ones, which hold the data, always get their share.
      const limitMs = Math.max(250, (deadline - Date.now()) / 2);
      await Promise.all(stage.map((child) => child.stop(limitMs)));
    }
    await this.#closeOps();
    await this.#lock.release();
  }

  #child(spec: ChildSpec): Child {
    const heard = (line: string) => {
      this.#ops.heard(spec.role, line);
      spec.heard?.(line);
    };
    return new Child(
      { ...spec, heard },
      {
        pids: this.pids,
        logFile: join(this.#dataDir, 'logs', `${spec.role}.log`),
        say: this.#say,
      },
    );
  }

  #goOn(): void {
    if (this.#stopped) throw new StartInterrupted('stopped before everything was ready');
  }
}
