/**
 * The defects of ocpp-rpc 2.2.1 that this folder guards against, each with a test of our behaviour and one of the library's.
 * A failing test of the second kind is good news: the guard has become unnecessary.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { RPCServer } from 'ocpp-rpc';
import { expect, onTestFinished, test } from 'vitest';
import { openCharger, upgrade, upgradeText } from './testing/charger.ts';
import { startGateway } from './testing/gateway.ts';
import { meterValues, status } from './testing/messages.ts';

interface BareClient {
  handle(method: string | Handler, handler?: Handler): void;
  close(options: object): Promise<unknown>;
  call(method: string, params: object): Promise<unknown>;
}
type Handler = (call: { method: string; params: unknown }) => unknown;

/** The library as it comes, in strict mode. */
async function bare(onClient: (client: BareClient) => void, options: object = {}) {
  const rpc = new RPCServer({ protocols: ['ocpp1.6'], strictMode: true, ...options });
  const clients: BareClient[] = [];
  rpc.on('client', (client: BareClient) => {
    clients.push(client);
    onClient(client);
  });
  const http: Server = createServer();
  http.on('upgrade', (request, socket, head) => void rpc.handleUpgrade(request, socket as never, head));
  const sockets = new Set<Socket>();
  http.on('connection', (socket: Socket) => sockets.add(socket));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(async () => {
    // Its own close would wait for handlers that never settle.
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => http.close(closed));
  });
  return { rpc, clients, port: (http.address() as AddressInfo).port };
}

const quiet = (client: BareClient) => client.handle(() => ({}));

test('1: a broken escape in the URL is a 400', async () => {
  const { port } = await startGateway();
  expect((await upgrade(port, '/%zz')).status).toBe(400);
  expect((await upgrade(port, '/ocpp/CP-1')).status).toBe(101);
});

test('1, upstream: it rejects where nobody listens, which ends the process', async () => {
  const { rpc } = await bare(quiet);
  await expect(rpc.handleUpgrade({ url: '/%zz' } as IncomingMessage, null as never, Buffer.alloc(0))).rejects.toThrow(
    'URI malformed',
  );
});

const missing = [2, 'x', 'StatusNotification', { connectorId: 1, status: 'Available' }];

test('4 and 17: a missing field is an OccurenceConstraintViolation, spelled as 1.6 does, and nothing is echoed', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1');
  charger.send(missing);
  expect(await charger.next()).toEqual([
    4,
    'x',
    'OccurenceConstraintViolation',
    "/errorCode must have required property 'errorCode'",
    { path: '/errorCode', rule: 'required' },
  ]);
});

test('4 and 17, upstream: the other spelling, and the whole payload in the details', async () => {
  const { port } = await bare((client) => client.handle('StatusNotification', () => ({})));
  const charger = await openCharger(port, '/CP-1');
  charger.send(missing);
  const [, , code, , details] = await charger.next();
  expect([code, details.data]).toEqual(['OccurrenceConstraintViolation', missing[3]]);
});

test('5: a numeric id is echoed as a number', async () => {
  const { open } = await startGateway();
  expect((await (await open('CP-1')).call('Heartbeat', {}, 7)).slice(0, 2)).toEqual([3, 7]);
});

test('5, upstream: an error for id "-1"', async () => {
  const { port } = await bare(quiet);
  expect((await (await openCharger(port, '/CP-1')).call('Heartbeat', {}, 7)).slice(0, 3)).toEqual([
    4,
    '-1',
    'RpcFrameworkError',
  ]);
});

test('6: another spelling of the version is the same version, echoed and just as strict', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1', { protocol: 'OCPP1.6' });
  expect(charger.ws.protocol).toBe('OCPP1.6');
  expect((await charger.call('StatusNotification', {}))[0]).toBe(4);
});

test('6, upstream: no version at all is accepted, and strict mode is off', async () => {
  const { port } = await bare(quiet);
  const charger = await openCharger(port, '/CP-1', { protocol: null });
  expect(await charger.call('StatusNotification', { nonsense: true })).toEqual([3, '1', {}]);
});

test('7: one socket per charger', async () => {
  const { open } = await startGateway();
  const older = await open('CP-1');
  await open('CP-1');
  expect((await older.closed).code).toBe(4001);
});

test('7, upstream: both stay open', async () => {
  const { port } = await bare((client) =>
    client.handle('Heartbeat', () => ({ currentTime: new Date().toISOString() })),
  );
  const [a, b] = [await openCharger(port, '/CP-1'), await openCharger(port, '/CP-1')];
  expect([(await a.call('Heartbeat', {}))[0], (await b.call('Heartbeat', {}))[0]]).toEqual([3, 3]);
});

test('8: closing waits for no handler', async () => {
  const { open, door, gateway } = await startGateway({ limits: { stopMs: 400 } });
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  charger.send([2, 'x', 'StatusNotification', status()]);
  await door.until(() => door.of('connector.status').length === 1);
  await gateway.close();
  expect((await charger.closed).code).toBe(1012);
});

