/**
 * What became of a dead letter: a command that could not be applied, put aside under its place in the journal. It is there
 * once somebody has settled it, in the partition of its command; until then the letter is open.
 */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { machineTypes, reply } from './machine.ts';
import { LetterRead, LetterSettle } from './schema/commands.ts';
import { LetterState } from './schema/entities.ts';
import { subject } from './schema/subjects.ts';

const initial: LetterState = { outcome: 'discarded', code: null, command: '', by: '', at: 0 };

const settle = (_letter: LetterState, { body, now, self }: ActorEvent<LetterSettle>): Decision<LetterState> => {
  const context: LetterState = { ...body, at: now };
  const { outcome, code, command, by } = body;
  return {
    context,
    outputs: [
      reply(context),
      {
        type: 'emit',
        params: {
          kind: 'audit',
          subject: subject.audit('letter_settled'),
          payload: {
            ...{ kind: 'letter_settled', at: now, entity: `letter/${self.id}`, command, reason: outcome },
            ...{ correlation: null, detail: { code, by } },
          },
        },
      },
    ],
  };
};

const settled = (letter: LetterState): Decision<LetterState> => ({ refuse: 'letter_settled', detail: { ...letter } });
const read = (letter: LetterState): Decision<LetterState> => ({ outputs: [reply(letter)] });

const letterMachine = setup({ types: machineTypes<LetterState>() }).createMachine({
  id: 'letter',
  initial: 'open',
  context: initial,
  states: {
    open: { on: { 'letter.settle': { target: 'settled', actions: decide(settle) } } },
    settled: { on: { 'letter.settle': { actions: decide(settled) }, 'letter.read': { actions: decide(read) } } },
  },
});

export const letter: ActorDefinition = {
  kind: 'letter',
  version: 1,
  machine: letterMachine,
  context: LetterState,
  commands: { 'letter.settle': LetterSettle, 'letter.read': LetterRead },
  timers: [],
  creates: ['letter.settle'],
};
