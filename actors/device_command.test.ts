/** Commands to a charger: from being asked for to their effect, and every way in which that goes wrong. */
import { expect, test } from 'vitest';
import { deviceCommandAddress } from './addresses.ts';
import { remoteStartIdOf } from './device_command_rules.ts';
import type { DeviceOrder } from './schema/device_commands.ts';
import { demoSite, TestWorld } from './testing.ts';
import { TestCommands } from './testing_device_commands.ts';

const start = (connector = 1, tag = 'TAG-1'): DeviceOrder => ({
  kind: 'session.requestStart',
  arguments: { connector, tag },
});
const stop = (transaction: number): DeviceOrder => ({ kind: 'session.requestStop', arguments: { transaction } });
const reset = (mode: 'soft' | 'hard' = 'soft'): DeviceOrder => ({ kind: 'charger.reset', arguments: { mode } });
const set = (key = 'HeartbeatInterval', value = '300'): DeviceOrder => ({
  kind: 'config.set',
  arguments: { key, value },
});
const get = (...keys: string[]): DeviceOrder => ({ kind: 'config.get', arguments: { keys } });

/** A charger with two connectors, online and accepted. */
function setUp({ online = true } = {}) {
  const world = new TestWorld({ compare: true });
  const [charger, other] = demoSite(world, { chargers: 2, connectors: 2 });
  charger!.connect();
  charger!.boot();
  world.advance(1_000);
  if (!online) charger!.disconnect();
  return { world, charger: charger!, other: other!, commands: new TestCommands(charger!) };
}

test('a start is sent at once, answered, and done when its session has begun', () => {
  const { charger, commands } = setUp();
  const id = commands.ask(start(2));
  const [write, ...more] = commands.writes();
  expect(more).toEqual([]);
  expect(write).toMatchObject({
    command: id,
    call: 'act',
    release: 1,
    connection: 'CP-1-1',
    connectionSeq: 1,
    kind: 'session.requestStart',
    arguments: { connector: 2, tag: 'TAG-1' },
    answerMs: 30_000,
  });
  commands.take(write!);
  expect(commands.stateOf(id)).toBe('answered');
  charger.start({ connector: 1 });
  charger.start({ connector: 2, tag: 'TAG-2' });
  expect(commands.stateOf(id)).toBe('answered');
  charger.start({ connector: 2, tag: 'tag-1' });
  expect(commands.stateOf(id)).toBe('done');
  expect(commands.told(id)).toEqual(['queued', 'sent', 'answered', 'done']);
  expect(commands.stored(id)!.state).toMatchObject({ attempts: 1, result: { status: 'Accepted' }, call: null });
});

test('with OCPP 2.x the session names the request that it answers to, whatever tag it runs under', () => {
  const { world, charger, commands } = setUp();
  const id = commands.ask(start());
  commands.take(commands.writes()[0]!);
  const fact = { connectionSeq: 1, frameHash: '', repairs: [], at: world.now, atRaw: '', clock: false };
  const begin = (reference: string, remoteStartId: number) =>
    world.ask(charger.address, 'session.started', {
      ...fact,
      key: `start-${reference}`,
      connector: 1,
      tag: 'TAG-1',
      meterStartWh: null,
      reference,
      remoteStartId,
      samples: [],
    });
  begin('a', remoteStartIdOf('another'));
  expect(commands.stateOf(id)).toBe('answered');
  begin('b', remoteStartIdOf(id));
  expect(commands.stateOf(id)).toBe('done');
});

test('a start that the charger delivers late is not the effect of a newer request', () => {
  const { world, charger, commands } = setUp();
  const id = commands.ask(start());
  commands.take(commands.writes()[0]!);
  charger.start({ at: world.now - 3_600_000 });
  expect(commands.stateOf(id)).toBe('answered');
  commands.wait(90_000);
  expect(commands.stateOf(id)).toBe('failed: no_effect');
});

test('a stop is done when the session ends, also when it ends by itself before anything was sent', () => {
  const { charger, commands } = setUp();
  const { transaction } = charger.start();
  const first = commands.ask(stop(transaction));
  const [write] = commands.writes();
  expect(write).toMatchObject({ arguments: { transaction }, transactionId: null });
  commands.take(write!);
  charger.stop(transaction);
  expect(commands.stateOf(first)).toBe('done');

  const next = charger.start({ meterStartWh: 7 }).transaction;
  charger.disconnect();
  const second = commands.ask(stop(next));
  expect(commands.stateOf(second)).toBe('queued');
  charger.stop(next);
  expect(commands.stateOf(second)).toBe('done');
  expect([commands.writes(), commands.stored(second)!.state.attempts]).toEqual([[], 0]);
});