test('8, upstream: a handler that never settles keeps the socket open', async () => {
  const { port, clients } = await bare((client) => client.handle('Heartbeat', () => new Promise(() => undefined)));
  const charger = await openCharger(port, '/CP-1');
  charger.send([2, 'x', 'Heartbeat', {}]);
  await expect
    .poll(() => (clients[0] as unknown as { _pendingResponses: Map<string, unknown> })._pendingResponses.size)
    .toBe(1);
  const closing = clients[0]?.close({ code: 1012, awaitPending: true });
  const winner = await Promise.race([closing, new Promise((later) => setTimeout(later, 200, 'still open'))]);
  expect(winner).toBe('still open');
});

test('11: 256 KiB are the limit', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1');
  charger.send(JSON.stringify([2, 'x', 'DataTransfer', { vendorId: 'A', data: 'x'.repeat(300_000) }]));
  expect((await charger.closed).code).toBe(1009);
});

test('11, upstream: 100 MiB are', async () => {
  const { port } = await bare((client) => client.handle('DataTransfer', () => ({ status: 'Accepted' })));
  const charger = await openCharger(port, '/CP-1');
  expect((await charger.call('DataTransfer', { vendorId: 'A', data: 'x'.repeat(300_000) }))[0]).toBe(3);
});

test('11: what a compressed message inflates to counts', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1', { deflate: true });
  charger.send(JSON.stringify([2, 'x', 'DataTransfer', { vendorId: 'A', data: 'x'.repeat(2_000_000) }]));
  expect((await charger.closed).code).toBe(1009);
});

test('12: compression is agreed without context and with a small window; an offer that does not fit costs nothing', async () => {
  const { open, port } = await startGateway();
  const charger = await open('CP-1', { deflate: true });
  expect(charger.ws.extensions).toBe('permessage-deflate');
  expect(await charger.call('MeterValues', meterValues())).toEqual([3, '1', {}]);
  const agreed = await upgrade(port, '/ocpp/CP-2', {
    'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
  });
  for (const parameter of [
    'server_no_context_takeover',
    'client_no_context_takeover',
    'server_max_window_bits=10',
    'client_max_window_bits=10',
  ]) {
    expect(agreed.headers['sec-websocket-extensions']).toContain(parameter);
  }
  const muddled = {
    'Sec-WebSocket-Extensions': 'permessage-deflate; surprise=1, permessage-deflate; client_max_window_bits',
  };
  expect((await upgrade(port, '/ocpp/CP-4', muddled)).headers['sec-websocket-extensions']).toContain(
    'permessage-deflate',
  );
  const declined = await upgrade(port, '/ocpp/CP-3', {
    'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=8',
  });
  expect([declined.status, declined.headers['sec-websocket-extensions']]).toEqual([101, undefined]);
});

test('12, upstream: no compression is offered', async () => {
  const { port } = await bare(quiet);
  expect((await openCharger(port, '/CP-1', { deflate: true })).ws.extensions).toBe('');
});

test('13: an unknown action is NotImplemented', async () => {
  const { open } = await startGateway();
  expect((await (await open('CP-1')).call('MakeCoffee', {})).slice(0, 3)).toEqual([4, '1', 'NotImplemented']);
});

test('13, upstream: with a wildcard handler it is a ProtocolError', async () => {
  const { port } = await bare(quiet);
  expect((await (await openCharger(port, '/CP-1')).call('MakeCoffee', {})).slice(0, 3)).toEqual([
    4,
    '1',
    'ProtocolError',
  ]);
});

test('14: a frame in the same packet as the handshake is not lost', async () => {
  const { port, door } = await startGateway();
  const text = Buffer.from(JSON.stringify([2, 'early', 'StatusNotification', status()]));
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255, 0, 0, 0, 0]), text]);
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(Buffer.concat([Buffer.from(upgradeText('/ocpp/CP-1')), frame]));
  await door.until(() => door.of('connector.status').length === 1);
  expect(door.types).toEqual(['charger.connected', 'connector.status']);
});

test('14, upstream: a handler that is registered a moment later misses them', async () => {
  const { port } = await bare((client) => {
    setTimeout(() => client.handle('Heartbeat', () => ({ currentTime: new Date().toISOString() })), 100);
  });
  expect((await (await openCharger(port, '/CP-1')).call('Heartbeat', {})).slice(0, 3)).toEqual([
    4,
    '1',
    'NotImplemented',
  ]);
});

test('15: one CALL is in work', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  for (let i = 0; i < 30; i++) charger.send([2, `${i}x`, 'StatusNotification', status()]);
  await door.until(() => door.of('connector.status').length === 1);
  expect(door.of('connector.status')).toHaveLength(1);
  door.release();
  for (let i = 0; i < 30; i++) expect((await charger.next())[1]).toBe(`${i}x`);
});

test('15, upstream: all of them are, at once', async () => {
  let running = 0;
  const { port } = await bare((client) =>
    client.handle('Heartbeat', () => {
      running += 1;
      return new Promise(() => undefined);
    }),
  );
  const charger = await openCharger(port, '/CP-1');
  for (let i = 0; i < 30; i++) charger.send([2, `${i}x`, 'Heartbeat', {}]);
  await expect.poll(() => running).toBe(30);
});
