import { expect, test } from 'vitest';
import { nameAddress } from './addresses.ts';
import { demoSite, TestWorld } from './testing.ts';

const world1 = (options = {}) => {
  const world = new TestWorld();
  const [charger] = demoSite(world, options);
  return { world, charger: charger! };
};
const kindsOf = (world: TestWorld) => world.payloads('charger').map((e) => e.kind);

test('the newest connection wins and the older gateway is told to close its socket', () => {
  const { world, charger } = world1();
  expect(charger.connect('gw-1', 'c1')).toEqual({ connectionSeq: 1, registration: 'pending' });
  expect(charger.connect('gw-1', 'c1')).toEqual({ connectionSeq: 1, registration: 'pending' });
  expect(world.effects).toEqual([]);
  expect(charger.connect('gw-2', 'c2')).toEqual({ connectionSeq: 2, registration: 'pending' });
  expect(world.effects).toEqual([
    {
      id: 'close/CP-1/1',
      target: 'gw-1',
      kind: 'connection.close',
      body: { charger: 'CP-1', connection: 'c1', code: 4001 },
    },
  ]);
  charger.disconnect('gw-1', 'c1');
  world.advance(14_000);
  expect(charger.state.context).toMatchObject({ online: true, connection: { gateway: 'gw-2' } });
});

test('a charger that comes back within 15 s was never offline', () => {
  const { world, charger } = world1();
  charger.connect('gw-1', 'c1');
  charger.disconnect('gw-1', 'c1');
  world.advance(14_999);
  charger.connect('gw-1', 'c2');
  world.advance(1_000);
  expect(kindsOf(world)).toEqual(['connected', 'connected']);
  charger.disconnect('gw-1', 'c2');
  world.advance(15_000);
  expect(kindsOf(world)).toEqual(['connected', 'connected', 'offline']);
});

test('sockets never change a session', () => {
  const { world, charger } = world1();
  charger.connect();
  const { transaction } = charger.start();
  charger.meter(transaction, { w: 5_000, wh: 0 });
  charger.disconnect();
  world.advance(20_000);
  expect(charger.session(transaction)).toMatchObject({ value: 'energising', context: { endAt: null } });
  expect(charger.state.context.connectors[0]).toMatchObject({ transaction, powerW: 5_000 });
});

test('a boot is accepted with an interval of 300 s ± 10 % that the identity decides; a resend gets the same answer', () => {
  const { world, charger } = world1();
  charger.connect();
  const answer = charger.boot('1,abc');
  expect(answer).toEqual({ status: 'Accepted', intervalS: expect.any(Number) });
  expect(answer.intervalS).toBeGreaterThanOrEqual(270);
  expect(answer.intervalS).toBeLessThanOrEqual(330);
  expect(charger.boot('1,abc')).toEqual(answer);
  expect(charger.state).toMatchObject({ value: 'accepted', context: { vendor: 'Acme', firmware: '1.0' } });
  expect(kindsOf(world)).toEqual(['connected', 'booted']);
  expect(charger.connect('gw-1', 'again').registration).toBe('accepted');
});

test('the newest status stands; an older one is an event of the past', () => {
  const { world, charger } = world1();
  const t = world.now;
  charger.status('Charging', { at: t + 10 });
  charger.status('Preparing', { at: t });
  charger.status('Charging', { at: t + 10 });
  expect(charger.state.context.connectors[0]).toMatchObject({ status: 'Charging', statusAt: t + 10 });
  expect(world.payloads('charger').map((e) => e.detail['status'])).toEqual(['Charging', 'Preparing']);
  charger.status('Faulted', { connector: 0 });
  expect(world.payloads('charger').at(-1)).toMatchObject({ connector: 0, detail: { status: 'Faulted' } });
});

test('a status of a connector nobody registered adds it', () => {
  const { charger } = world1();
  charger.status('Available', { connector: 3 });
  expect(charger.state.context.connectors.map((c) => c.status)).toEqual(['', '', 'Available']);
});

test('the statuses of a tag stay distinct', () => {
  const { world, charger } = world1();
  const put = (tag: string, body: object) =>
    world.ask(nameAddress('tag', tag), 'tag.put', {
      customer: null,
      group: null,
      status: 'Accepted',
      expiresAt: null,
      ...body,
    });
  put('BLOCKED', { status: 'Blocked' });
  put('OLD', { expiresAt: world.now });
  put('GROUPED', { group: 'G', expiresAt: world.now + 1 });
  expect(['TAG-1', 'BLOCKED', 'OLD', 'GROUPED', 'NOBODY'].map((tag) => charger.authorize(tag))).toEqual([
    { status: 'Accepted', expiresAt: null, group: null },
    { status: 'Blocked', expiresAt: null, group: null },
    { status: 'Expired', expiresAt: world.now, group: null },
    { status: 'Accepted', expiresAt: world.now + 1, group: 'G' },
    { status: 'Unknown', expiresAt: null, group: null },
  ]);
});

test('a resent Authorize gets the answer it got, though the tag has been blocked since', () => {
  const { world, charger } = world1();
  expect(charger.authorize('TAG-1', 'k')).toMatchObject({ status: 'Accepted' });
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', {
    customer: null,
    group: null,
    status: 'Blocked',
    expiresAt: null,
  });
  expect(charger.authorize('TAG-1', 'k')).toMatchObject({ status: 'Accepted' });
  for (let i = 0; i < 32; i++) charger.authorize('TAG-1', `other-${i}`);
  expect(charger.authorize('TAG-1', 'k')).toMatchObject({ status: 'Blocked' });
});

test("a vendor's message is kept once", () => {
  const { world, charger } = world1();
  const body = { key: 'v1', connectionSeq: 0, frameHash: '', repairs: [], vendor: 'Acme', message: 'm', data: 'd' };
  world.ask(charger.address, 'vendor.message', body);
  world.ask(charger.address, 'vendor.message', body);
  expect(world.payloads('charger').map((e) => e.detail['reason'])).toEqual(['vendor_message']);
});

test.each([
  ['a fraction', { meterStartWh: 0.5 }],
  ['a key that is missing', { key: undefined }],
  ['one too many', { extra: 1 }],
])('%s in a body is refused and changes nothing', (_what, change) => {
  const { world, charger } = world1();
  const before = world.partitions[0]!.images();
  const body = {
    key: 'k',
    connectionSeq: 0,
    frameHash: '',
    repairs: [],
    at: 1,
    atRaw: '',
    clock: false,
    connector: 1,
    tag: 'T',
    meterStartWh: 0,
    ...change,
  };
  expect(world.send(charger.address, 'session.started', JSON.parse(JSON.stringify(body)) as object)).toMatchObject({
    ok: false,
    code: 'bad_request',
  });
  expect(world.partitions[0]!.images()).toEqual(before);
});