test('an effect that comes before the answer counts, and the wire stays taken until the answer', () => {
  const { charger, commands } = setUp();
  const { transaction } = charger.start();
  const id = commands.ask(stop(transaction));
  const waiting = commands.ask(get('A'));
  const [write] = commands.writes();
  commands.written(write!);
  charger.stop(transaction);
  expect(commands.stateOf(id)).toBe('done');
  expect(commands.writes()).toEqual([]);
  commands.answer(write!);
  expect(commands.writes()).toMatchObject([{ command: waiting }]);
  expect(commands.stored(id)!.state).toMatchObject({ result: { status: 'Accepted' }, call: null });
});

test('a reset is done by a boot over a newer connection, not by one over its own', () => {
  const { charger, commands } = setUp();
  const id = commands.ask(reset('hard'));
  commands.take(commands.writes()[0]!);
  charger.boot();
  expect(commands.stateOf(id)).toBe('answered');
  charger.disconnect();
  charger.connect();
  charger.boot();
  expect(commands.stateOf(id)).toBe('done');
});

test('a reset without a boot fails after 5 min, and is not tried again', () => {
  const { commands } = setUp();
  const id = commands.ask(reset());
  commands.written(commands.writes()[0]!);
  commands.wait(35_000);
  expect(commands.stateOf(id)).toBe('unknown');
  commands.wait(300_000);
  expect(commands.stateOf(id)).toBe('failed: no_effect');
  expect(commands.writes()).toEqual([]);
});

test('a setting counts when it is read back, in whatever spelling', () => {
  const { commands } = setUp();
  const id = commands.ask(set('LocalPreAuthorize', 'true'));
  commands.take(commands.writes()[0]!);
  const [read] = commands.writes();
  expect(read).toMatchObject({ command: id, call: 'read', release: 2 });
  commands.take(read!, { values: [{ key: 'localpreauthorize', value: 'TRUE', readonly: false }] });
  expect(commands.stateOf(id)).toBe('done');
  expect(commands.stored(id)!.state).toMatchObject({ attempts: 1, result: { status: 'Accepted', value: 'TRUE' } });
});

test('a setting that was accepted and not applied has failed; so has one that cannot be read', () => {
  const { commands } = setUp();
  const changed = commands.ask(set());
  commands.take(commands.writes()[0]!);
  commands.take(commands.writes()[0]!, { values: [{ key: 'HeartbeatInterval', value: '900', readonly: false }] });
  expect(commands.stateOf(changed)).toBe('failed: not_applied');
  const hidden = commands.ask(set());
  commands.take(commands.writes()[0]!);
  commands.take(commands.writes()[0]!, { unknown: ['HeartbeatInterval'] });
  expect(commands.stateOf(hidden)).toBe('failed: not_readable');
});

test('a setting that asks for a restart waits for one, and is read again then', () => {
  const { charger, world, commands } = setUp();
  const id = commands.ask(set('WebSocketPingInterval', '60'));
  const values = (value: string) => ({ values: [{ key: 'WebSocketPingInterval', value, readonly: false }] });
  commands.take(commands.writes()[0]!, { outcome: 'reboot_required', status: 'RebootRequired' });
  commands.take(commands.writes()[0]!, values('30'));
  expect(commands.stateOf(id)).toBe('answered');
  charger.disconnect();
  charger.connect();
  charger.boot();
  world.advance(1_000);
  const [read] = commands.writes();
  expect(read).toMatchObject({ call: 'read', connectionSeq: 2 });
  commands.take(read!, values('60'));
  expect(commands.stateOf(id)).toBe('done');
  expect(commands.stored(id)!.state.result).toEqual({ status: 'RebootRequired', restart: 'seen', value: '60' });
});

test('what the charger tells of its settings is kept; an accepting answer is all there is to it', () => {
  const { commands } = setUp();
  const id = commands.ask(get('A', 'B'));
  const values = [{ key: 'A', value: '1', readonly: true }];
  commands.take(commands.writes()[0]!, { values, unknown: ['B'] });
  expect(commands.stateOf(id)).toBe('done');
  expect(commands.stored(id)!.state.result).toEqual({ status: 'Accepted', values, unknown: ['B'] });
});

