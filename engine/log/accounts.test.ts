import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountsFile, renderAccounts, renderServerConfig, type IntegratorAccount } from './accounts.ts';
import { connectLog } from './connection.ts';
import { bounds } from './journal.ts';
import { jsApi } from './api.ts';
import { integratorConsumer, provision, provisionIntegrator, removeIntegrator } from './provision.ts';
import { ringPublisher } from './ring_publisher.ts';
import { integratorApiPrefix } from './subjects.ts';
import { startTestNats, type TestNats } from './testing.ts';

let nats: TestNats;
let core: NatsConnection;
let reader: NatsConnection;
const password = 'core "secret\\1$';
const size = { partitions: 4, scale: 1 / 64 };
const integrators: IntegratorAccount[] = [
  { user: 'acme', password: 'a' },
  { user: 'other', password: 'b', hears: ['price'] },
  { user: 'garage', password: 'c', hears: ['price', 'battery', 'trade'], customers: ['anna', 'b.o'] },
];

/** Writes the account file beside the server's configuration. */
function writeAccounts(storeDir: string, who: readonly IntegratorAccount[], change = (text: string) => text) {
  const text = change(renderAccounts({ core: { user: 'core', password }, integrators: who }));
  writeFileSync(join(dirname(storeDir), accountsFile), text);
}
/** The server again on other accounts; resolves when the core is back. */
async function restartWith(who: readonly IntegratorAccount[], change?: (text: string) => string) {
  writeAccounts(nats.storeDir, who, change);
  await nats.restart();
  await expect.poll(() => core.rtt().catch(() => null), { timeout: 10_000 }).not.toBeNull();
}
/** As if users might publish and hear everything that their account has. */
const withoutPermissions = (text: string) => text.replace(/permissions: \{.*\} \} \]/g, '} ]');
const loginAs = (user: string, secret: string) => connectLog(nats.url.replace('//', `//${user}:${secret}@`), user);

beforeAll(async () => {
  nats = await startTestNats({
    config: ({ port, storeDir }) => {
      writeAccounts(storeDir, integrators);
      return renderServerConfig({ port, storeDir, maxFileBytes: 2 ** 40 });
    },
  });
  core = await loginAs('core', encodeURIComponent(password));
  await provision(core, size);
  for (const integrator of integrators) await provisionIntegrator(core, integrator);
  reader = await loginAs('acme', 'a');
});
afterAll(async () => {
  await reader.close();
  await core.close();
  await nats.stop();
});

const publishPrice = async (n: number, subject = 'price.nord-1') => {
  const publisher = ringPublisher(core);
  for (let i = 0; i < n; i++) {
    await publisher.publish(`pub.${subject}`, new TextEncoder().encode(`{"n":${i}}`), {
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
    'raw.gw-1',
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
    'STREAM.MSG.GET.OCPP',
    'CONSUMER.CREATE.OCPP',
    `CONSUMER.MSG.NEXT.OCPP.${integratorConsumer('acme')}`,
    'STREAM.NAMES',
    `CONSUMER.INFO.PRICE.${integratorConsumer('other')}`,
    `CONSUMER.MSG.NEXT.PRICE.${integratorConsumer('other')}`,
    `CONSUMER.MSG.NEXT.C_0.${integratorConsumer('acme')}`,
    `CONSUMER.DELETE.PRICE.${integratorConsumer('acme')}`,
  ]) {
    expect(await request(name), name).toContain('no responders');
  }
  for (const subject of ['c.0', 'j.>', 'pub.price.>', 'raw.>', '>', '_R_.>', '$JS.>']) {
    expect(await violation(reader, () => void reader.subscribe(subject, { callback: () => undefined }))).toContain(
      'Permissions Violation for Subscription',
    );
  }
});

