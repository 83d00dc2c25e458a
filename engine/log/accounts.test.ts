import { jetstream } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderServerConfig } from './accounts.ts';
import { connectLog } from './connection.ts';
import { bounds } from './journal.ts';
import { integratorConsumer, provision, provisionIntegrator } from './provision.ts';
import { ringPublisher } from './ring_publisher.ts';
import { integratorApiPrefix } from './subjects.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let core: NatsConnection;
let reader: NatsConnection;
const password = 'core "secret\\1$';
const size = { partitions: 1, scale: 1 / 64 };

beforeAll(async () => {
  nats = await startTestNats({
    config: ({ port, storeDir }) =>
      renderServerConfig({
        port,
        storeDir,
        maxFileBytes: 2 ** 40,
        core: { user: 'core', password },
        integrators: [
          { user: 'acme', password: 'a' },
          { user: 'other', password: 'b', kinds: ['price'] },
        ],
      }),
  });
  core = await connectLog(nats.url.replace('//', `//core:${encodeURIComponent(password)}@`), 'core');
  await provision(core, size);
  await provisionIntegrator(core, { user: 'acme' });
  await provisionIntegrator(core, { user: 'other', kinds: ['price'] });
  reader = await connectLog(nats.url.replace('//', '//acme:a@'), 'acme');
});
afterAll(async () => {
  await reader.close();
  await core.close();
  await nats.stop();
});

const publishPrice = async (n: number) => {
  const publisher = ringPublisher(core);
  for (let i = 0; i < n; i++) {
    await publisher.publish('pub.price.nord-1', new TextEncoder().encode(`{"n":${i}}`), {
      headers: { 'Gridtick-At': `0:7:${i}`, 'Gridtick-Schema': 'price/1' },
    });
  }
  publisher.close();
};

/** The server's complaint about the next forbidden action. */
async function violation(nc: NatsConnection, act: () => void): Promise<string> {
  const errors = (async () => {
    for await (const status of nc.status()) if (status.type === 'error') return status.error.message;
    return 'closed';
  })();
  act();
  await nc.flush();
  return errors;
}

test('an integrator hears public subjects live, with their headers', async () => {
  const heard: Msg[] = [];
  let second = () => undefined as void;
  const two = new Promise<void>((resolve) => (second = resolve));
  const subscription = reader.subscribe('price.>', {
    callback: (_, message) => {
      heard.push(message);
      if (heard.length === 2) second();
    },
  });
  await reader.flush();
  await publishPrice(2);
  await two;
  expect(heard.map((m) => [m.subject, m.string(), m.headers?.get('Gridtick-At')])).toEqual([
    ['price.nord-1', '{"n":0}', '0:7:0'],
    ['price.nord-1', '{"n":1}', '0:7:1'],
  ]);
  subscription.unsubscribe();
});

test('an integrator replays a public stream through its consumer with a standard client', async () => {
  await publishPrice(300);
  const { last } = await bounds(core, 'PRICE');
  const consumer = await jetstream(reader, { apiPrefix: integratorApiPrefix }).consumers.get(
    'PRICE',
    integratorConsumer('acme'),
  );
  expect((await consumer.info()).num_pending).toBe(last);
  const sequences: number[] = [];
  while (sequences.length < last) {
    for await (const message of await consumer.fetch({
      max_messages: Math.min(100, last - sequences.length),
      expires: 5_000,
    })) {
      sequences.push(message.seq);
      expect(message.subject).toBe('pub.price.nord-1');
    }
  }
  expect(sequences).toEqual(Array.from({ length: last }, (_, i) => i + 1));
});

