/** The yardstick's other end: answers every request with as many bytes as the door would, and does nothing else. */
import { connectLog } from '#engine/log/mod';
import { exampleAnswer } from './names.ts';

const nc = await connectLog(process.env['GRIDTICK_BENCH_URL']!, 'echo');
const answer = new TextEncoder().encode(exampleAnswer);
nc.subscribe('echo', { queue: 'gateways', callback: (_, message) => void message.respond(answer) });
await nc.flush();
process.stdin.on('close', () => process.exit(0)).resume();
process.stdout.write('ready\n');
