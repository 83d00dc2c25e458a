/**
 * The OCPP edge alone: the product's gateway before a door that acknowledges at once. The difference to the yardstick is
 * what guards, repairs and validation cost; the difference to the whole is the log. Same output as the yardstick.
 */
import { parseArgs } from 'node:util';
import { startOcpp } from '#gateway/ocpp/mod';
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
let inFlight = 0;
const connections = new Map<string, number>();
const quiet = () => undefined;
const edge = await startOcpp({
  gatewayId: 'bench',
  bind: args.bind,
  port: Number(args.port),
  log: { info: quiet, warn: quiet, error: console.error },
  limits: { callsPerSecond: Infinity, callBurst: Infinity },
  resolve: async (identity) => ({
    charger: identity.toUpperCase(),
    site: 'bench',
    station: 'bench-1',
    securityProfile: 0,
    passwordHash: '',
    profile0Networks: ['127.0.0.0/8'],
  }),
  door: {
    partitions: 16,
    get inFlight() {
      return inFlight;
    },
    append: () => {
      count();
      inFlight += 1;
      return new Promise<void>((stored) =>
        setImmediate(() => {
          inFlight -= 1;
          stored();
        }),
      );
    },
    async request({ to, type }) {
      count();
      const connectionSeq = (connections.get(to.id) ?? 0) + 1;
      if (type === 'charger.connected') connections.set(to.id, connectionSeq);
      const token = { status: 'Accepted', expiresAt: null, group: null };
      return {
        ok: true,
        at: '0:1',
        value: { connectionSeq, status: 'Accepted', intervalS: 300, transaction: 1, token },
      };
    },
  },
});
process.on('SIGTERM', () => {
  const { user, system } = process.cpuUsage(cpuAtFirst);
  const { lagMs, counters } = edge.stats();
  console.log(
    JSON.stringify({
      messages,
      cpuMicros: user + system,
      rssBytes: process.memoryUsage().rss,
      lagMs,
      pauses: counters.pauses,
    }),
  );
  process.exit(0);
});
console.log(JSON.stringify({ ready: true, port: edge.port, pid: process.pid }));