test('an integrator may publish nowhere: the log, the public inputs and the JetStream API do not see it', async () => {
  const seen: string[] = [];
  const everything = core.subscribe('>', {
    callback: (_, m) => void (m.subject.startsWith('_INBOX') || seen.push(m.subject)),
  });
  await core.flush();
  for (const subject of [
    'c.0',
    'j.0',
    's.0.1.0',
    'pub.price.nord-1',
    'price.nord-1',
    'pos.PRICE',
    '$JS.API.STREAM.PURGE.J_0',
    '$JS.API.INFO',
    'engine.x.commits',
  ]) {
    expect(await violation(reader, () => reader.publish(subject, 'x'))).toContain(
      `Permissions Violation for Publish to "${subject}"`,
    );
  }
  await core.flush();
  expect(seen).toEqual([]);
  everything.unsubscribe();
  expect((await bounds(core, 'C_0')).last).toBe(0);
  expect((await bounds(core, 'J_0')).last).toBe(0);
});

test('a pull request whose reply address is the journal writes nothing there', async () => {
  await publishPrice(1);
  const request = `CONSUMER.MSG.NEXT.PRICE.${integratorConsumer('acme')}`;
  const arrived = new Promise<Msg>((resolve) => {
    core.subscribe(`$JS.API.${request}`, { max: 1, callback: (_, message) => resolve(message) });
  });
  await core.flush();
  reader.publish(`${integratorApiPrefix}.${request}`, '{"batch":1,"no_wait":true}', { reply: 'j.0' });
  // The server has put its own reply address in place of the journal's.
  expect((await arrived).reply).toMatch(/^_R_\./);
  await reader.flush();
  expect((await bounds(core, 'J_0')).last).toBe(0);
});

test('an integrator creates no consumer, reads no log and asks nothing of other consumers', async () => {
  const request = (name: string, body = '{}') =>
    reader.request(`${integratorApiPrefix}.${name}`, body, { timeout: 1_000 }).then(
      () => 'answered',
      (error: Error) => error.message,
    );
  for (const name of [
    'CONSUMER.CREATE.PRICE',
    'CONSUMER.DURABLE.CREATE.PRICE.mine',
    'STREAM.INFO.PRICE',
    'STREAM.MSG.GET.J_0',
    'STREAM.NAMES',
    `CONSUMER.INFO.PRICE.${integratorConsumer('other')}`,
    `CONSUMER.MSG.NEXT.PRICE.${integratorConsumer('other')}`,
    `CONSUMER.MSG.NEXT.C_0.${integratorConsumer('acme')}`,
    `CONSUMER.DELETE.PRICE.${integratorConsumer('acme')}`,
  ]) {
    expect(await request(name), name).toContain('no responders');
  }
  for (const subject of ['c.0', 'j.>', 'pub.price.>', '>', '_R_.>', '$JS.>']) {
    expect(await violation(reader, () => void reader.subscribe(subject, { callback: () => undefined }))).toContain(
      'Permissions Violation for Subscription',
    );
  }
});

test('an integrator of some kinds hears no others, and a wrong password or none is refused', async () => {
  const other = await connectLog(nats.url.replace('//', '//other:b@'), 'other');
  expect(await violation(other, () => void other.subscribe('meter.>', { callback: () => undefined }))).toContain(
    'Permissions Violation',
  );
  await other.close();
  await expect(connectLog(nats.url.replace('//', '//acme:wrong@'), 'x')).rejects.toThrow(/Authorization/i);
  await expect(connectLog(nats.url, 'x')).rejects.toThrow(/Authorization/i);
});

test('names and passwords that could break the configuration are refused or quoted', () => {
  const render = (user: string, secret: string) =>
    renderServerConfig({
      port: 1,
      storeDir: '/x',
      maxFileBytes: 1,
      core: { user: 'core', password: 'p' },
      integrators: [{ user, password: secret }],
    });
  expect(() => render('a} {', 'p')).toThrow("illegal integrator name: 'a} {'");
  expect(() => render('a', 'p\n}')).toThrow('control character');
  expect(() => render('core', 'p')).toThrow("two NATS users are named 'core'");
  expect(render('a', 'q"uote')).toContain('password: "q\\"uote"');
});
