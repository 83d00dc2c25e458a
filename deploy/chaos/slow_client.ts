/** A live socket whose reader takes 1 byte a second: the gateway must neither wait for it nor keep everything for it. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { password, people } from '../system/money_plan.ts';
import { rssKib } from '../bench/lib/process_cpu.ts';
import { sleep } from '../system/installation.ts';
import type { Bed } from './bed.ts';

/** More than this, and somebody keeps what the page does not read. */
const grownKibMax = 100 * 1024;
const topics = ['station:nord', 'station:syd', 'me', 'health'];

/** A text frame as a client sends it: masked. */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  return Buffer.concat([
    Buffer.from([0x81, 0x80 | payload.length]),
    mask,
    payload.map((byte, i) => byte ^ mask[i % 4]!),
  ]);
}

/** @throws when the gateway's memory grows with what is not read */
export async function readSlowly({ market }: Bed, forMs: number): Promise<void> {
  const signIn = await fetch(`${market.httpUrl}/api/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${people[0]!}@kvarter.example`, password }),
  });
  await signIn.body?.cancel();
  const [cookie] = signIn.headers.getSetCookie()[0]!.split(';');
  const { hostname, port, host } = new URL(market.httpUrl);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const gateway = market.role('gateway').pid;
  const before = rssKib(gateway);
  const upgrade = [
    'GET /live HTTP/1.1',
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    `Cookie: ${cookie}`,
  ];
  socket.write(`${upgrade.join('\r\n')}\r\n\r\n`);
  await once(socket, 'readable');
  const answer = String(socket.read(12));
  if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`the live socket was refused: ${answer}`);
  for (const [id, topic] of topics.entries()) socket.write(textFrame(JSON.stringify({ op: 'sub', id: id + 1, topic })));
  for (let passed = 0; passed < forMs; passed += 1_000) {
    await sleep(1_000);
    socket.read(1);
  }
  socket.destroy();
  const grown = rssKib(gateway) - before;
  if (grown > grownKibMax) throw new Error(`the gateway grew by ${grown} KiB beside a slow page`);
}
