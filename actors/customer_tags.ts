/** Tags that a customer pays for, and whether there is money: every partition's tag table follows by way of the tag's name. */
import type { ActorEvent, Decision } from './actor.ts';
import { foldName } from './addresses.ts';
import type { CustomerFacts } from './customer_draft.ts';
import { opened } from './customer_wallet.ts';
import type { CustomerState } from './schema/customer_entities.ts';

/**
 * Of one customer that follow the wallet: what all of them are told fits one record. Any more are billed all the same, but
 * stay usable when there is no money.
 */
export const tagsMax = 1_000;

type TagEvent = ActorEvent<{ tag: string }, CustomerFacts>;

/** Answered with the credit whether or not it is known: the tag may come from somebody who had none. */
export function tagOwned(customer: CustomerState, event: TagEvent): Decision<CustomerState> {
  const tag = foldName(event.body.tag);
  const draft = opened(customer, event);
  const { tags } = draft.customer;
  const isKnown = tags.includes(tag);
  if (!isKnown && tags.length >= tagsMax) return draft.done();
  if (!isKnown) draft.customer = { ...draft.customer, tags: [...tags, tag].sort() };
  draft.tellTag(tag);
  return draft.done();
}

export function tagReleased(customer: CustomerState, event: TagEvent): Decision<CustomerState> {
  const tag = foldName(event.body.tag);
  return customer.tags.includes(tag)
    ? { context: { ...customer, tags: customer.tags.filter((known) => known !== tag) } }
    : {};
}
