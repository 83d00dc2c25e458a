/** CALLs of ours at the edge: each release written once, never late, over its own connection, one after the other. */
import { expect, test } from 'vitest';
import type { CommandWrite } from '#actors/schema/device_commands';
import { DeviceCalls, messageIdOf, type CallLine } from './device_calls.ts';
import { MemoryDoor } from './testing/door.ts';
import { outbound16 } from './v16/commands.ts';
import { outbound201 } from './v201/commands.ts';

const now = 1_000_000;

function setUp() {
  const door = new MemoryDoor();
  const frames: unknown[][] = [];
  const line: CallLine & { open: boolean } = {
    ...{ id: 'connection', connectionSeq: 3, served: { charger: 'CP-1', site: 'demo' } },
    outbound: outbound16,
    open: true,
    send(frame) {
      if (this.open) frames.push(JSON.parse(frame) as unknown[]);
      return this.open;
    },
  };
  const silent = () => undefined;
  const calls = new DeviceCalls({
    door,
    clock: { now: () => now },
    log: { info: silent, warn: silent, error: silent },
    find: (connection) => (connection === line.id ? line : undefined),
    acknowledged: silent,
  });
  const reports = () =>
    door.commands.map(({ to, type, body }) => [to.id, type.slice('command.'.length), body['release']]);
  return { calls, line, frames, door, reports };
}

const write = (more: Partial<CommandWrite> = {}): CommandWrite => ({
  ...{ site: 'demo', charger: 'CP-1', connection: 'connection', connectionSeq: 3, command: 'c1', call: 'act' },
  ...{ release: 1, kind: 'charger.reset', arguments: { mode: 'hard' }, expiresAt: now + 10_000, answerMs: 60_000 },
  transactionId: null,
  ...more,
});
const get = (command: string, more: Partial<CommandWrite> = {}) =>
  write({ command, kind: 'config.get', arguments: { keys: ['A'] }, ...more });
const accept = (calls: DeviceCalls, line: CallLine, id: string) =>
  calls.answer(line, { type: 3, id, parts: [{ status: 'Accepted' }] });

test('a release that comes twice is written once; a newer one of the same CALL is only reported', () => {
  const { calls, line, frames, reports } = setUp();
  calls.release(write());
  calls.release(write());
  calls.release(write({ release: 2 }));
  calls.release(write({ release: 1 }));
  expect(frames).toEqual([[2, 'c1', 'Reset', { type: 'Hard' }]]);
  expect(accept(calls, line, 'c1')).toBe(true);
  calls.release(write({ release: 3 }));
  expect(frames).toHaveLength(1);
  expect(reports()).toEqual([
    ['c1', 'written', 1],
    ['c1', 'written', 2],
    ['c1', 'answered', 2],
    ['c1', 'answered', 3],
  ]);
});

test('a second answer, and one to nothing, say nothing', () => {
  const { calls, line, door } = setUp();
  calls.release(write());
  accept(calls, line, 'c1');
  const before = door.commands.length;
  expect(calls.answer(line, { type: 4, id: 'c1', parts: ['InternalError', '', {}] })).toBe(true);
  expect(calls.answer(line, { type: 3, id: 'c9', parts: [{}] })).toBe(false);
  const other = { ...line, served: { charger: 'CP-2', site: 'demo' } };
  expect(accept(calls, other, 'c1')).toBe(false);
  expect(door.commands).toHaveLength(before);
});

test('nothing is written over another connection, for another charger, or after its time', () => {
  const { calls, line, frames, reports } = setUp();
  calls.release(write({ connection: 'gone' }));
  calls.release(write({ connectionSeq: 2 }));
  calls.release(write({ charger: 'CP-2' }));
  line.open = false;
  calls.release(write());
  expect(reports()).toEqual([]);
  line.open = true;
  calls.release(write({ expiresAt: now - 1 }));
  expect([frames, reports()]).toEqual([[], [['c1', 'unanswered', 1]]]);
});

test('the next CALL waits for the answer; of those that wait eight are kept, and the newest release of each', () => {
  const { calls, line, frames } = setUp();
  calls.release(write());
  for (let n = 1; n <= 10; n++) calls.release(get(`g${n}`));
  calls.release(get('g1', { release: 2 }));
  expect(frames).toHaveLength(1);
  accept(calls, line, 'c1');
  const sent = () => frames.slice(1).map(([, id]) => id as string);
  for (let n = 0; n < 12; n++) calls.answer(line, { type: 3, id: sent().at(-1)!, parts: [{}] });
  expect(sent()).toEqual(['g2', 'g3', 'g4', 'g5', 'g6', 'g7', 'g8', 'g1']);
});

test('silence is reported, the line is free, and the late answer still counts', async () => {
  const { calls, line, frames, door, reports } = setUp();
  calls.release(write({ answerMs: 20 }));
  calls.release(get('g1'));
  await door.until(() => door.of('command.unanswered').length === 1);
  expect(frames.map(([, id]) => id)).toEqual(['c1', 'g1']);
  accept(calls, line, 'c1');
  expect(reports().at(-1)).toEqual(['c1', 'answered', 1]);
  calls.release(write({ release: 2 }));
  expect(frames).toHaveLength(2);
  calls.close();
});

test('a socket that closes takes its CALL and all that waits with it', () => {
  const { calls, line, frames } = setUp();
  calls.release(write());
  calls.release(get('g1'));
  calls.closed('connection');
  expect(accept(calls, line, 'c1')).toBe(true);
  expect(frames).toHaveLength(1);
});

