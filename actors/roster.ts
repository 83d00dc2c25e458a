/**
 * What a partition knows of where sites are. A new site partition gets all tags whose home is here, a page per timer, so
 * no journal record grows with their number; later changes it gets from the names themselves.
 */
import { setup } from 'xstate';
import type { Static } from 'typebox';
import { decide, type ActorDefinition, type ActorEvent, type Decision, type PartitionView } from './actor.ts';
import type { DomainIndex } from './domain_index.ts';
import { machineTypes, type Outputs } from './machine.ts';
import { listing } from './name.ts';
import { RosterState, type NameState, type TagEntryState } from './schema/entities.ts';
import { RosterSite } from './schema/internal.ts';

/** Tags sent to one partition per page. */
export const pageSize = 256;

interface Page {
  partition: number;
  tags: { name: string; entry: TagEntryState }[];
  done: boolean;
}
type SpreadEvent = ActorEvent<Record<string, unknown>, Page[]>;

const initial: RosterState = { sitePartitions: [], spreading: [] };

function learn(roster: RosterState, { now, body }: ActorEvent<Static<typeof RosterSite>>): Decision<RosterState> {
  if (roster.sitePartitions.includes(body.partition)) return {};
  return {
    context: {
      sitePartitions: [...roster.sitePartitions, body.partition].sort((a, b) => a - b),
      spreading: [...roster.spreading, { partition: body.partition, after: '' }],
    },
    outputs: [{ type: 'arm', params: { name: 'spread', dueAt: now } }],
  };
}

/** Sends the next page to each partition that waits for tags. */
function spread(roster: RosterState, { now, facts }: SpreadEvent): Decision<RosterState> {
  const outputs: Outputs = [];
  const spreading: RosterState['spreading'] = [];
  for (const page of facts) {
    for (const { name, entry } of page.tags)
      outputs.push({ type: 'send', params: listing(page.partition, name, entry) });
    const last = page.tags.at(-1);
    if (!page.done && last) spreading.push({ partition: page.partition, after: last.name });
  }
  if (spreading.length > 0) outputs.push({ type: 'arm', params: { name: 'spread', dueAt: now } });
  return { context: { ...roster, spreading }, outputs };
}

function pages(view: PartitionView, roster: RosterState): Page[] {
  const names = (view.index as DomainIndex).tagNames();
  return roster.spreading.map(({ partition, after }) => {
    const from = firstAfter(names, after);
    const tags = names
      .slice(from, from + pageSize)
      .map((name) => ({ name, entry: view.get<NameState>('name', name)!.context.tag! }));
    return { partition, tags, done: from + pageSize >= names.length };
  });
}

/** Position of the first name behind `after` in a sorted list. */
function firstAfter(names: readonly string[], after: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const rosterMachine = setup({ types: machineTypes<RosterState>() }).createMachine({
  id: 'roster',
  initial: 'absent',
  context: initial,
  states: {
    absent: { on: { 'roster.site': { target: 'open', actions: decide(learn) } } },
    open: { on: { 'roster.site': { actions: decide(learn) }, 'timer.spread': { actions: decide(spread) } } },
  },
});

export const roster: ActorDefinition = {
  kind: 'roster',
  version: 1,
  machine: rosterMachine,
  context: RosterState,
  commands: { 'roster.site': RosterSite },
  timers: ['spread'],
  creates: ['roster.site'],
  facts: (view, self, type) =>
    type === 'timer.spread' ? pages(view, view.get<RosterState>('roster', self.id)!.context) : null,
};
