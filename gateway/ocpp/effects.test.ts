/** Effects of committed decisions, by a real NATS server. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { packr } from '#engine/wire';
import { startGateway } from './testing/gateway.ts';

async function natsServer(): Promise<string> {
  const port = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
  const directory = mkdtempSync(join(tmpdir(), 'gridtick-nats-'));
  const server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), '-sd', directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
  });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  await new Promise<void>((resolve) => {
    let text = '';
    server.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('Server is ready')) resolve();
    });
  });
  return `127.0.0.1:${port}`;
}

test('a committed supersede closes the socket on whichever gateway holds it; strange effects change nothing', async () => {
  const servers = await natsServer();
  const nats = await connect({ servers });
  onTestFinished(() => nats.close());
  const { open, door } = await startGateway({ nats });
  await nats.flush();
  const [kept, closed] = [await open('CP-1'), await open('CP-2')];
  await kept.call('Heartbeat', {});
  await closed.call('Heartbeat', {});
  const connection = door.of('charger.connected').find(({ to }) => to.id === 'CP-2')?.id;
  const effect = {
    id: 'e1',
    target: 'gw-1',
    kind: 'connection.close',
    body: { charger: 'CP-2', connection, code: 4001 },
  };
  nats.publish('effect.gw-1', new Uint8Array([0xc1]));
  nats.publish('effect.gw-1', packr.pack({ ...effect, kind: 'dance' }));
  nats.publish('effect.gw-1', packr.pack({ ...effect, body: { charger: 'CP-1', connection: 'another' } }));
  nats.publish(
    'effect.gw-2',
    packr.pack({ ...effect, body: { ...effect.body, connection: door.of('charger.connected')[0]?.id } }),
  );
  nats.publish('effect.gw-1', packr.pack(effect));
  nats.publish('effect.gw-1', packr.pack(effect));
  expect((await closed.closed).code).toBe(4001);
  expect((await kept.call('Heartbeat', {}))[0]).toBe(3);
});
