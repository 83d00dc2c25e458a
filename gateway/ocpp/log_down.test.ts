/** A log that takes nothing: never acknowledge and lose, never make a charger throw its queue away. */
import { expect, test } from 'vitest';
import { upgrade } from './testing/charger.ts';
import { startGateway } from './testing/gateway.ts';
import { meterValues, start, status } from './testing/messages.ts';

const soon = { sweepMs: 10, breakerMs: 150, evictMs: 100, answerMs: 300, shortAnswerMs: 200 };

test('nothing is answered, all sockets close 1013, upgrades get a 503', async () => {
  const { open, door, port, gateway } = await startGateway({ limits: soon });
  const chargers = await Promise.all(['CP-1', 'CP-2', 'CP-3'].map((identity) => open(identity)));
  for (const charger of chargers) await charger.call('Heartbeat', {});
  door.held = true;
  chargers[0]?.send([2, 'm', 'MeterValues', meterValues()]);
  chargers[1]?.send([2, 's', 'StartTransaction', start]);
  for (const charger of chargers) expect((await charger.closed).code).toBe(1013);
  for (const charger of chargers) expect(charger.messages).toHaveLength(1);
  expect(gateway.stats().logDown).toBe(true);
  const refused = await upgrade(port, '/ocpp/CP-1');
  expect([refused.status, refused.body.error.code]).toEqual([503, 'unavailable']);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2);

  door.release();
  await expect.poll(() => gateway.stats().logDown).toBe(false);
  const back = await open('CP-1');
  expect(await back.call('MeterValues', meterValues(), 'm')).toEqual([3, 'm', {}]);
});

test('a fact that hangs while others are stored is answered InternalError once', async () => {
  const { open, door } = await startGateway({ limits: soon });
  const [stuck, healthy] = [await open('CP-1'), await open('CP-2')];
  const request = door.request.bind(door);
  door.request = (command) => (command.type === 'session.started' ? new Promise(() => undefined) : request(command));
  stuck.send([2, 'x', 'StartTransaction', start]);
  let answered = false;
  const answer = stuck.next().finally(() => (answered = true));
  for (let i = 0; !answered; i++) await healthy.call('StatusNotification', status(), `s${i}`);
  expect((await answer).slice(0, 3)).toEqual([4, 'x', 'InternalError']);
  expect((await stuck.call('Heartbeat', {}, 'after'))[1]).toBe('after');
});

test('a decision that nobody makes in time is given up sooner for Authorize', async () => {
  const { open, door } = await startGateway({ limits: { ...soon, answerMs: 60_000 } });
  door.refuse('token.presented', 'unavailable');
  const charger = await open('CP-1');
  const began = performance.now();
  expect((await charger.call('Authorize', { idTag: 'DEMO0001' }, 'a')).slice(0, 3)).toEqual([4, 'a', 'InternalError']);
  expect(performance.now() - began).toBeGreaterThanOrEqual(190);
});

test('a decision that comes after its deadline is not sent as a second answer', async () => {
  const { open, door, gateway } = await startGateway({ limits: { ...soon, breakerMs: 60_000 } });
  const charger = await open('CP-1');
  await charger.call('Heartbeat', {});
  door.held = true;
  expect((await charger.call('StartTransaction', start, 'x')).slice(0, 3)).toEqual([4, 'x', 'InternalError']);
  door.release();
  expect(await charger.call('StatusNotification', status(), 'next')).toEqual([3, 'next', {}]);
  expect(gateway.stats().counters.late).toBe(1);
});

test('a door without room is no refusal: the answer waits for its deadline', async () => {
  const { open, door } = await startGateway({ limits: soon });
  const charger = await open('CP-1');
  door.refuse('session.started', 'overloaded');
  const began = performance.now();
  expect((await charger.call('StartTransaction', start)).slice(0, 3)).toEqual([4, '1', 'InternalError']);
  expect(performance.now() - began).toBeGreaterThanOrEqual(290);
});

test('what can never be stored is refused at once', async () => {
  const { open, door } = await startGateway();
  const charger = await open('CP-1');
  const append = door.append.bind(door);
  door.append = (command) =>
    command.type === 'vendor.message'
      ? Promise.reject(Object.assign(new Error('too large'), { code: 'too_large' }))
      : append(command);
  expect((await charger.call('DataTransfer', { vendorId: 'A' })).slice(0, 3)).toEqual([4, '1', 'GenericError']);
});
