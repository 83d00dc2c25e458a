/** `gridtick up`: an installation from its start to Ctrl-C, SIGTERM, or the end of the shell that started it. */
import { once } from 'node:events';
import type { Config } from '../config/config.ts';
import { screen } from './endpoints.ts';
import { startInstallation } from './installation.ts';
import { Playback } from './playback.ts';
import { parentOf, processName } from './processes.ts';

const parentPollMs = 500;

/** Resolves when everything has been stopped. @throws when the start fails */
export async function runSupervisor(config: Config, say: (line: string) => void): Promise<void> {
  const stop = new AbortController();
  // The terminal and npm both deliver a Ctrl-C, so the second one of a pair means nothing.
  const asked = (signal: string) => {
    if (stop.signal.aborted) return;
    say(`\n${signal}: stopping everything …`);
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => asked(signal));
  // A terminal that went away must not end a stop half-way.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  watchParent(() => asked('the shell that started this is gone'));

  const startedAt = Date.now();
  const playback = config.clock === 'driven' ? new Playback(say) : null;
  const installation = await startInstallation({
    config,
    say,
    signal: stop.signal,
    ...(playback && { onFleetLine: (line: string) => playback.heard(line) }),
  });
  say(screen(installation.endpoints, config.dataDir));
  say(`  serving after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  void playback?.report(installation.place).catch((error: Error) => {
    if (!stop.signal.aborted) say(`  the report cannot be made: ${error.message}`);
  });
  if (!stop.signal.aborted) await once(stop.signal, 'abort');
  await installation.stop();
  say('stopped.');
}

/**
 * Under npm, a killed npm leaves its script behind without a signal; no Ctrl-C could reach it any more. npm runs scripts
 * by `sh -c`, which may stay in between and then outlives npm as well.
 */
function watchParent(gone: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const npm = processName(parent) === 'sh' ? parentOf(parent) : null;
  setInterval(() => {
    if (process.ppid !== parent || (npm !== null && parentOf(parent) !== npm)) gone();
  }, parentPollMs).unref();
}
