import { Life } from '../simulation/life.ts';
import { expect, test } from 'vitest';
import { accountAddress, tallyDomain, type Account } from '../simulation/tally.ts';
import { encodeFrame, type CommandEnvelope, type Frame } from '../wire.ts';
import { compileDomain } from './catalogue.ts';
import { recordBytesTarget } from './decider.ts';
import { PartitionOwner, type OwnerEvent } from './owner.ts';
import { Bench, type Sent } from './testing.ts';

class TallyBench extends Bench {
  constructor() {
    super(tallyDomain);
  }
  /** To account `a`, unless it says otherwise. */
  override send(...commands: Sent[]) {
    return super.send(...commands.map((command) => ({ to: accountAddress('a'), ...command })));
  }
  account = (id = 'a') => this.owner.state.entity('account', id)?.stored.context as unknown as Account;
}

const add = (amount: number, more: Partial<CommandEnvelope> = {}) => ({ type: 'add', body: { amount }, ...more });

test('a command with an id is applied once and answers the same again', async () => {
  const bench = await new TallyBench().start();
  expect(await bench.send(add(5, { id: 'x' }), add(5, { id: 'x' }))).toEqual([
    { ok: true, value: 5 },
    { ok: true, value: 5 },
  ]);
  expect(bench.account().balance).toBe(5);
});

test('a series that does not begin at 1 is refused, also by an entity that does not exist yet', async () => {
  const bench = await new TallyBench().start();
  expect(await bench.send(add(5, { id: 's:2' }), add(5, { id: 's:1' }), add(5, { id: 's:2' }))).toEqual([
    { ok: false, code: 'series_gap' },
    { ok: true, value: 5 },
    { ok: true, value: 10 },
  ]);
});

test('a command whose deadline has passed by the log’s clock is refused and changes nothing', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  expect(await bench.send(add(5, { deadline: bench.world.now - 1 }))).toEqual([{ ok: false, code: 'expired' }]);
  expect(bench.account().balance).toBe(1);
});

test('a malformed body names the path; an unknown kind, command or entity its code', async () => {
  const bench = await new TallyBench().start();
  expect(
    await bench.send(
      { type: 'add', body: { amount: 'many' } },
      { type: 'nonsense' },
      { type: 'add', to: { kind: 'ghost', key: 'g', id: 'g' }, body: { amount: 1 } },
      { type: 'explode' },
    ),
  ).toMatchObject([
    { ok: false, code: 'bad_request', detail: { path: '/amount' } },
    { ok: false, code: 'unknown_command' },
    { ok: false, code: 'unknown_command' },
    { ok: false, code: 'unknown_entity' },
  ]);
});

test('a transition that throws fails that command, keeps the state and becomes a dead letter', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(5));
  expect(await bench.send({ type: 'explode' }, add(1))).toEqual([
    { ok: false, code: 'internal_error' },
    { ok: true, value: 6 },
  ]);
  const letters = bench.journal().flatMap((record) => record.events);
  expect(letters).toMatchObject([
    { kind: 'audit', payload: { kind: 'dead_letter', command: 'explode', reason: 'boom' } },
  ]);
});

test('a state too large for one record is refused; its neighbours in the batch are applied', async () => {
  const bench = await new TallyBench().start();
  const results = await bench.send(add(1), { type: 'bloat', body: { bytes: 1_000_000 } }, add(2), add(3));
  expect(results).toEqual([
    { ok: true, value: 1 },
    { ok: false, code: 'record_too_large' },
    { ok: true, value: 3 },
    { ok: true, value: 6 },
  ]);
  expect(bench.account()).toMatchObject({ balance: 6, padding: '' });
  // Four at a time, two, one; then it is known which.
  expect(bench.events.filter(({ event }) => event === 'rebuilt').length).toBe(3);
});

