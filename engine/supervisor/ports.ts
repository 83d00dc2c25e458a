/** Which ports the doors take: the configured ones, else the usual ones, else free ones. Never somebody else's. */
import { createServer, type Server } from 'node:net';
import { ConfigError, type Config } from '../config/config.ts';
import { variable } from '../config/settings.ts';

export const portNames = ['httpPort', 'ocppPort', 'natsPort', 'redisPort', 'clickhousePort'] as const;
export type PortName = (typeof portNames)[number];
export type Ports = Record<PortName, number>;

const purpose: Record<PortName, string> = {
  httpPort: 'the dashboard',
  ocppPort: 'the chargers',
  natsPort: 'NATS',
  redisPort: 'Redis',
  clickhousePort: 'ClickHouse',
};

/**
 * Ports that were free a moment ago, all different. `say` tells of every usual port that was busy.
 * @throws {ConfigError} when a configured port is taken
 */
export async function choosePorts(
  config: Config,
  wanted: readonly PortName[],
  say: (line: string) => void,
): Promise<Ports> {
  // All are held until the last is chosen: a free port must not be handed out twice.
  const held: Server[] = [];
  const hold = async (port: number) => {
    const server = await listen(config.bind, port);
    if (server) held.push(server);
    return server && (server.address() as { port: number }).port;
  };
  const ports: Ports = { httpPort: 0, ocppPort: 0, natsPort: 0, redisPort: 0, clickhousePort: 0 };
  try {
    // Configured ones first, so that a default does not take what somebody asked for.
    const inOrder = [...wanted].sort((a, b) => Number(config.configured.has(b)) - Number(config.configured.has(a)));
    for (const name of inOrder) {
      const port = await hold(config[name]);
      if (port === null && config.configured.has(name)) {
        throw new ConfigError(
          `port ${config[name]} on ${config.bind} is taken by another program: set ${variable(name)} to a free one, or to 0 for any`,
        );
      }
      const chosen = port ?? (await hold(0));
      if (chosen === null)
        throw new ConfigError(`no port is free on ${config.bind}: is it an address of this machine?`);
      if (port === null)
        say(
          `port ${config[name]} is taken, ${purpose[name]} get${name === 'ocppPort' ? '' : 's'} ${chosen} (${variable(name)} sets it)`,
        );
      ports[name] = chosen;
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** A server on that port, or null when the port is taken. */
function listen(host: string, port: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else if (error.code === 'EACCES')
        reject(new ConfigError(`port ${port} may not be opened by this user: choose one above 1023`));
      else if (error.code === 'EADDRNOTAVAIL')
        reject(new ConfigError(`${variable('bind')}=${host} is not an address of this machine`));
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}