test('an integrator of some kinds hears no others, and a wrong password or none is refused', async () => {
  const other = await loginAs('other', 'b');
  for (const subject of ['meter.>', 'battery.anna', 'in.other.>', 'in.acme.>'])
    expect(await violation(other, () => void other.subscribe(subject, { callback: () => undefined }))).toContain(
      'Permissions Violation',
    );
  await other.close();
  await expect(loginAs('acme', 'wrong')).rejects.toThrow(/Authorization/i);
  await expect(connectLog(nats.url, 'x')).rejects.toThrow(/Authorization/i);
});

test('an integrator of two customers hears and replays those two, and nobody else', async () => {
  const garage = await loginAs('garage', 'c');
  const heard: string[] = [];
  for (const subject of ['battery.anna', 'battery.b=2Eo', 'price.>'])
    garage.subscribe(subject, { callback: (_, m) => void heard.push(m.subject) });
  for (const subject of ['battery.>', 'battery.*', 'battery.carl', 'trade.carl', 'ledger.anna'])
    expect(await violation(garage, () => void garage.subscribe(subject, { callback: () => undefined }))).toContain(
      'Permissions Violation',
    );
  for (const subject of ['battery.anna', 'battery.carl', 'battery.b=2Eo', 'price.nord-1'])
    await publishPrice(1, subject);
  await garage.flush();
  expect(heard).toEqual(['battery.anna', 'battery.b=2Eo', 'price.nord-1']);

  const { consumers } = jetstream(garage, { apiPrefix: integratorApiPrefix });
  const replayed: string[] = [];
  for (const customer of ['anna', 'b.o']) {
    const stored = await consumers.get('BATTERY', integratorConsumer('garage', customer));
    for await (const m of await stored.fetch({ max_messages: 10, expires: 1_000 })) replayed.push(m.subject);
  }
  expect(replayed).toEqual(['pub.battery.anna', 'pub.battery.b=2Eo']);
  for (const consumer of [
    integratorConsumer('garage'),
    integratorConsumer('garage', 'carl'),
    integratorConsumer('acme'),
  ])
    await expect(consumers.get('BATTERY', consumer)).rejects.toThrow();
  await garage.close();
});

test('a command reaches the core under its own integrator only, and the answer comes back to nobody else', async () => {
  const asked: [string, string | undefined][] = [];
  const door = core.subscribe('in.>', {
    queue: 'doors',
    callback: (_, m) => {
      asked.push([m.subject, m.reply]);
      m.respond('done');
    },
  });
  await core.flush();
  const answers: string[] = [];
  const other = await loginAs('other', 'b');
  other.subscribe('_INBOX.>', { callback: (_, m) => void answers.push(m.string()) });
  await other.flush();

  const answer = await reader.request('in.acme.customer.anna', '{}', { timeout: 2_000 });
  expect(answer.string()).toBe('done');
  await other.flush();
  expect(answers).toEqual([]);
  for (const subject of ['in.other.customer.anna', 'in.garage.customer.anna', 'in.core.customer.anna', 'in', 'in.acme'])
    expect(await violation(reader, () => reader.publish(subject, '{}', { reply: '_INBOX.x' }))).toContain(
      `Permissions Violation for Publish to "${subject}"`,
    );
  await reader.flush();
  await core.flush();
  expect(asked).toEqual([['in.acme.customer.anna', expect.stringMatching(/^_R_\./)]]);
  door.unsubscribe();
  await other.close();
});

/** Last sequences of what nobody but the core account may write. */
const written = async () =>
  Object.fromEntries(
    await Promise.all(
      ['C_0', 'C_3', 'J_0', 'J_3', 'PRICE', 'BATTERY', 'OCPP'].map(
        async (name) => [name, (await bounds(core, name)).last] as const,
      ),
    ),
  );

