import fc from 'fast-check';
import { assign, createMachine, initialTransition, setup, transition } from 'xstate';
import Type from 'typebox';
import { expect, test } from 'vitest';
import { decide, type ActorDefinition, type ActorEvent } from '#actors/actor';
import { tallyDomain } from '../simulation/tally.ts';
import { machineRunner } from './machine.ts';

const self = { kind: 'lamp', key: 'k', id: 'k' };
const event = (type: string, body: Record<string, unknown> = {}, now = 1_000): ActorEvent => ({
  type,
  now,
  self,
  body,
  facts: undefined,
});
const definition = (machine: ActorDefinition['machine']): ActorDefinition => ({
  kind: 'lamp',
  version: 1,
  machine,
  context: Type.Object({ count: Type.Integer() }),
  commands: {},
  timers: [],
  creates: [],
});

test('a random walk gives the same states and outputs as the public transition of XState', () => {
  const account = tallyDomain.actors[0]!;
  const runner = machineRunner(account);
  const step = fc.oneof(
    fc.record({ type: fc.constant('add'), body: fc.record({ amount: fc.nat(2_000) }) }),
    fc.record({
      type: fc.constant('transfer'),
      body: fc.record({ to: fc.constantFrom('a', 'b'), amount: fc.nat(50) }),
    }),
    fc.record({ type: fc.constant('wait'), body: fc.record({ ms: fc.nat(100) }) }),
    fc.record({ type: fc.constantFrom('timer.w0', 'unknown'), body: fc.constant({}) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let mine = runner.initial(self, 0).stored;
      let [theirs] = initialTransition(account.machine);
      for (const { type, body } of steps) {
        const decided = runner.step(mine, event(type, body));
        const [next, actions] = transition(account.machine, theirs, event(type, body));
        mine = decided.stored;
        theirs = next;
        expect([mine.value, mine.context]).toEqual([theirs.value, theirs.context]);
        expect(decided.outputs).toEqual(actions.map(({ type, params }) => ({ type, params })));
      }
    }),
    { numRuns: 100 },
  );
});

const lamp = setup({ types: { context: {} as { count: number } } }).createMachine({
  initial: 'off',
  context: { count: 0 },
  states: {
    off: { on: { press: 'on' } },
    on: {
      entry: assign({ count: ({ context }) => context.count + 1 }),
      on: { press: 'off' },
      after: { 5_000: 'off' },
    },
  },
});

test('an `after` delay becomes a durable timer, leaving the state disarms it, and its event comes back', () => {
  const runner = machineRunner(definition(lamp));
  const { stored: off } = runner.initial(self, 0);
  const lit = runner.step(off, event('press'));
  const armed = lit.outputs[0] as { type: 'arm'; params: { name: string; dueAt: number } };
  expect(armed).toMatchObject({ type: 'arm', params: { dueAt: 6_000 } });
  expect(runner.step(lit.stored, event('press')).outputs).toEqual([
    { type: 'disarm', params: { name: armed.params.name } },
  ]);
  expect(runner.step(lit.stored, event(armed.params.name, {}, 6_000)).stored.value).toBe('off');
});

test('a stored state comes back; one the machine does not know is an error at load', () => {
  const runner = machineRunner(definition(lamp));
  expect(runner.restore('on', { count: 3 })).toMatchObject({ value: 'on', context: { count: 3 } });
  expect(() => runner.restore('broken', { count: 3 })).toThrow(/broken/);
});

test('an action that would run inside the transition, and an endless loop, fail that command only', () => {
  const doing = machineRunner(definition(createMachine({ on: { go: { actions: () => undefined } } })));
  expect(() => doing.step(doing.initial(self, 0).stored, event('go'))).toThrow(/cannot run inside a transition/);
  const looping = machineRunner(
    definition(
      createMachine({
        initial: 'a',
        states: { a: { on: { go: 'b' } }, b: { always: 'c' }, c: { always: 'b' } },
      }),
    ),
  );
  expect(() => looping.step(looping.initial(self, 0).stored, event('go'))).toThrow(/Infinite loop/);
});

const refused = decide<{ count: number }, ActorEvent>(() => ({ refuse: 'expired' }));

