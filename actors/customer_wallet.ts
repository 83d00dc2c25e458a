/** Opening the account, money in and out, and how far below zero it may go. */
import type { ActorEvent, Decision } from './actor.ts';
import type { Refused } from './refusals.ts';
import { capacityWh, openingWh } from './battery.ts';
import { Draft, type CustomerFacts } from './customer_draft.ts';
import { sek, wh } from './ledger.ts';
import { reply, type Outputs } from './machine.ts';
import {
  amountE5SekMax,
  type BalanceReply,
  type CustomerAmountBody,
  type CustomerCreditBody,
} from './schema/customer_commands.ts';
import type { CustomerState } from './schema/customer_entities.ts';

export interface WalletFacts extends CustomerFacts {
  /** Balance of the partition's `deposits`: minus what its customers have paid in and not taken out. */
  depositsE5Sek: number;
}

/** So many of the largest deposits are still sums that an integer holds exactly. */
const sumE5SekMax = 80 * amountE5SekMax;

export const balanceOf = ({ sek, creditLimitE5Sek }: CustomerState): BalanceReply => ({
  availableE5Sek: sek.available,
  heldE5Sek: sek.pending,
  creditLimitE5Sek,
});

/** The draft of a customer who has an account from here on: what a site sends must not be lost for want of one. */
export function opened(customer: CustomerState, event: ActorEvent<unknown, CustomerFacts>): Draft {
  const draft = new Draft(customer, event);
  if (customer.capacityWh > 0) return draft;
  draft.customer = { ...customer, createdAt: event.now, sinceAt: event.now, capacityWh };
  draft.post('deposit', 'opening', [wh('available', openingWh), wh('opening', -openingWh)]);
  return draft;
}

export function open(
  customer: CustomerState,
  event: ActorEvent<{ name: string }, CustomerFacts>,
): Decision<CustomerState> {
  const { self, body } = event;
  if (self.key !== self.id)
    return { refuse: 'bad_request', detail: { path: '/to/key', rule: "a customer's key is its id" } };
  const draft = opened(customer, event);
  draft.customer = { ...draft.customer, name: body.name };
  return draft.done({ customer: self.id });
}

/** A tag or a session may have come before the name. */
export function openAgain(
  customer: CustomerState,
  { self, body }: ActorEvent<{ name: string }>,
): Decision<CustomerState> {
  const outputs: Outputs = [reply({ customer: self.id })];
  return customer.name === '' && body.name !== ''
    ? { context: { ...customer, name: body.name }, outputs }
    : { outputs };
}

/** Refuses what would not fit the books. */
export function depositRefused(customer: CustomerState, amountE5Sek: number, depositsE5Sek: number): Refused | null {
  const paidInE5Sek = Math.max(customer.sek.available + customer.sek.pending + customer.reservedE5Sek, -depositsE5Sek);
  return paidInE5Sek + amountE5Sek > sumE5SekMax
    ? { refuse: 'bad_amount', detail: { amountE5Sek, rule: 'more than the books can hold' } }
    : null;
}

export function deposit(
  customer: CustomerState,
  event: ActorEvent<CustomerAmountBody, WalletFacts>,
): Decision<CustomerState> {
  const { amountE5Sek } = event.body;
  const refused = depositRefused(customer, amountE5Sek, event.facts.depositsE5Sek);
  if (refused) return refused;
  const draft = new Draft(customer, event);
  draft.post('deposit', event.type, [sek('available', amountE5Sek), sek('deposits', -amountE5Sek)]);
  return draft.done(balanceOf(draft.customer));
}

/** Only what is there: a credit limit is not paid out. */
export function withdraw(
  customer: CustomerState,
  event: ActorEvent<CustomerAmountBody, CustomerFacts>,
): Decision<CustomerState> {
  const { amountE5Sek } = event.body;
  const { available } = customer.sek;
  if (amountE5Sek > available) return { refuse: 'insufficient_funds', detail: { availableE5Sek: available } };
  const draft = new Draft(customer, event);
  draft.post('withdrawal', event.type, [sek('available', -amountE5Sek), sek('deposits', amountE5Sek)]);
  return draft.done(balanceOf(draft.customer));
}

export function credit(
  customer: CustomerState,
  event: ActorEvent<CustomerCreditBody, CustomerFacts>,
): Decision<CustomerState> {
  const draft = new Draft(customer, event);
  const { limitE5Sek } = event.body;
  if (limitE5Sek !== customer.creditLimitE5Sek) draft.customer = { ...customer, creditLimitE5Sek: limitE5Sek };
  return draft.done(balanceOf(draft.customer));
}