/** The three ways by which a user without any right on the journal can be made to write there, if accounts do not hold. */
const injections: [name: string, attempt: (nc: NatsConnection) => void][] = [
  [
    'a push consumer that delivers onto the journal',
    (nc) => {
      const config = { durable_name: 'evil', deliver_subject: 'j.3', ack_policy: 'none', deliver_policy: 'all' };
      for (const prefix of ['$JS.API', integratorApiPrefix])
        for (const request of ['CONSUMER.CREATE.PRICE', 'CONSUMER.DURABLE.CREATE.PRICE.evil'])
          nc.publish(`${prefix}.${request}`, JSON.stringify({ stream_name: 'PRICE', config }), {
            reply: '_INBOX.evil',
          });
    },
  ],
  [
    'an API request that is answered on the journal',
    (nc) => {
      for (const prefix of ['$JS.API', integratorApiPrefix]) {
        for (const request of ['INFO', 'STREAM.NAMES', `CONSUMER.INFO.PRICE.${integratorConsumer('acme')}`])
          nc.publish(`${prefix}.${request}`, '', { reply: 'j.3' });
        nc.publish(`${prefix}.CONSUMER.MSG.NEXT.PRICE.${integratorConsumer('acme')}`, '{"batch":2,"no_wait":true}', {
          reply: 'j.3',
        });
      }
    },
  ],
  [
    'a door request that is answered on the journal',
    (nc) => nc.publish('in.acme.customer.anna', '{"id":"x:1"}', { reply: 'j.3' }),
  ],
];

test.each(injections)(
  '%s writes nothing, with and without rights of the user inside its own account',
  async (_, attempt) => {
    await publishPrice(2);
    const door = core.subscribe('in.>', { queue: 'doors', callback: (_, m) => void m.respond('an answer') });
    await core.flush();
    const before = await written();
    // Once as the account file has it, and once as if its user might publish and hear everything: the account alone holds.
    for (const change of [undefined, withoutPermissions]) {
      await restartWith(integrators, change);
      const evil = await loginAs('acme', 'a');
      attempt(evil);
      await evil.flush();
      // The server has answered whatever it meant to answer once it answers this.
      expect((await evil.request('in.acme.customer.x', '{}', { timeout: 5_000 })).string()).toBe('an answer');
      expect(await written()).toEqual(before);
      expect((await bounds(core, 'PRICE')).last).toBe(before['PRICE']);
      const consumers = await jsApi<{ consumers: string[] }>(core, 'CONSUMER.NAMES.PRICE', {});
      expect(consumers.consumers).not.toContain('evil');
      await evil.close();
    }
    await restartWith(integrators);
    door.unsubscribe();
  },
);

test('a user that might publish anything in its account reaches no log, no stream and no subscriber of the core', async () => {
  await restartWith(integrators, withoutPermissions);
  const before = await written();
  const heard: string[] = [];
  const everything = core.subscribe('>', {
    callback: (_, m) => void (/^(_INBOX|_R_)/.test(m.subject) || heard.push(m.subject)),
  });
  await core.flush();
  const evil = await loginAs('acme', 'a');
  for (const subject of [
    'c.3',
    'j.3',
    'pub.price.nord-1',
    'pub.battery.anna',
    'pos.PRICE',
    'raw.gw-1',
    'in.other.customer.anna',
    'engine.x.commits',
  ])
    evil.publish(subject, 'x');
  for (const request of [
    'STREAM.PURGE.J_3',
    'STREAM.DELETE.J_3',
    'STREAM.CREATE.MINE',
    'CONSUMER.DELETE.PRICE.integrator-other',
  ])
    expect((await evil.request(`$JS.API.${request}`, '{}', { timeout: 2_000 })).string(), request).toContain(
      'not enabled for account',
    );
  const foreign: string[] = [];
  for (const subject of ['c.>', 'j.>', 'pub.>', 'raw.>', 'in.>', 'effect.>', 'engine.>'])
    evil.subscribe(subject, { callback: (_, m) => void foreign.push(m.subject) });
  await evil.flush();
  core.publish('effect.gw-1', 'for a gateway');
  core.publish('raw.gw-1', 'for the history');
  await publishPrice(1);
  await core.flush();
  await evil.flush();
  expect(foreign).toEqual([]);
  expect(
    heard.filter((subject) => !subject.startsWith('$JS') && !/^(pub\.|price\.|effect\.|raw\.)/.test(subject)),
  ).toEqual([]);
  expect(await written()).toEqual({ ...before, PRICE: before['PRICE']! + 1, OCPP: before['OCPP']! + 1 });
  everything.unsubscribe();
  await evil.close();
  await restartWith(integrators);
});