test('many states that are too large together are cut into records before one is refused', async () => {
  const bench = await new TallyBench().start();
  const bloats = Array.from({ length: 40 }, (_, i) => ({
    type: 'bloat',
    to: accountAddress(`a${i}`),
    body: { bytes: 60_000 },
  }));
  expect(await bench.send(...bloats)).toEqual(bloats.map(() => ({ ok: true, value: null })));
  const sizes = bench.log.journals[0]!.messages.map(({ bytes }) => bytes.length);
  expect(bench.events.filter(({ event }) => event === 'rebuilt')).toEqual([]);
  expect(Math.max(...sizes)).toBeLessThan(recordBytesTarget + 70_000);
  expect(sizes.length).toBeLessThan(14);
});

test('states that grow too large together after they were counted are written half as many at a time', async () => {
  const bench = await new TallyBench().start();
  // Each is small when it is first changed.
  const growing = Array.from({ length: 8 }, (_, i) => accountAddress(`a${i}`));
  const commands = [
    ...growing.map((to) => add(1, { to })),
    ...growing.map((to) => ({ type: 'bloat', to, body: { bytes: 200_000 } })),
  ];
  const results = await bench.send(...commands);
  expect(results.map(({ ok }) => ok)).toEqual(commands.map(() => true));
  expect(bench.events.filter(({ event }) => event === 'rebuilt').length).toBe(1);
});

test('a state that cannot be written exactly is refused; what follows goes on', async () => {
  const bench = await new TallyBench().start();
  expect(await bench.send(add(1), { type: 'spoil' }, add(2))).toEqual([
    { ok: true, value: 1 },
    { ok: false, code: 'internal_error' },
    { ok: true, value: 3 },
  ]);
  expect(bench.failures).toEqual([]);
});

test('an idle partition has time: a deadline fires though nobody sends anything, and once', async () => {
  const bench = await new TallyBench().start();
  await bench.send({ type: 'wait', body: { ms: 2_500 } });
  await bench.idle(2_000);
  expect(bench.account().fired).toBe(0);
  await bench.idle(1_500);
  expect(bench.account().fired).toBe(1);
  await bench.idle(5_000);
  expect(bench.account().fired).toBe(1);
});

test('slots follow each other while the partition runs; after downtime only the newest is run', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  await bench.idle(3_500);
  const slots = () => bench.journal().filter((record) => record.timers.fired.includes('slot|second')).length;
  expect(slots()).toBe(3);
  const before = bench.account().slot;
  let stopped = false;
  void bench.owner.stop().then(() => (stopped = true));
  await bench.world.run(5_000, () => stopped);
  const ran = slots();
  await bench.idle(60_000);
  const next = new PartitionOwner({
    partition: 0,
    partitions: 1,
    build: 'test',
    catalogue: compileDomain(tallyDomain),
    ports: bench.log.ports(0, new Life(), () => {}),
    onFailed: (error) => bench.failures.push(error),
  });
  let started = false;
  void next.start().then(() => (started = true));
  await bench.world.run(1_000, () => started);
  await bench.world.run(900, () => slots() > ran);
  const { slot } = next.state.entity('account', 'a')!.stored.context as unknown as Account;
  expect(slot).toBeGreaterThan(before + 50);
  expect(slots() - ran).toBe(1);
  expect(bench.failures).toEqual([]);
});

test('a message in the log that is no frame is passed over and told', async () => {
  const bench = await new TallyBench().start();
  bench.log.commands[0]!.store(new Uint8Array([0xc1, 0xff]));
  expect(await bench.send(add(4))).toEqual([{ ok: true, value: 4 }]);
  expect(bench.journal().flatMap((record) => record.events)).toMatchObject([{ payload: { command: 'frame' } }]);
});

test('commands of a writer that never said hello, and those behind a gap, wait for what is before them', async () => {
  const bench = await new TallyBench().start();
  const frame = (writer: string, first: number): Frame => ({
    kind: 'commands',
    writer,
    first,
    commands: [
      {
        id: null,
        to: accountAddress('a'),
        type: 'add',
        body: { amount: 100 },
        reply: null,
        deadline: 0,
        correlation: null,
      },
    ],
  });
  bench.store(frame('stranger', 1));
  bench.store(frame('door', 5));
  expect(await bench.send(add(1))).toEqual([{ ok: true, value: 1 }]);
});

