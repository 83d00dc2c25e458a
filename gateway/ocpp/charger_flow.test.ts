/** A charger's life over a real socket: grant, order, answers after the durable effect, duplicates, newest wins. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { upgrade } from './testing/charger.ts';
import { password, startGateway } from './testing/gateway.ts';
import { boot, meterValues, start, status, stop } from './testing/messages.ts';

test('a session from boot to stop: every message becomes one fact of the granted connection, in order', async () => {
  const { open, door } = await startGateway({ clock: { now: () => Date.parse('2026-03-01T12:00:05Z') } });
  const charger = await open('CP-1');
  expect(await charger.call('BootNotification', boot)).toEqual([
    3,
    '1',
    { status: 'Accepted', currentTime: '2026-03-01T12:00:05.000Z', interval: 300 },
  ]);
  expect(await charger.call('StatusNotification', status('Preparing'))).toEqual([3, '2', {}]);
  expect(await charger.call('Authorize', { idTag: 'DEMO0001' })).toEqual([
    3,
    '3',
    { idTagInfo: { status: 'Accepted' } },
  ]);
  expect(await charger.call('StartTransaction', start)).toEqual([
    3,
    '4',
    { transactionId: 33_554_433, idTagInfo: { status: 'Accepted' } },
  ]);
  expect(await charger.call('MeterValues', meterValues())).toEqual([3, '5', {}]);
  expect(await charger.call('StopTransaction', stop)).toEqual([3, '6', { idTagInfo: { status: 'Accepted' } }]);
  expect(await charger.call('DataTransfer', { vendorId: 'Acme' })).toEqual([3, '7', { status: 'UnknownVendorId' }]);
  expect(door.types).toEqual([
    'charger.connected',
    'charger.booted',
    'connector.status',
    'token.presented',
    'session.started',
    'meter.sampled',
    'session.ended',
    'vendor.message',
  ]);
  for (const fact of door.facts) {
    expect(fact).toMatchObject({
      id: null,
      fact: true,
      to: { kind: 'charger', key: 'demo', id: 'CP-1' },
      body: { connectionSeq: 1 },
    });
  }
  const [connected] = door.of('charger.connected');
  expect(connected).toMatchObject({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    body: { gateway: 'gw-1', connection: connected?.id, protocol: 'ocpp1.6', remote: '127.0.0.1' },
  });
  charger.close();
  await door.until(() => door.of('charger.disconnected').length === 1);
  expect(door.of('charger.disconnected')[0]?.body).toEqual({ gateway: 'gw-1', connection: connected?.id, code: 1006 });
});

test('the registered spelling is used, however the charger writes itself', async () => {
  const { open, door } = await startGateway();
  await open('cp-1/');
  expect(door.of('charger.connected')[0]?.to.id).toBe('CP-1');
});

test('frames that come before the grant wait in the socket', async () => {
  const { open, door } = await startGateway();
  door.held = true;
  const charger = await open('CP-1');
  charger.send([2, 'a', 'Heartbeat', {}]);
  charger.send([2, 'b', 'StatusNotification', status()]);
  await delay(50);
  expect(door.types).toEqual(['charger.connected']);
  expect(charger.messages).toEqual([]);
  door.release();
  expect([await charger.next(), await charger.next()]).toMatchObject([
    [3, 'a', {}],
    [3, 'b', {}],
  ]);
  expect(door.of('connector.status')[0]?.body['connectionSeq']).toBe(1);
});

test('without a grant the socket is closed 1013', async () => {
  const { open, door } = await startGateway({ limits: { grantMs: 50, sweepMs: 10 } });
  door.held = true;
  const charger = await open('CP-1');
  expect((await charger.closed).code).toBe(1013);
});

test('a refused grant closes the socket 1013', async () => {
  const { open, door } = await startGateway();
  door.refuse('charger.connected', 'overloaded');
  const charger = await open('CP-1');
  expect((await charger.closed).code).toBe(1013);
});

test('until live state is loaded, chargers are asked to come back', async () => {
  const { port } = await startGateway({ resolve: async () => 'starting' });
  const { status: code, headers, body } = await upgrade(port, '/ocpp/CP-1');
  expect([code, body.error.code]).toEqual([503, 'starting']);
  expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(2);
});

test('a look-up that hangs or fails refuses the charger and nobody else', async () => {
  const { port } = await startGateway({
    limits: { handshakeMs: 50 },
    resolve: async (identity) => {
      if (identity === 'cp-1') throw new Error('lost');
      if (identity === 'cp-2') await new Promise(() => undefined);
      return null;
    },
  });
  expect((await upgrade(port, '/ocpp/CP-1')).status).toBe(503);
  expect((await upgrade(port, '/ocpp/CP-2')).status).toBe(503);
  expect((await upgrade(port, '/ocpp/CP-3')).status).toBe(404);
});

test('a charger with a password comes in with it', async () => {
  const { open, door } = await startGateway();
  const authorization = `Basic ${Buffer.concat([Buffer.from('SEC-1:'), password]).toString('base64')}`;
  await open('SEC-1', { headers: { Authorization: authorization } });
  expect(door.of('charger.connected')[0]?.to.id).toBe('SEC-1');
});

test('a wrong password is answered no sooner than after a second', async () => {
  const { port } = await startGateway({ limits: { refusalFloorMs: 300 } });
  const began = performance.now();
  expect((await upgrade(port, '/ocpp/SEC-1')).status).toBe(401);
  expect(performance.now() - began).toBeGreaterThan(290);
});

test('an answer leaves after the log has the fact, not before', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  charger.send([2, 'a', 'MeterValues', meterValues()]);
  await door.until(() => door.of('meter.sampled').length === 1);
  await delay(30);
  expect(charger.messages).toHaveLength(1);
  door.release();
  expect(await charger.next()).toEqual([3, 'a', {}]);
});

test('pipelined CALLs are handled one at a time, in order; an answer of the charger waits for none of them', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  for (let i = 0; i < 5; i++) charger.send([2, `m${i}`, 'MeterValues', meterValues(`2026-03-01T12:00:0${i}Z`)]);
  charger.send([3, 'nobody', {}]);
  for (let i = 0; i < 5; i++) {
    await door.until(() => door.of('meter.sampled').length === i + 1);
    await delay(10);
    expect(door.of('meter.sampled')).toHaveLength(i + 1);
    door.releaseOne();
    expect((await charger.next())[1]).toBe(`m${i}`);
  }
  expect(gateway.stats().counters).toMatchObject({ pipelined: 4, oddFrames: { unmatched: 1 } });
});

test('a line of more than 16 stops reading, and all of it is answered in the end', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  for (let i = 0; i < 100; i++) charger.send([2, `m${i}`, 'MeterValues', meterValues()]);
  await door.until(() => door.of('meter.sampled').length === 1);
  while (gateway.stats().counters.pauses.line === 0) await delay(5);
  door.release();
  const ids: unknown[] = [];
  for (let i = 0; i < 100; i++) ids.push((await charger.next())[1]);
  expect(ids).toEqual(Array.from({ length: 100 }, (_, i) => `m${i}`));
});

test('more than 20 CALLs a second after a burst of 200 are read later, not refused', async () => {
  const { open, gateway } = await startGateway({ limits: { callsPerSecond: 100, callBurst: 10 } });
  const charger = await open('CP-1');
  const began = performance.now();
  for (let i = 0; i < 40; i++) charger.send([2, `h${i}`, 'Heartbeat', {}]);
  for (let i = 0; i < 40; i++) expect((await charger.next()).slice(0, 2)).toEqual([3, `h${i}`]);
  // 30 beyond the burst at 100 a second.
  expect(performance.now() - began).toBeGreaterThan(280);
  expect(gateway.stats().counters.pauses.rate).toBeGreaterThan(0);
});

test('a gateway with too many unacknowledged appends stops reading and goes on when they are through', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.inFlight += 5_000;
  charger.send([2, 'a', 'StatusNotification', status()]);
  while (gateway.stats().counters.pauses.congestion === 0) await delay(5);
  expect(door.of('connector.status')).toEqual([]);
  door.inFlight -= 5_000;
  expect(await charger.next()).toEqual([3, 'a', {}]);
});

test('an engine that is behind is given time: its chargers are read later, and nothing is refused', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  door.behindMs = 251;
  let sent = 0;
  // The gateway looks at its partitions now and then; until it has, messages are read.
  while (gateway.stats().counters.pauses.congestion === 0) {
    charger.send([2, `m${sent++}`, 'MeterValues', meterValues()]);
    await delay(5);
  }
  expect(door.of('meter.sampled').length).toBeLessThan(sent);
  door.behindMs = 249;
  for (let i = 0; i < sent; i++) expect(await charger.next()).toEqual([3, `m${i}`, {}]);
});

test('a resent message gets the same answer and happens once (R01)', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  const first = await charger.call('StartTransaction', start, 'x');
  door.reply('session.started', () => ({
    transaction: 99,
    token: { status: 'Accepted', expiresAt: null, group: null },
  }));
  expect(await charger.call('StartTransaction', start, 'x')).toEqual(first);
  expect(door.of('session.started')).toHaveLength(1);
  expect(gateway.stats().counters.replayed).toBe(1);
  expect((await charger.call('StartTransaction', { ...start, meterStart: 5 }, 'x'))[2].transactionId).toBe(99);
  expect(gateway.stats().counters.answers).toEqual({ StartTransaction: { answered: 2, replayed: 1 } });
  expect(door.of('session.started').map(({ correlation }) => correlation)).toEqual(Array(2).fill('CP-1:1:x'));
});

test('a numeric message id comes back as a number (R01)', async () => {
  const { open } = await startGateway();
  const charger = await open('CP-1');
  expect(await charger.call('StatusNotification', status(), 42)).toEqual([3, 42, {}]);
});

test('a heartbeat is always answered with the present time and told at most every five minutes', async () => {
  let now = Date.parse('2026-03-01T12:00:00Z');
  const { open, door } = await startGateway({ clock: { now: () => now } });
  const charger = await open('CP-1');
  for (let i = 0; i < 5; i++) {
    now += 1_000;
    expect((await charger.call('Heartbeat', {}, 'same'))[2].currentTime).toBe(`2026-03-01T12:00:0${i + 1}.000Z`);
  }
  expect(door.facts).toMatchObject([{ type: 'charger.alive', body: { connectionSeq: 1 } }]);
});

test('repairs are named in the fact and counted by charger model', async () => {
  const { open, door, gateway } = await startGateway();
  const charger = await open('CP-1');
  await charger.call('BootNotification', boot);
  await charger.call('StartTransaction', { ...start, meterStart: '1000', idTag: 4711 });
  expect(door.of('session.started')[0]?.body).toMatchObject({ repairs: ['R05'], tag: '4711', meterStartWh: 1_000 });
  expect(gateway.stats().counters.repairs).toEqual({ 'Acme/Wall 11/1.4.2/R05': 1 });
});

test('a refused decision is our fault, said once', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  door.refuse('session.started', 'internal_error');
  expect((await charger.call('StartTransaction', start, 'a')).slice(0, 3)).toEqual([4, 'a', 'InternalError']);
  door.reply('session.started', () => 'nonsense');
  expect((await charger.call('StartTransaction', start, 'b')).slice(0, 3)).toEqual([4, 'b', 'InternalError']);
  expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
});

test('the newest connection wins: the older socket is closed 4001', async () => {
  const { open, door, gateway } = await startGateway();
  const older = await open('CP-1');
  await older.call('Heartbeat', {});
  const newer = await open('CP-1');
  expect((await older.closed).code).toBe(4001);
  expect((await newer.call('StatusNotification', status()))[0]).toBe(3);
  expect(door.of('connector.status')[0]?.body['connectionSeq']).toBe(2);
  expect(gateway.stats()).toMatchObject({ sockets: 1, chargers: 1 });
});

test('two sockets race a hundred times: never two owners, never none', async () => {
  const { open, gateway } = await startGateway({ limits: { upgradesPerSecond: 10_000, upgradeBurst: 10_000 } });
  for (let i = 0; i < 100; i++) {
    const pair = await Promise.all([open('CP-1'), open('CP-1')]);
    const loser = await Promise.race(pair.map((charger, which) => charger.closed.then(() => which)));
    const [winner, other] = [pair[1 - loser]!, pair[loser]!];
    expect((await other.closed).code).toBe(4001);
    expect((await winner.call('Heartbeat', {}))[0]).toBe(3);
    expect(gateway.stats().chargers).toBe(1);
  }
});

test('a socket that was refused evicts nobody', async () => {
  const { open, port } = await startGateway();
  const authorization = `Basic ${Buffer.concat([Buffer.from('SEC-1:'), password]).toString('base64')}`;
  const charger = await open('SEC-1', { headers: { Authorization: authorization } });
  expect((await upgrade(port, '/ocpp/SEC-1')).status).toBe(401);
  expect((await charger.call('Heartbeat', {}))[0]).toBe(3);
});

test('a silent charger is pinged and, without a pong, given up', async () => {
  const { open, door } = await startGateway({ limits: { pingMs: 60, pingJitter: 0 } });
  const answering = await open('CP-1');
  const dead = await open('CP-2');
  let pings = 0;
  answering.ws.on('ping', () => (pings += 1));
  // A socket that reads nothing answers nothing.
  dead.ws.pause();
  await door.until(() => door.of('charger.disconnected').length === 1);
  expect(door.of('charger.disconnected')[0]?.to.id).toBe('CP-2');
  expect(pings).toBeGreaterThan(0);
  expect((await answering.call('Heartbeat', {}))[0]).toBe(3);
});

test('the partitions that hold chargers hear that the gateway lives', async () => {
  const { open, door } = await startGateway({ limits: { gatewayAliveMs: 20 } });
  await open('CP-1');
  await door.until(() => door.of('gateway.alive').length >= 2);
  const [alive] = door.of('gateway.alive');
  expect(alive).toMatchObject({ id: null, fact: true, to: { kind: 'gateway', id: 'gw-1' }, body: { gateway: 'gw-1' } });
  expect(alive?.to.key).toMatch(/^@\d+$/);
});

test('a message with thousands of samples is answered once all of its facts are stored', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  const meterValue = Array.from({ length: 1_000 }, (_, i) => ({
    timestamp: new Date(Date.UTC(2026, 1, 1) + i * 1_000).toISOString(),
    sampledValue: [{ value: String(i) }],
  }));
  expect(await charger.call('MeterValues', { connectorId: 1, meterValue })).toEqual([3, '1', {}]);
  const portions = door.of('meter.sampled').map(({ body }) => body['samples'] as { value: string }[]);
  expect(portions.map((samples) => samples.length)).toEqual([400, 400, 200]);
  expect(portions.flat().map(({ value }) => value)).toEqual(meterValue.map((_, i) => String(i)));
});

test('more chargers than come in at once are told when to come back', async () => {
  const { port, gateway } = await startGateway({ limits: { upgradesPerSecond: 1, upgradeBurst: 3 } });
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => upgrade(port, `/ocpp/CP-${i}`)));
  const refused = answers.filter((answer) => answer.status === 503);
  expect([answers.filter((answer) => answer.status === 101).length, refused.length]).toEqual([3, 7]);
  for (const { headers, body } of refused) {
    expect(body.error.code).toBe('overloaded');
    expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(2);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(12);
  }
  expect(gateway.stats().counters.refusedUpgrades).toEqual({ 503: 7 });
});

test('a charger that reads nothing while answers pile up is dropped', async () => {
  const { open, door } = await startGateway({
    limits: { bufferedBytes: 1_000, slowReaderMs: 100, callsPerSecond: 1e9, callBurst: 1e9 },
  });
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  charger.ws.pause();
  const id = 'x'.repeat(100_000);
  const pump = setInterval(() => {
    for (let i = 0; i < 20; i++) charger.send([2, id, 'Heartbeat', {}]);
  }, 5);
  onTestFinished(() => clearInterval(pump));
  await door.until(() => door.of('charger.disconnected').length === 1);
});
