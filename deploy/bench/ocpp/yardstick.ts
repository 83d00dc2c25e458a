/**
 * The yardstick: a bare ocpp-rpc server in strict mode that answers and stores nothing. Prints {"ready",…} and, on SIGTERM,
 * its messages and CPU time.
 *
 *   --port 0   --bind 127.0.0.1
 */
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { RPCServer } from 'ocpp-rpc';
import { endWithParent } from './parent.ts';

endWithParent();
const { values: args } = parseArgs({
  options: { port: { type: 'string', default: '0' }, bind: { type: 'string', default: '127.0.0.1' } },
});

let messages = 0;
/** Counted from the first message, so that start-up is left out. */
let cpuAtFirst = process.cpuUsage();
const count = () => {
  if (messages === 0) cpuAtFirst = process.cpuUsage();
  messages += 1;
};
const server = new RPCServer({ protocols: ['ocpp1.6'], strictMode: true });
server.on('client', (client: { handle(method: string, handler: () => Promise<object>): void }) => {
  const answer = (method: string, make: () => object) =>
    client.handle(method, async () => {
      count();
      return make();
    });
  answer('MeterValues', () => ({}));
  answer('BootNotification', () => ({ status: 'Accepted', currentTime: new Date().toISOString(), interval: 300 }));
  answer('Heartbeat', () => ({ currentTime: new Date().toISOString() }));
  answer('StartTransaction', () => ({ transactionId: 1, idTagInfo: { status: 'Accepted' } }));
});

const http = await server.listen(Number(args.port), args.bind);
process.on('SIGTERM', () => {
  const { user, system } = process.cpuUsage(cpuAtFirst);
  console.log(JSON.stringify({ messages, cpuMicros: user + system, rssBytes: process.memoryUsage().rss }));
  process.exit(0);
});
console.log(JSON.stringify({ ready: true, port: (http.address() as AddressInfo).port, pid: process.pid }));
