import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../config/config.ts';
import { gathered } from './gathered.ts';
import { checkAll, type Probes } from './health.ts';
import { openOpsDoor, type OpsDoor } from './ops_door.ts';

const opened: OpsDoor[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((door) => door.close()));
});

async function open(env: Record<string, string> = {}, probes: Probes = {}) {
  const config = loadConfig({ GRIDTICK_METRICS_PORT: '0', ...env });
  const door = await openOpsDoor({ config, metrics: async () => 'a 1\n', ready: () => checkAll(probes) });
  opened.push(door);
  return door;
}
const get = (door: OpsDoor, path: string, authorization?: string) =>
  fetch(`http://127.0.0.1:${door.port}${path}`, authorization === undefined ? {} : { headers: { authorization } });

test('on loopback a process shows its metrics, that it lives, and that it can serve', async () => {
  const door = await open({}, { log: async () => {} });
  const metrics = await get(door, '/metrics');
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await metrics.text()).toBe('a 1\n');
  expect(await (await get(door, '/health/live')).json()).toEqual({ ok: true });
  expect(await (await get(door, '/health/ready')).json()).toEqual({ ok: true, checks: { log: { ok: true } } });
  expect((await get(door, '/')).status).toBe(404);
});

test('who cannot serve says why with 503; a probe without an answer counts as a no, and the process lives', async () => {
  const door = await open(
    {},
    { log: () => Promise.reject(new Error('connection refused')), never: () => new Promise<void>(() => {}) },
  );
  const ready = await get(door, '/health/ready');
  expect(ready.status).toBe(503);
  expect(await ready.json()).toEqual({
    ok: false,
    checks: { log: { ok: false, reason: 'connection refused' }, never: { ok: false, reason: 'no answer in 2000 ms' } },
  });
  expect((await get(door, '/health/live')).status).toBe(200);
});

test('with a token metrics and reasons are for its bearer; health without them is for everybody', async () => {
  const door = await open(
    { GRIDTICK_METRICS_TOKEN: 's3cret' },
    { log: () => Promise.reject(new Error('host 10.0.0.7')) },
  );
  for (const authorization of [undefined, 'Bearer wrong', 's3cret']) {
    const refused = await get(door, '/metrics', authorization);
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(await (await get(door, '/health/ready', authorization)).json()).toEqual({ ok: false });
  }
  expect(await (await get(door, '/metrics', 'Bearer s3cret')).text()).toBe('a 1\n');
});

test('metrics for the network need a token; a configured port that is taken refuses, the usual one moves', async () => {
  const bind = { GRIDTICK_METRICS_BIND: '0.0.0.0' };
  expect(() => loadConfig(bind)).toThrow('set GRIDTICK_METRICS_TOKEN');
  const { port } = await open({ ...bind, GRIDTICK_METRICS_TOKEN: 's3cret' });
  await expect(open({ GRIDTICK_METRICS_PORT: String(port) })).rejects.toThrow(`port ${port} on 127.0.0.1 is taken`);
  const usual = { ...loadConfig({}), metricsPort: port };
  const moved = await openOpsDoor({ config: usual, metrics: async () => '', ready: () => checkAll({}) });
  opened.push(moved);
  expect(moved.port).not.toBe(port);
});

test('expositions of several processes become one: a metric is described once, each sample names its process', () => {
  const text = (n: number) => `# HELP a_total What.\n# TYPE a_total counter\na_total{code="ok"} ${n}\na_total ${n}\n`;
  expect(
    gathered([
      ['engine-1', text(1)],
      ['history', `${text(2)}\n# HELP b B\n# TYPE b gauge\nb 3\n`],
    ]),
  ).toBe(
    [
      '# HELP a_total What.',
      '# TYPE a_total counter',
      'a_total{process="engine-1",code="ok"} 1',
      'a_total{process="engine-1"} 1',
      'a_total{process="history",code="ok"} 2',
      'a_total{process="history"} 2',
      '# HELP b B',
      '# TYPE b gauge',
      'b{process="history"} 3',
      '',
    ].join('\n'),
  );
});
