/** The process of a trial: `<partition> <deadly units as JSON>`; says each unit on stdout before it decides it. */
import { writeSync } from 'node:fs';
import type { Domain } from '#actors/actor';
import { loadConfig } from '../config/config.ts';
import { connectLog, Pace, ringPublisher } from '../log/mod.ts';
import { compileDomain } from '../partition/catalogue.ts';
import { jetstreamSource } from '../partition/replay_source.ts';
import { tryWhatComes } from '../partition/trial.ts';
import { build } from './build.ts';
import { jetstreamPorts } from './jetstream_ports.ts';

export async function runTrial(domain: Domain): Promise<void> {
  const [partition, deadly] = [Number(process.argv[2]), JSON.parse(process.argv[3] ?? '[]') as string[]];
  const { natsUrl, partitions, clock } = loadConfig(process.env);
  const nc = await connectLog(natsUrl, `trial-${partition}`, { waitForFirst: false });
  const publisher = ringPublisher(nc);
  await tryWhatComes({
    source: await jetstreamSource(nc, partition, partitions),
    ports: jetstreamPorts(nc, publisher, partition, new Pace(1), () => {}),
    catalogue: compileDomain(domain),
    clock,
    build,
    deadly,
    tell: (unit, sequence) => say(`${sequence} ${unit}\n`),
    decided: () => say('decided\n'),
  });
  say('survived\n');
  process.exit(0);
}

/** Written when it returns, also into a pipe that is full for a moment: there may be no next turn of the loop. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
