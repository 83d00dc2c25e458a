/** What sessions mean for commands: whoever has no money for one is told so by its charger, which stops it. */
import { expect, test } from 'vitest';
import { customerAddress, nameAddress, sessionAddress } from './addresses.ts';
import { creditAnswerMs } from './session_commands.ts';
import { demoSite, TestWorld } from './testing.ts';
import { TestCommands } from './testing_device_commands.ts';

const ada = customerAddress('ada');

/** TAG-1 is ada's, who lives in another partition than the site. */
function setUp({ depositE5Sek = 0 } = {}) {
  const world = new TestWorld({ partitions: 2 });
  const [charger] = demoSite(world);
  world.ask(ada, 'customer.open', { name: 'Ada' });
  if (depositE5Sek > 0) world.ask(ada, 'customer.deposit', { amountE5Sek: depositE5Sek });
  const tag = { customer: 'ada', group: null, status: 'Accepted', expiresAt: null };
  world.ask(nameAddress('tag', 'TAG-1'), 'tag.put', tag);
  charger!.connect();
  charger!.boot();
  world.advance(1_000);
  expect(world.partitionOf('ada')).not.toBe(world.partitionOf('demo'));
  return { world, charger: charger!, commands: new TestCommands(charger!) };
}

test('a session whose customer has no money is told to stop by the system, once, and ends', () => {
  const { world, charger, commands } = setUp();
  const { transaction } = charger.start();
  const id = `credit-${transaction}`;
  const [write, ...more] = commands.writes();
  expect([write, more]).toMatchObject([{ command: id, kind: 'session.requestStop', arguments: { transaction } }, []]);
  expect(commands.stored(id)!.state.requestedBy).toBe('system');
  world.ask(sessionAddress('demo', transaction), 'credit.answered', { granted: false });
  commands.wait(creditAnswerMs + 1_000);
  expect(world.bodies('command.request')).toHaveLength(1);
  commands.take(write!);
  charger.stop(transaction, { reason: 'Remote' });
  expect(commands.stateOf(id)).toBe('done');
});

test('a session with money goes on, and so does one whose answer comes after 9 s', () => {
  const { world, charger, commands } = setUp({ depositE5Sek: 10_000_000 });
  world.relaysWait = true;
  charger.start();
  commands.wait(9_000);
  world.relaysWait = false;
  world.deliverRelays();
  commands.wait(60_000);
  expect([world.bodies('command.request'), commands.writes()]).toEqual([[], []]);
});

test('without an answer for 10 s the session is told to stop, money or not', () => {
  const { world, charger, commands } = setUp({ depositE5Sek: 10_000_000 });
  world.relaysWait = true;
  const { transaction } = charger.start();
  commands.wait(creditAnswerMs - 1);
  expect(commands.writes()).toEqual([]);
  commands.wait(1);
  expect(commands.writes()).toMatchObject([{ kind: 'session.requestStop', arguments: { transaction } }]);
  expect(charger.session(transaction)!.context.flags).toEqual(['credit_unanswered']);
});

test('an offline charger is told when it is back; a session that has ended is told nothing', () => {
  const { world, charger, commands } = setUp();
  charger.disconnect();
  const { transaction } = charger.start();
  expect(commands.stateOf(`credit-${transaction}`)).toBe('queued');
  charger.connect();
  world.advance(2_000);
  expect(commands.writes()).toMatchObject([{ arguments: { transaction } }]);

  const other = setUp({ depositE5Sek: 10_000_000 });
  const ended = other.charger.start().transaction;
  other.charger.stop(ended);
  other.world.ask(sessionAddress('demo', ended), 'credit.answered', { granted: false });
  other.commands.wait(60_000);
  expect(other.world.bodies('command.request')).toEqual([]);
});

test('a session without a customer needs no credit', () => {
  const { world, charger, commands } = setUp();
  charger.start({ tag: 'TAG-2' });
  commands.wait(60_000);
  expect(world.bodies('command.request')).toEqual([]);
});