test('a refusal by the charger decides: it is never asked again', () => {
  const { charger, commands } = setUp();
  const ids = (['rejected', 'not_supported', 'error', 'bad_answer'] as const).map((outcome) => {
    const id = commands.ask(start());
    commands.take(commands.writes()[0]!, { outcome, status: 'Rejected', description: 'no' });
    expect(commands.stateOf(id)).toBe(`failed: ${outcome}`);
    return id;
  });
  commands.wait(600_000);
  charger.disconnect();
  charger.connect();
  charger.boot();
  commands.wait(600_000);
  expect(commands.writes()).toEqual([]);
  expect(commands.stored(ids[0]!)!.state.result).toEqual({ status: 'Rejected', description: 'no' });
});

test('without an answer a repeatable command is written again at most twice, a start never', () => {
  const { charger, commands } = setUp();
  const { transaction } = charger.start();
  const id = commands.ask(stop(transaction));
  const releases = new Set<number>();
  for (let i = 0; i < 6; i++) {
    for (const write of commands.writes()) {
      releases.add(write.release);
      commands.written(write);
      commands.wait(write.answerMs);
      commands.unanswered(write);
    }
    commands.wait(10_000);
  }
  expect([...releases]).toEqual([1, 2, 3]);
  expect(commands.stateOf(id)).toBe('unknown');
  commands.wait(300_000);
  expect(commands.stateOf(id)).toBe('failed: no_effect');

  const other = commands.ask(start(2));
  const [write] = commands.writes();
  commands.written(write!);
  commands.unanswered(write!);
  commands.wait(80_000);
  expect([commands.stateOf(other), commands.writes()]).toEqual(['unknown', []]);
});

test('an answer that comes late still counts', () => {
  const { world, commands } = setUp();
  const id = commands.ask(get('A'));
  const [write] = commands.writes();
  commands.written(write!);
  commands.unanswered(write!);
  world.advance(1_000);
  commands.answer(write!);
  expect(commands.stateOf(id)).toBe('done');
  commands.wait(100_000);
  expect(commands.writes()).toEqual([]);
});

test('an effect that got lost is sent again until the gateway confirms it', () => {
  const { world, commands } = setUp();
  const id = commands.ask(start());
  const [first] = commands.writes();
  world.advance(2_000);
  const [again, ...more] = commands.writes();
  expect([again, more]).toEqual([first, []]);
  commands.written(again!);
  commands.wait(20_000);
  expect(commands.writes()).toEqual([]);
  expect(commands.stored(id)!.state.attempts).toBe(1);
});

test('offline chargers keep the queue: a stop goes first, then a start, then the rest, one at a time', () => {
  const { world, charger, commands } = setUp({ online: false });
  const { transaction } = charger.start({ connector: 2 });
  const [c, b, a] = [commands.ask(get('A')), commands.ask(start()), commands.ask(stop(transaction))];
  expect(commands.writes()).toEqual([]);
  charger.connect();
  expect(commands.writes()).toEqual([]);
  world.advance(2_000);
  for (const id of [a, b, c]) {
    const [write, ...more] = commands.writes();
    expect([write!.command, more]).toEqual([id, []]);
    commands.take(write!, { outcome: 'rejected' });
  }
});

test('what waited too long is never sent: a start for 60 s, a stop and a reset for 10 min, a setting for a day', () => {
  const { world, charger, commands } = setUp({ online: false });
  const { transaction } = charger.start();
  const ids = [start(2), stop(transaction), reset(), set()].map((order) => commands.ask(order));
  const states = () => ids.map((id) => commands.stateOf(id));
  world.advance(60_000);
  expect(states()).toEqual(['queued', 'queued', 'queued', 'queued']);
  world.advance(1);
  expect(states()).toEqual(['expired', 'queued', 'queued', 'queued']);
  world.advance(540_000);
  expect(states()).toEqual(['expired', 'expired', 'expired', 'queued']);
  world.jumpTo(world.now + 24 * 3_600_000);
  expect(states()).toEqual(['expired', 'expired', 'expired', 'expired']);
  charger.connect();
  commands.wait(10_000);
  expect(commands.writes()).toEqual([]);
});