/** Every way a transition can be more than its rules, and the ways it cannot. */
const garden = setup({
  types: { context: {} as { count: number } },
  actions: { emit: () => {}, reply: () => {}, refuse: () => {} },
  guards: { odd: ({ context }) => context.count % 2 === 1 },
}).createMachine({
  initial: 'seed',
  context: { count: 0 },
  on: { anywhere: { actions: count(100) }, wither: '.dead' },
  states: {
    seed: {
      on: { grow: { target: 'sprout', actions: [count(1), count(2)] }, stay: { target: 'seed', actions: count(1) } },
    },
    sprout: {
      exit: assign({ count: ({ context }) => context.count + 10 }),
      on: {
        grow: [{ guard: 'odd', target: 'tree', actions: count(1) }, { target: 'seed' }],
        again: { target: 'sprout', reenter: true, actions: count(1) },
        stay: { target: 'sprout', actions: count(1) },
      },
    },
    tree: {
      initial: 'bare',
      states: {
        bare: { on: { grow: { target: 'leafy', actions: count(1) } } },
        leafy: { on: { stay: { actions: count(3) } } },
      },
      on: { again: { target: 'bush', actions: count(1) } },
    },
    bush: { entry: count(5), on: { grow: { target: 'seed', actions: count(1) }, never: { actions: refused } } },
    dead: { type: 'final' },
  },
});
function count(by: number) {
  return decide<{ count: number }, ActorEvent>((c) => ({
    context: { count: c.count + by },
    outputs: [{ type: 'reply', params: { value: c.count } }],
  }));
}

test('a step in place is the step of XState, for transitions of every shape', () => {
  const runner = machineRunner(definition(garden));
  const types = ['grow', 'stay', 'again', 'anywhere', 'never', 'unknown', 'wither'];
  const walk = fc.array(fc.constantFrom(...types, 'grow', 'stay', 'again'), { maxLength: 25 });
  fc.assert(
    fc.property(walk, (steps) => {
      let mine = runner.initial(self, 0).stored;
      let [theirs] = initialTransition(garden);
      for (const type of steps) {
        const decided = runner.step(mine, event(type));
        const [next, actions] = transition(garden, theirs, event(type));
        const before = mine;
        mine = decided.stored;
        theirs = next;
        expect([mine.value, mine.context]).toEqual([theirs.value, theirs.context]);
        expect(decided.outputs).toEqual(actions.map(({ type, params }) => ({ type, params })));
        if (mine.value === before.value && mine.context === before.context) expect(mine).toBe(before);
      }
    }),
    { numRuns: 300 },
  );
});

test('a rule that refuses assigns nothing', () => {
  const machine = setup({ types: { context: {} as { count: number } }, actions: { refuse: () => {} } }).createMachine({
    context: { count: 1 },
    on: { go: { actions: decide<{ count: number }, ActorEvent>(() => ({ refuse: 'expired' })) } },
  });
  const runner = machineRunner(definition(machine));
  const { stored } = runner.initial(self, 0);
  const step = runner.step(stored, event('go'));
  expect(step.stored.context).toBe(stored.context);
  expect(step.outputs).toEqual([{ type: 'refuse', params: { code: 'expired' } }]);
});

test('what an event leads to is asked anew where a guard decides, in the state or above it', () => {
  const counted = (by: number) => decide(({ count }: { count: number }) => ({ context: { count: count + by } }));
  const isLow = ({ context }: { context: { count: number } }) => context.count < 2;
  const stairs = setup({ types: { context: {} as { count: number } } }).createMachine({
    initial: 'guarded',
    context: { count: 0 },
    on: { climb: { actions: counted(1) }, jump: { actions: counted(100) } },
    states: {
      guarded: { on: { jump: [{ guard: isLow, actions: counted(1) }, { actions: counted(10) }], rest: 'free' } },
      free: { on: { '*': { actions: counted(1_000) }, rest: { target: 'guarded' } } },
    },
  });
  const runner = machineRunner(definition(stairs));
  let { stored } = runner.initial(self, 0);
  let [theirs] = initialTransition(stairs);
  for (const type of [
    'jump',
    'jump',
    'jump',
    'climb',
    'climb',
    'rest',
    'climb',
    'jump',
    'rest',
    'jump',
    'rest',
    'rest',
  ]) {
    ({ stored } = runner.step(stored, event(type)));
    [theirs] = transition(stairs, theirs, event(type));
    expect([type, stored.value, stored.context]).toEqual([type, theirs.value, theirs.context]);
  }
});
