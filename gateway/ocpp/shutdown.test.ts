/** The end of a gateway: what is in work is finished, everybody is told to come back, and it takes no longer than allowed. */
import { expect, test } from 'vitest';
import { upgrade } from './testing/charger.ts';
import { startGateway } from './testing/gateway.ts';
import { meterValues, status } from './testing/messages.ts';

test('a CALL in work is answered, then the sockets close 1012 and say goodbye to the log', async () => {
  const { open, door, gateway, port } = await startGateway();
  const [working, idle] = [await open('CP-1'), await open('CP-2')];
  await working.call('Heartbeat', {});
  door.held = true;
  working.send([2, 'm', 'MeterValues', meterValues()]);
  working.send([2, 'waiting', 'StatusNotification', status()]);
  await door.until(() => door.of('meter.sampled').length === 1);
  const stopped = gateway.close();
  await expect(upgrade(port, '/ocpp/CP-3')).rejects.toThrow('ECONNREFUSED');
  door.release();
  expect(await working.next()).toEqual([3, 'm', {}]);
  expect([(await working.closed).code, (await idle.closed).code]).toEqual([1012, 1012]);
  await stopped;
  expect(door.of('charger.disconnected')).toHaveLength(2);
  // It was never begun, so the charger keeps it.
  expect(door.of('connector.status')).toEqual([]);
});

test('neither a hanging log nor a charger that does not answer delays the end', async () => {
  const { open, door, gateway } = await startGateway({ limits: { stopMs: 600 } });
  const [working, deaf] = [await open('CP-1'), await open('CP-2')];
  await working.call('Heartbeat', {});
  await deaf.call('Heartbeat', {});
  door.held = true;
  working.send([2, 'm', 'MeterValues', meterValues()]);
  await door.until(() => door.of('meter.sampled').length === 1);
  deaf.ws.pause();
  const began = performance.now();
  await gateway.close();
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(gateway.stats().sockets).toBe(0);
});
