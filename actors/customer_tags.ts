/** Tags that a customer pays for, and whether there is money: every partition's tag table follows by way of the tag's name. */
import type { ActorEvent, Decision } from './actor.ts';
import { foldName } from './addresses.ts';
import type { CustomerFacts } from './customer_draft.ts';
import { opened } from './customer_wallet.ts';
import type { CustomerState } from './schema/customer_entities.ts';

type TagEvent = ActorEvent<{ tag: string }, CustomerFacts>;

/** Answered with the credit in any case: the tag may come from somebody who had none. */
export function tagOwned(customer: CustomerState, event: TagEvent): Decision<CustomerState> {
  const tag = foldName(event.body.tag);
  const draft = opened(customer, event);
  const { tags } = draft.customer;
  if (!tags.includes(tag)) draft.customer = { ...draft.customer, tags: [...tags, tag].sort() };
  draft.tellTag(tag);
  return draft.done();
}

export function tagReleased(customer: CustomerState, event: TagEvent): Decision<CustomerState> {
  const tag = foldName(event.body.tag);
  return customer.tags.includes(tag)
    ? { context: { ...customer, tags: customer.tags.filter((known) => known !== tag) } }
    : {};
}