test('a newer command about the same thing supersedes the older one, also when that is under way', () => {
  const { charger, commands } = setUp({ online: false });
  const { transaction } = charger.start();
  const [a, b] = [commands.ask(stop(transaction)), commands.ask(stop(transaction))];
  const [c, d] = [commands.ask(start(1)), commands.ask(start(2))];
  expect([a, b, c, d].map((id) => commands.stateOf(id))).toEqual(['superseded', 'queued', 'queued', 'queued']);

  const online = setUp();
  const soft = online.commands.ask(reset('soft'));
  const [write] = online.commands.writes();
  online.commands.written(write!);
  const hard = online.commands.ask(reset('hard'));
  expect([online.commands.stateOf(soft), online.commands.stateOf(hard)]).toEqual(['superseded', 'queued']);
  // The older one's CALL is still out.
  expect(online.commands.writes()).toEqual([]);
  online.commands.answer(write!);
  expect(online.commands.writes()).toMatchObject([{ command: hard }]);
});

test('what is certain not to have been written goes again; what may have been written does not, unless it may be repeated', () => {
  const { world, charger, commands } = setUp();
  const id = commands.ask(start());
  commands.writes();
  charger.disconnect();
  expect([commands.stateOf(id), commands.stored(id)!.state.attempts]).toEqual(['queued', 0]);
  charger.connect();
  world.advance(2_000);
  expect(commands.writes()).toMatchObject([{ command: id, release: 2, connectionSeq: 2 }]);
  // The gateway is gone without a goodbye, and the charger comes back by another one.
  charger.connect('gw-2');
  world.advance(2_000);
  expect([commands.stateOf(id), commands.writes()]).toEqual(['unknown', []]);

  const setting = commands.ask(set());
  commands.written(commands.writes()[0]!);
  charger.connect('gw-3');
  expect(commands.stateOf(setting)).toBe('queued');
  world.advance(2_000);
  expect(commands.writes()).toMatchObject([{ command: setting, release: 2, connectionSeq: 4 }]);
});

test('a start of which nothing came is tried again: the connector is available after the reconnection', () => {
  const { world, charger, commands } = setUp();
  const id = commands.ask(start());
  const [write] = commands.writes();
  commands.written(write!);
  charger.connect('gw-2');
  world.advance(2_000);
  expect(commands.stateOf(id)).toBe('unknown');
  charger.status('Available', { connector: 2 });
  expect(commands.stateOf(id)).toBe('unknown');
  charger.status('Available', { connector: 1 });
  expect(commands.writes()).toMatchObject([{ command: id, release: 2, connectionSeq: 2 }]);
});

test('it can be cancelled until it is sent, and twice', () => {
  const { commands, charger, world } = setUp({ online: false });
  const id = commands.ask(reset());
  expect(commands.cancel(id)).toMatchObject({ ok: true, value: { command: id, state: 'cancelled' } });
  expect(commands.cancel(id)).toMatchObject({ ok: true, value: { state: 'cancelled' } });
  const late = commands.ask(reset());
  charger.connect();
  world.advance(2_000);
  const images = JSON.stringify(world.partitions[0]!.images());
  expect(commands.cancel(late)).toMatchObject({ ok: false, code: 'already_sent' });
  expect(JSON.stringify(world.partitions[0]!.images())).toBe(images);
  commands.take(commands.writes()[0]!, { outcome: 'rejected' });
  expect(commands.cancel(late)).toMatchObject({ ok: false, code: 'device_command_ended' });
});

test('bad requests are refused with a code and change nothing', () => {
  const { world, charger, other, commands } = setUp();
  const { transaction } = charger.start();
  other.connect();
  other.boot();
  const elsewhere = other.start().transaction;
  const ended = charger.start({ connector: 2 }).transaction;
  charger.stop(ended);
  const known = commands.ask(get('A'), 'known');
  const images = JSON.stringify(world.partitions[0]!.images());
  const code = (order: object, id?: string) => {
    const result = commands.try(order as DeviceOrder, id);
    return result.ok ? 'ok' : result.code;
  };
  expect(code(start(3))).toBe('unknown_connector');
  expect(code(start(0))).toBe('bad_request');
  expect(code(start(1, 'NOBODY'))).toBe('tag_not_accepted');
  expect(code(stop(99))).toBe('unknown_session');
  expect(code(stop(elsewhere))).toBe('other_charger');
  expect(code(stop(ended))).toBe('session_ended');
  expect(code(get())).toBe('bad_request');
  expect(code(get('A', 'A'))).toBe('bad_request');
  expect(code(get(...'ABCDEFGHIJK'))).toBe('bad_request');
  expect(code(set('', '1'))).toBe('bad_request');
  expect(code(set('A\n', '1'))).toBe('bad_request');
  expect(code(set('A', 'x'.repeat(1_001)))).toBe('bad_request');
  expect(code({ kind: 'charger.reset', arguments: { mode: 'gentle' } })).toBe('bad_request');
  expect(code({ kind: 'charger.explode', arguments: {} })).toBe('bad_request');
  expect(code(get('B'), known)).toBe('id_conflict');
  expect(code(stop(transaction), known)).toBe('id_conflict');
  const to = deviceCommandAddress('demo', 'x');
  expect(world.send(to, 'command.request', { charger: 'CP-9', requestedBy: 'ola', ...reset() })).toMatchObject({
    code: 'unknown_charger',
  });
  const far = deviceCommandAddress('elsewhere', 'x');
  expect(world.send(far, 'command.request', { charger: 'CP-1', requestedBy: 'ola', ...reset() })).toMatchObject({
    code: 'unknown_charger',
  });
  expect(world.send(to, 'command.cancel', { charger: 'CP-1' })).toMatchObject({ code: 'unknown_entity' });
  expect(JSON.stringify(world.partitions[0]!.images())).toBe(images);
});