test('a store clock that jumps by more than an hour stops the partition before anything is applied', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  bench.log.commands[0]!.messages.push({
    bytes: Uint8Array.from(encodeFrame({ kind: 'clock', writer: 'clock', first: 0, commands: [] })),
    at: bench.world.now + 2 * 3_600_000,
  });
  bench.store({ kind: 'clock', writer: 'clock', first: 0, commands: [] });
  await bench.world.run(5_000, () => bench.failures.length > 0);
  expect(bench.failures[0]?.message).toMatch(/set the server's clock right/);
});

test('an answer whose record is uncertain does not wait for the next command', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  const { now } = bench.world;
  bench.log.faults.ackLostPercent = 100;
  const sent = bench.send(add(2));
  await bench.world.run(50, () => bench.events.length > 5);
  bench.log.faults.ackLostPercent = 0;
  expect(await sent).toEqual([{ ok: true, value: 3 }]);
  expect(bench.world.now - now).toBeLessThan(600);
});

test('two deadlines shortly after each other are both in time on a silent log', async () => {
  const bench = await new TallyBench().start();
  const begun = bench.world.now;
  await bench.send(
    { type: 'wait', body: { ms: 2_500 } },
    { type: 'wait', to: accountAddress('b'), body: { ms: 2_650 } },
  );
  await bench.world.run(2_800 - (bench.world.now - begun), () => false);
  expect([bench.account('a').fired, bench.account('b').fired]).toEqual([1, 1]);
});

test('a state that cannot be written is refused also while the reader is held back by a full queue', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  const padding = 'x'.repeat(200_000);
  for (let i = 0; i < 60; i++) {
    bench.store({ kind: 'hello', writer: `${padding}${i}`, first: 1, commands: [] });
    if (i === 0) bench.store({ kind: 'hello', writer: 'late', first: 1, commands: [] });
  }
  const results = await bench.send({ type: 'spoil' }, add(2));
  expect(results).toEqual([
    { ok: false, code: 'internal_error' },
    { ok: true, value: 3 },
  ]);
});

test('who had to read many records to begin writes a snapshot soon, but not before the first replies', async () => {
  const bench = await new TallyBench().start();
  for (let i = 0; i < 510; i++) await bench.send(add(1));
  bench.owner.abandon();
  const events: OwnerEvent[] = [];
  const next = new PartitionOwner({
    partition: 0,
    partitions: 1,
    build: 'test',
    catalogue: compileDomain(tallyDomain),
    ports: bench.log.ports(0, new Life(), () => {}),
    onFailed: (error) => bench.failures.push(error),
    onEvent: (event) => events.push(event),
  });
  void next.start();
  await bench.idle(4_500);
  expect(events.map(({ event }) => event)).toEqual(['recovered']);
  await bench.idle(3_000);
  expect(events.map(({ event }) => event)).toEqual(['recovered', 'snapshot']);
  expect(bench.failures).toEqual([]);
});

test('an owner that lets go says nothing any more, not even of what is acknowledged afterwards', async () => {
  const bench = await new TallyBench().start();
  await bench.send(add(1));
  const said = bench.replies.length;
  const records = bench.journal().length;
  bench.store({
    kind: 'commands',
    writer: 'door',
    first: 2,
    commands: [
      {
        id: null,
        to: accountAddress('a'),
        type: 'add',
        body: { amount: 5 },
        reply: { inbox: 'i', token: 0 },
        deadline: 0,
        correlation: null,
      },
    ],
  });
  await bench.world.run(5_000, () => bench.journal().length > records);
  bench.owner.abandon();
  await bench.idle(5_000);
  expect([bench.journal().length, bench.replies.length]).toEqual([records + 1, said]);
  expect(bench.failures).toEqual([]);
});