test('message ids have at most 36 characters and differ between a command and its read-back', () => {
  const command = '0192f3c1-8a5b-7c3d-9e1f-0123456789ab';
  expect(messageIdOf({ command, call: 'act' })).toBe(command);
  expect(messageIdOf({ command, call: 'read' })).toBe('0192f3c18a5b7c3d9e1f0123456789ab-r');
});

const answerOf = (outbound: typeof outbound16, order: Partial<CommandWrite>, payload: unknown) =>
  outbound.answer(write(order), payload);

test('of what a charger of OCPP 1.6 tells of its settings only what was asked for is kept', () => {
  const order = { kind: 'config.get' as const, arguments: { keys: ['A', 'b', 'C'] } };
  const told = (key: string, value?: string) => ({ key, readonly: true, ...(value !== undefined && { value }) });
  const payload = { configurationKey: [told('a', '1'), told('B'), told('Secret', 'x')], unknownKey: ['C'] };
  expect(answerOf(outbound16, order, payload)).toEqual({
    ...{ outcome: 'accepted', status: 'Accepted', description: '' },
    values: [
      { key: 'a', value: '1', readonly: true },
      { key: 'B', value: null, readonly: true },
    ],
    unknown: ['C'],
  });
  expect(answerOf(outbound16, order, {})).toMatchObject({ values: [], unknown: ['A', 'b', 'C'] });
  expect(answerOf(outbound16, order, { configurationKey: [{ key: 'A' }] }).outcome).toBe('bad_answer');
});

test('answers of OCPP 2.0.1: scheduled resets, unknown variables, reasons, and lists that do not fit', () => {
  const reset = { kind: 'charger.reset' as const, arguments: { mode: 'soft' } };
  const why = { reasonCode: 'InTx', additionalInfo: 'wait' };
  expect(answerOf(outbound201, reset, { status: 'Scheduled' }).outcome).toBe('accepted');
  expect(answerOf(outbound201, reset, { status: 'rejected', statusInfo: why })).toMatchObject({
    ...{ outcome: 'rejected', status: 'Rejected', description: 'InTx wait' },
  });
  const set = { kind: 'config.set' as const, arguments: { key: 'A@2.B[C]', value: '1' } };
  const variable = { component: { name: 'A', evse: { id: 2 } }, variable: { name: 'B', instance: 'C' } };
  expect(outbound201.call(write(set))).toEqual({
    action: 'SetVariables',
    payload: { setVariableData: [{ attributeValue: '1', ...variable }] },
  });
  const result = (attributeStatus: string) => ({ setVariableResult: [{ attributeStatus, ...variable }] });
  expect(answerOf(outbound201, set, result('UnknownVariable'))).toMatchObject({
    ...{ outcome: 'rejected', status: 'UnknownVariable' },
  });
  expect(answerOf(outbound201, set, result('RebootRequired')).outcome).toBe('reboot_required');
  expect(answerOf(outbound201, set, { setVariableResult: [] }).outcome).toBe('bad_answer');
  const get = { kind: 'config.get' as const, arguments: { keys: ['A.B', 'A.C'] } };
  const told = (name: string, attributeStatus: string, attributeValue?: string) => ({
    ...{ attributeStatus, component: { name: 'A' }, variable: { name } },
    ...(attributeValue !== undefined && { attributeValue }),
  });
  const both = { getVariableResult: [told('B', 'Accepted', 'x'), told('C', 'UnknownVariable')] };
  expect(answerOf(outbound201, get, both)).toMatchObject({
    values: [{ key: 'A.B', value: 'x', readonly: null }],
    unknown: ['A.C'],
  });
  const one = { getVariableResult: [told('B', 'Accepted', 'x')] };
  expect(answerOf(outbound201, get, one).outcome).toBe('bad_answer');
});

test('what does not fit a version is not said in it', () => {
  const start = (tag: string) => write({ kind: 'session.requestStart', arguments: { connector: 1, tag } });
  expect(outbound16.call(start('x'.repeat(21)))).toBeNull();
  expect(outbound201.call(start('x'.repeat(36)))).not.toBeNull();
  const set = (key: string, value: string) => write({ kind: 'config.set', arguments: { key, value } });
  expect(outbound16.call(set('A', 'x'.repeat(501)))).toBeNull();
  expect(outbound201.call(set('A', 'x'))).toBeNull();
  for (const key of ['', 'A', 'A.', '.B', 'A.B.C', 'A@0.B', 'A@x.B', 'A.B[]', 'A.B[C', 'x'.repeat(51) + '.B'])
    expect([key, outbound201.keyProblem(key)]).toEqual([key, expect.any(String)]);
});

test('a setting that is a password is neither set nor read, whoever invented it', () => {
  const password = expect.stringContaining('password') as unknown;
  for (const key of ['authorizationkey', 'AuthorizationKey ', 'Acme_WifiPassword', 'SimPin', 'MqttSecret'])
    expect([key, outbound16.keyProblem(key)]).toEqual([key, password]);
  for (const key of ['SecurityCtrlr.BasicAuthPassword', 'SecurityCtrlr@1.BasicAuthPassword[x]', 'Modem.Pin'])
    expect([key, outbound201.keyProblem(key)]).toEqual([key, password]);
  for (const key of ['HeartbeatInterval', 'AuthorizeRemoteTxRequests', 'SpinUp'])
    expect([key, outbound16.keyProblem(key)]).toEqual([key, null]);
  expect(outbound201.keyProblem('AuthCtrlr.AuthorizeRemoteStart')).toBeNull();
});