test.each(injections)(
  'inside the core account %s does write there: nobody else may have a user in it',
  async (name, attempt) => {
    const door = core.subscribe('in.>', { callback: (_, m) => void m.respond('an answer') });
    await core.flush();
    const { last } = await bounds(core, 'J_3');
    // Its own API is the plain one.
    const plain = Object.create(core, {
      publish: {
        value: (subject: string, ...rest: [string, object]) =>
          core.publish(subject.replace(`${integratorApiPrefix}.`, '$JS.API.'), ...rest),
      },
    }) as NatsConnection;
    attempt(plain);
    await expect.poll(async () => (await bounds(core, 'J_3')).last, { message: name }).toBeGreaterThan(last);
    door.unsubscribe();
    await jsApi(core, 'CONSUMER.DELETE.PRICE.evil').catch(() => undefined);
  },
);

test('accounts come, change and go by a reload, and nobody else notices', async () => {
  const stays = await loginAs('other', 'b');
  const prices: string[] = [];
  stays.subscribe('price.>', { callback: (_, m) => void prices.push(m.subject) });
  await stays.flush();
  const reload = async (who: readonly IntegratorAccount[]) => {
    writeAccounts(nats.storeDir, who);
    process.kill(nats.pid, 'SIGHUP');
  };
  const enters = (user: string, secret: string) =>
    loginAs(user, secret).then(
      async (nc) => {
        await nc.close();
        return true;
      },
      () => false,
    );
  let lost = 0;
  void (async () => {
    for await (const { type } of core.status()) if (type === 'disconnect') lost += 1;
  })();

  expect(await enters('late', 'd')).toBe(false);
  await reload([...integrators, { user: 'late', password: 'd', hears: ['price'], customers: [] }]);
  await expect.poll(() => enters('late', 'd'), { timeout: 10_000 }).toBe(true);
  // nats-server 2.9 connects the requests of a new account at its second reload only.
  process.kill(nats.pid, 'SIGHUP');
  await provisionIntegrator(core, { user: 'late', hears: ['price'] });
  const late = await loginAs('late', 'd');
  const answered = core.subscribe('in.>', { queue: 'doors', callback: (_, m) => void m.respond('yes') });
  await core.flush();
  const ask = () =>
    late.request('in.late.customer.x', '{}', { timeout: 2_000 }).then(
      (m) => m.string(),
      () => 'nobody',
    );
  await expect.poll(ask, { timeout: 10_000 }).toBe('yes');
  const stored = await jetstream(late, { apiPrefix: integratorApiPrefix }).consumers.get(
    'PRICE',
    integratorConsumer('late'),
  );
  expect((await stored.info()).num_pending).toBeGreaterThan(0);
  await late.close();
  answered.unsubscribe();

  await reload(integrators);
  await expect.poll(() => enters('late', 'd'), { timeout: 10_000 }).toBe(false);
  await removeIntegrator(core, { user: 'late', hears: ['price'], commands: [], customers: [] });
  const { consumers } = await jsApi<{ consumers: string[] }>(core, 'CONSUMER.NAMES.PRICE', {});
  expect(consumers).not.toContain(integratorConsumer('late'));

  await publishPrice(1);
  await stays.flush();
  expect(prices).toEqual(['price.nord-1']);
  expect(lost).toBe(0);
  await stays.close();
});

test('names and passwords that could break the configuration are refused or quoted', () => {
  const render = (user: string, secret: string) =>
    renderAccounts({ core: { user: 'core', password: 'p' }, integrators: [{ user, password: secret }] });
  expect(() => render('a} {', 'p')).toThrow("illegal NATS user name: 'a} {'");
  expect(() => render('a', 'p\n}')).toThrow('control character');
  expect(() => render('core', 'p')).toThrow("two NATS users are named 'core'");
  expect(render('a', 'q"uote')).toContain('password: "q\\"uote"');
});
