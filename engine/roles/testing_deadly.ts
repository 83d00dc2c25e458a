/** An engine for tests whose account can end its process; the same file is the process of its trials. */
import { fileURLToPath } from 'node:url';
import { setup } from 'xstate';
import Type from 'typebox';
import { decide, type ActorEvent, type Domain } from '#actors/actor';
import { machineTypes } from '#actors/machine';
import { startEngine } from './engine_role.ts';
import { runRole } from './role_process.ts';
import { runTrial } from './trial_process.ts';
import { watchEventLoop } from './watchdog.ts';

interface Account {
  balance: number;
}

const machine = setup({ types: machineTypes<Account>() }).createMachine({
  initial: 'open',
  context: { balance: 0 },
  states: {
    open: {
      on: {
        add: {
          actions: decide<Account, ActorEvent<{ amount: number }>>(({ balance }, { body: { amount } }) => ({
            context: { balance: balance + amount },
            outputs: [{ type: 'reply', params: { value: balance + amount } }],
          })),
        },
        exit: {
          actions: decide<Account, ActorEvent>(() => process.exit(7)),
        },
        loop: {
          actions: decide<Account, ActorEvent>(() => {
            for (;;);
          }),
        },
        exhaust: {
          actions: decide<Account, ActorEvent>(() => {
            for (const hoard: number[][] = []; ;) hoard.push(new Array<number>(1_000_000).fill(hoard.length));
          }),
        },
      },
    },
  },
});

const deadlyDomain: Domain = {
  actors: [
    {
      kind: 'account',
      version: 1,
      machine,
      context: Type.Object({ balance: Type.Integer() }),
      commands: {
        add: Type.Object({ amount: Type.Integer() }),
        exit: Type.Object({}),
        loop: Type.Object({}),
        exhaust: Type.Object({}),
      },
      timers: [],
      creates: ['add'],
    },
  ],
  records: [],
  slots: [],
  createIndex: () => ({ changed() {} }),
};

if (process.argv[2] === undefined) {
  await runRole('engine', (context) => {
    watchEventLoop(context.config.stuckMs);
    return startEngine({ ...context, domain: deadlyDomain, sinks: [], trialFile: fileURLToPath(import.meta.url) });
  });
} else await runTrial(deadlyDomain);
