/** A quote server on a real socket, which does with each question what the test says. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface Question {
  /** From 1, over all connections. */
  n: number;
  symbol: string;
  user: string;
  socket: Socket;
  /** A right answer with its line end. */
  answer(price?: string): string;
}

export async function startQuoteServer(reply: (question: Question) => unknown) {
  let asked = 0;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const [symbol = '', user = ''] = text.slice(0, end).split(',');
        text = text.slice(end + 1);
        // What comes after its own end is not read by a server.
        if (socket.writableEnded) return;
        asked += 1;
        const n = asked;
        const answer = (price = '12.34') => `${price},${symbol},${user},${1_700_000_000_000 + n},key${n}=\n`;
        reply({ n, symbol, user, socket, answer });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    asked: () => asked,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
