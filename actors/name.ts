/**
 * A directory name (`identity:`, `tag:`, `email:`) has exactly one owner: its partition decides, the owner elsewhere takes
 * the name in and confirms. A tag is its own owner; its entry is sent to every partition that holds a site.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import {
  decide,
  type ActorDefinition,
  type ActorEvent,
  type Command,
  type Decision,
  type EntityAddress,
  type Stored,
} from './actor.ts';
import { foldName, partitionKey, tagAddress } from './addresses.ts';
import { reply, machineTypes, type Outputs } from './machine.ts';
import { TagPut } from './schema/commands.ts';
import { NameState, type RosterState, type TagEntryState } from './schema/entities.ts';
import { NameClaim, NameConfirm } from './schema/internal.ts';

type ClaimEvent = ActorEvent<Static<typeof NameClaim>>;
type TagPutEvent = ActorEvent<Static<typeof TagPut>, { sitePartitions: number[] }>;

const initial: NameState = { owner: { kind: '', key: '', id: '' }, tag: null, claimedAt: 0 };

const sameOwner = (a: EntityAddress, b: EntityAddress) => a.kind === b.kind && a.key === b.key && a.id === b.id;
const tell = (owner: EntityAddress, type: 'name.granted' | 'name.refused', name: string): Outputs[number] => ({
  type: 'send',
  params: { to: owner, type, body: { name } },
});

const isFolded = (id: string) => id === foldName(id) && /^[a-z]+:./.test(id);

function claim(name: NameState, { self, now, body }: ClaimEvent): Decision<NameState> {
  return {
    context: { ...name, owner: body.owner, claimedAt: now },
    outputs: [tell(body.owner, 'name.granted', self.id)],
  };
}

/** The same owner hears the same again, anybody else is refused. */
function claimAgain(name: NameState, { self, body }: ClaimEvent): Decision<NameState> {
  const granted = sameOwner(name.owner, body.owner);
  return { outputs: [tell(body.owner, granted ? 'name.granted' : 'name.refused', self.id)] };
}

const tagPrefix = 'tag:';
/** The command that brings a tag's entry to a partition. */
export const listing = (partition: number, name: string, entry: TagEntryState): Command => ({
  to: tagAddress(partition, name.slice(tagPrefix.length)),
  type: 'tag.listed',
  body: { ...entry },
});

function putTag(name: NameState, { self, now, body, facts }: TagPutEvent): Decision<NameState> {
  if (!self.id.startsWith(tagPrefix) || !isFolded(self.id) || self.key !== self.id) {
    return {
      refuse: 'bad_request',
      detail: { path: '/to/id', rule: `a tag is put to its name in lower case: ${foldName(self.id)}` },
    };
  }
  const before = name.tag;
  const outputs: Outputs = [reply({ tag: self.id.slice(tagPrefix.length) })];
  if (
    before &&
    before.customer === body.customer &&
    before.group === body.group &&
    before.status === body.status &&
    before.expiresAt === body.expiresAt
  )
    return { outputs };
  if (before === null && name.claimedAt !== 0) return { refuse: 'name_taken', detail: { name: self.id } };
  const entry: TagEntryState = {
    customer: body.customer,
    group: body.group,
    status: body.status,
    credit: before?.credit ?? 'ok',
    expiresAt: body.expiresAt,
    version: (before?.version ?? 0) + 1,
  };
  for (const partition of facts.sitePartitions) {
    outputs.push({ type: 'send', params: listing(partition, self.id, entry) });
  }
  return { context: { owner: self, tag: entry, claimedAt: before ? name.claimedAt : now }, outputs };
}

const isOwner = ({ context, event }: { context: NameState; event: ActorEvent }) =>
  sameOwner(context.owner, (event as ClaimEvent).body.owner);

export const nameMachine = setup({ types: machineTypes<NameState>() }).createMachine({
  id: 'name',
  initial: 'absent',
  context: initial,
  states: {
    absent: {
      on: {
        'name.claim': { target: 'claimed', actions: decide(claim) },
        'tag.put': { target: 'confirmed', actions: decide(putTag) },
      },
    },
    claimed: {
      on: {
        'name.claim': { actions: decide(claimAgain) },
        'name.confirm': { guard: isOwner, target: 'confirmed' },
        'tag.put': { actions: decide(putTag) },
      },
    },
    confirmed: { on: { 'name.claim': { actions: decide(claimAgain) }, 'tag.put': { actions: decide(putTag) } } },
  },
});

export const name: ActorDefinition = {
  kind: 'name',
  version: 1,
  machine: nameMachine,
  context: NameState,
  commands: { 'name.claim': NameClaim, 'name.confirm': NameConfirm, 'tag.put': TagPut },
  timers: [],
  creates: ['name.claim', 'tag.put'],
  facts: (view, _self, type) => {
    if (type !== 'tag.put') return null;
    const roster: Stored<RosterState> | undefined = view.get('roster', partitionKey(view.partition));
    return { sitePartitions: roster?.context.sitePartitions ?? [] };
  },
};
