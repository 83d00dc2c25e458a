/** An entry of a partition's tag table: what Authorize and Start are decided from. Its home is the directory name. */
import { setup } from 'xstate';
import { decide, type ActorDefinition, type ActorEvent, type Decision } from './actor.ts';
import { machineTypes } from './machine.ts';
import type { TokenReply } from './schema/commands.ts';
import { TagEntryState } from './schema/entities.ts';
import { TagListed } from './schema/internal.ts';

const initial: TagEntryState = {
  customer: null,
  group: null,
  status: 'Invalid',
  credit: 'ok',
  expiresAt: null,
  version: 0,
};

/** Copies may overtake each other only by way of a roster's pages: the newest version stands. */
const listed = (entry: TagEntryState, { body }: ActorEvent<TagEntryState>): Decision<TagEntryState> =>
  body.version > entry.version ? { context: { ...body } } : {};

export const tagMachine = setup({ types: machineTypes<TagEntryState>() }).createMachine({
  id: 'tag',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'tag.listed': { target: 'listed', actions: decide(listed) } } },
    listed: { on: { 'tag.listed': { actions: decide(listed) } } },
  },
});

export const tag: ActorDefinition = {
  kind: 'tag',
  version: 1,
  machine: tagMachine,
  context: TagEntryState,
  commands: { 'tag.listed': TagListed },
  timers: [],
  creates: ['tag.listed'],
};

/** What a charger is told about a tag presented at `at`; the statuses stay distinct, none is folded into another. */
export function tokenOf(entry: TagEntryState | null, at: number): TokenReply {
  if (entry === null) return { status: 'Unknown', expiresAt: null, group: null };
  const { expiresAt, group } = entry;
  if (entry.status !== 'Accepted') return { status: entry.status, expiresAt, group };
  if (expiresAt !== null && expiresAt <= at) return { status: 'Expired', expiresAt, group };
  return { status: entry.credit === 'ok' ? 'Accepted' : 'NoCredit', expiresAt, group };
}
