/** Someone who signs in. Usable once the e-mail address is confirmed to be theirs alone. */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { foldName, nameAddress } from './addresses.ts';
import { reply, machineTypes } from './machine.ts';
import { UserCreate } from './schema/commands.ts';
import { UserState } from './schema/entities.ts';
import { NameGranted, NameRefused } from './schema/internal.ts';

type CreateEvent = ActorEvent<Static<typeof UserCreate>>;

const initial: UserState = { email: '', name: '', passwordHash: '', roles: [], createdAt: 0 };

function create(_user: UserState, { self, now, body }: CreateEvent): Decision<UserState> {
  if (self.key !== self.id)
    return { refuse: 'bad_request', detail: { path: '/to/key', rule: "a user's key is its id" } };
  return {
    context: {
      email: foldName(body.email),
      name: body.name,
      passwordHash: body.passwordHash,
      roles: body.roles,
      createdAt: now,
    },
    outputs: [
      { type: 'send', params: { to: nameAddress('email', body.email), type: 'name.claim', body: { owner: self } } },
      reply({ user: self.id }),
    ],
  };
}

function createAgain(user: UserState, { self, body }: CreateEvent): Decision<UserState> {
  const same =
    user.email === foldName(body.email) &&
    user.name === body.name &&
    user.passwordHash === body.passwordHash &&
    user.roles.join() === body.roles.join();
  return same ? { outputs: [reply({ user: self.id })] } : { refuse: 'already_exists', detail: { user: self.id } };
}

const confirm = (_user: UserState, { self, body }: ActorEvent<Static<typeof NameGranted>>): Decision<UserState> => ({
  outputs: [
    {
      type: 'send',
      params: { to: { kind: 'name', key: body.name, id: body.name }, type: 'name.confirm', body: { owner: self } },
    },
  ],
});

const again = { 'user.create': { actions: decide(createAgain) } };

export const userMachine = setup({ types: machineTypes<UserState>() }).createMachine({
  id: 'user',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'user.create': { target: 'invited', actions: decide(create) } } },
    invited: {
      on: { ...again, 'name.granted': { target: 'active', actions: decide(confirm) }, 'name.refused': 'disabled' },
    },
    active: { on: again },
    disabled: { on: again },
  },
});

export const user: ActorDefinition = {
  kind: 'user',
  version: 1,
  machine: userMachine,
  context: UserState,
  commands: { 'user.create': UserCreate, 'name.granted': NameGranted, 'name.refused': NameRefused },
  timers: [],
  creates: ['user.create'],
};
