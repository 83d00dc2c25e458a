/**
 * Charging sessions under a customer's tags. Some money is set aside while one runs, so that orders cannot spend what the
 * next minutes will cost; the energy itself has been taken when it is billed, so it is posted whatever is left.
 */
import type { ActorEvent, Decision } from './actor.ts';
import { sessionAddress } from './addresses.ts';
import type { CustomerFacts } from './customer_draft.ts';
import { opened } from './customer_wallet.ts';
import { buyComponents, buyPrice } from './fees.ts';
import { hold, sek, wh } from './ledger.ts';
import type { CustomerState, SessionHold } from './schema/customer_entities.ts';
import type { CreditHoldBody, EnergyMeteredBody } from './schema/customer_internal.ts';
import { divideHalfEven, safe } from './units.ts';

/** Set aside per running session, or all there is below it: 20 SEK. */
export const sessionHoldE5Sek = 2_000_000;

const isOf =
  ({ site, transaction }: { site: string; transaction: number }) =>
  (session: SessionHold) =>
    session.site === site && session.transaction === transaction;
const causeOf = ({ site, transaction }: { site: string; transaction: number }) => `${site}/${transaction}`;

/** What can be set aside beside the credit limit, at most `wanted`. */
const affordable = ({ sek: { available }, creditLimitE5Sek }: CustomerState, wanted = sessionHoldE5Sek): number =>
  Math.max(0, Math.min(wanted, available + creditLimitE5Sek));

/** Refused while nothing is left: the session is flagged, and what it takes is billed all the same. */
export function creditHold(
  customer: CustomerState,
  event: ActorEvent<CreditHoldBody, CustomerFacts>,
): Decision<CustomerState> {
  const { site, transaction } = event.body;
  const draft = opened(customer, event);
  const known = customer.sessions.find(isOf(event.body));
  const held = known?.held ?? affordable(customer);
  if (!known) {
    draft.post('hold', causeOf(event.body), hold('SEK', held));
    const session: SessionHold = { site, transaction, held, billedWh: 0, billedE5Sek: 0 };
    draft.customer = { ...draft.customer, sessions: [...draft.customer.sessions, session] };
  }
  draft.send(sessionAddress(site, transaction), 'credit.answered', { granted: held > 0 });
  return draft.done();
}

/**
 * One amount for all parts, rounded once; it may take the wallet below its limit. The energy has gone from the station's
 * inventory to `transit` under the same batch id, and goes on from there.
 */
export function metered(
  customer: CustomerState,
  event: ActorEvent<EnergyMeteredBody, CustomerFacts>,
): Decision<CustomerState> {
  const { body } = event;
  const draft = opened(customer, event);
  const prices = body.parts.map(({ energyWh, priceE5SekPerKwh }) => ({ energyWh, price: buyPrice(priceE5SekPerKwh) }));
  const energyWh = body.parts.reduce((sum, part) => safe(sum + part.energyWh), 0);
  const cost = roundedSum(prices.map(({ energyWh, price }) => [price, energyWh]));
  const known = customer.sessions.find(isOf(body));
  const heldBefore = known?.held ?? 0;
  // The hold is used up first and then filled again from what is left.
  const unheld = { ...customer, sek: { ...customer.sek, available: customer.sek.available + heldBefore - cost } };
  const held = known === undefined || body.final ? 0 : affordable(unheld);
  draft.post(
    'metered',
    causeOf(body),
    [
      ...hold('SEK', held - heldBefore),
      sek('available', -cost),
      ...componentLegs(cost, prices),
      wh('transit', -energyWh),
      wh('delivered', energyWh),
    ],
    body.batch,
  );
  const billed = {
    billedWh: (known?.billedWh ?? 0) + energyWh,
    billedE5Sek: (known?.billedE5Sek ?? 0) + cost,
  };
  const others = draft.customer.sessions.filter((session) => session !== known);
  if (known)
    draft.customer = { ...draft.customer, sessions: body.final ? others : [...others, { ...known, held, ...billed }] };
  return draft.done();
}

const roundedSum = (products: (readonly [number, number])[]): number =>
  safe(
    divideHalfEven(
      products.reduce((sum, [price, energyWh]) => sum + BigInt(price) * BigInt(energyWh), 0n),
      1_000n,
    ),
  );

/** Every component gets its part of all energy, rounded once. */
function componentLegs(cost: number, prices: { energyWh: number; price: number }[]) {
  const products = new Map<string, [number, number][]>();
  for (const { energyWh, price } of prices) {
    for (const { account, priceE5SekPerKwh } of buyComponents(price))
      products.set(account, [...(products.get(account) ?? []), [priceE5SekPerKwh, energyWh]]);
  }
  const legs = [...products].map(([account, parts]) => sek(account, roundedSum(parts)));
  return [...legs, sek('rounding', cost - legs.reduce((sum, { amount }) => sum + amount, 0))];
}
