/**
 * A directory name (`identity:`, `tag:`, `email:`) has exactly one owner: its partition decides, the owner elsewhere takes
 * the name in and confirms. A tag is its own owner; its entry is sent to every partition that holds a site, and the customer
 * who pays for it is told, and says in turn whether there is money.
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
import { customerAddress, foldName, partitionKey, tagAddress } from './addresses.ts';
import { reply, machineTypes, type Outputs } from './machine.ts';
import { TagPut } from './schema/commands.ts';
import { TagCredit } from './schema/customer_internal.ts';
import { NameState, type RosterState, type TagEntryState } from './schema/entities.ts';
import { NameClaim, NameConfirm } from './schema/internal.ts';

type ClaimEvent = ActorEvent<Static<typeof NameClaim>>;
interface Spread {
  sitePartitions: number[];
}
type TagPutEvent = ActorEvent<Static<typeof TagPut>, Spread>;
type TagCreditEvent = ActorEvent<Static<typeof TagCredit>, Spread>;

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

const spread = (name: string, entry: TagEntryState, { sitePartitions }: Spread): Outputs =>
  sitePartitions.map((partition) => ({ type: 'send', params: listing(partition, name, entry) }));

const tellCustomer = (customer: string, type: 'tag.owned' | 'tag.released', tag: string): Outputs[number] => ({
  type: 'send',
  params: { to: customerAddress(customer), type, body: { tag } },
});

function putTag(name: NameState, { self, now, body, facts }: TagPutEvent): Decision<NameState> {
  if (!self.id.startsWith(tagPrefix) || !isFolded(self.id) || self.key !== self.id) {
    return {
      refuse: 'bad_request',
      detail: { path: '/to/id', rule: `a tag is put to its name in lower case: ${foldName(self.id)}` },
    };
  }
  const before = name.tag;
  const tag = self.id.slice(tagPrefix.length);
  const outputs: Outputs = [reply({ tag })];
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
    // A new owner's money is not known yet; it speaks up when there is none.
    credit: before && before.customer === body.customer ? before.credit : 'ok',
    expiresAt: body.expiresAt,
    version: (before?.version ?? 0) + 1,
  };
  outputs.push(...spread(self.id, entry, facts));
  const former = before?.customer ?? null;
  if (former !== entry.customer) {
    if (former !== null) outputs.push(tellCustomer(former, 'tag.released', tag));
    if (entry.customer !== null) outputs.push(tellCustomer(entry.customer, 'tag.owned', tag));
  }
  return { context: { owner: self, tag: entry, claimedAt: before ? name.claimedAt : now }, outputs };
}

/** Whether the tag's owner can pay, as the owner says; a former one is not heard. */
function credited(name: NameState, { self, body, facts }: TagCreditEvent): Decision<NameState> {
  if (name.tag === null || name.tag.customer !== body.customer)
    return { refuse: 'name_taken', detail: { name: self.id } };
  if (name.tag.credit === body.credit) return {};
  const entry: TagEntryState = { ...name.tag, credit: body.credit, version: name.tag.version + 1 };
  return { context: { ...name, tag: entry }, outputs: spread(self.id, entry, facts) };
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
    confirmed: {
      on: {
        'name.claim': { actions: decide(claimAgain) },
        'tag.put': { actions: decide(putTag) },
        'tag.credit': { actions: decide(credited) },
      },
    },
  },
});

export const name: ActorDefinition = {
  kind: 'name',
  version: 1,
  machine: nameMachine,
  context: NameState,
  commands: { 'name.claim': NameClaim, 'name.confirm': NameConfirm, 'tag.put': TagPut, 'tag.credit': TagCredit },
  timers: [],
  creates: ['name.claim', 'tag.put'],
  facts: (view, _self, type) => {
    if (type !== 'tag.put' && type !== 'tag.credit') return null;
    const roster: Stored<RosterState> | undefined = view.get('roster', partitionKey(view.partition));
    return { sitePartitions: roster?.context.sitePartitions ?? [] };
  },
};