test('the same request again is the same command; reports of another charger say nothing', () => {
  const { world, commands } = setUp();
  const id = commands.ask(get('A'));
  expect(commands.try(get('A'), id)).toMatchObject({ ok: true, value: { command: id, state: 'sent' } });
  const [write, ...more] = commands.writes();
  expect(more).toEqual([]);
  const to = deviceCommandAddress('demo', id);
  const lie = { charger: 'CP-2', call: 'act', release: 1 };
  const answer = { outcome: 'accepted', status: 'Accepted', description: '', values: [], unknown: [] };
  world.ask(to, 'command.written', lie);
  world.ask(to, 'command.answered', { ...lie, answer });
  world.ask(to, 'command.unanswered', { ...lie, reason: 'timeout' });
  expect(commands.stored(id)!.state).toMatchObject({ attempts: 0, call: { written: false } });
  commands.take(write!);
  expect(commands.stateOf(id)).toBe('done');
});

test('of one charger 32 commands may be open, and ended ones go after a week', () => {
  const { world, commands } = setUp({ online: false });
  for (let n = 0; n < 32; n++) commands.ask(get(`K${n}`));
  expect(commands.try(reset())).toMatchObject({ ok: false, code: 'too_many_device_commands' });
  world.jumpTo(world.now + 24 * 3_600_000 + 1);
  const id = commands.ask(reset());
  world.jumpTo(world.now + 7 * 24 * 3_600_000);
  expect(world.partitions[0]!.all('device_command')).toHaveLength(1);
  world.advance(600_001);
  expect([commands.stateOf(id), world.partitions[0]!.all('device_command')]).toEqual(['gone', []]);
});

test('256 commands of a charger may end in a day; after it they make room, and an id that is free again starts afresh', () => {
  const { world, commands } = setUp({ online: false });
  const day = 24 * 3_600_000;
  const ids = Array.from({ length: 256 }, () => {
    const id = commands.ask(reset());
    world.advance(1);
    expect(commands.cancel(id).ok).toBe(true);
    return id;
  });
  expect(commands.try(reset())).toMatchObject({ ok: false, code: 'too_many_device_commands' });
  const firstEndedAt = commands.stored(ids[0]!)!.state.endedAt!;
  world.jumpTo(firstEndedAt + 7 * day - 60_000);
  commands.ask(reset());
  expect(world.partitions[0]!.all('device_command')).toHaveLength(256);
  expect([commands.stateOf(ids[0]!), commands.stateOf(ids[1]!)]).toEqual(['gone', 'cancelled']);
  commands.ask(get('A'), ids[0]);
  // When the first of that id would have been forgotten the second waits, as it should.
  world.advance(120_000);
  expect([commands.stateOf(ids[0]!), commands.stateOf(ids[1]!)]).toEqual(['queued', 'gone']);
});

test('a charger that has never been accepted is sent nothing', () => {
  const world = new TestWorld();
  const [charger] = demoSite(world);
  charger!.connect();
  const commands = new TestCommands(charger!);
  const id = commands.ask(get('A'));
  commands.wait(60_000);
  expect([commands.stateOf(id), commands.writes()]).toEqual(['queued', []]);
  charger!.boot();
  world.advance(500);
  expect(commands.writes()).toMatchObject([{ command: id }]);
});
