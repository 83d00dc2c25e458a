/** Who may do what: the one table. Logic, the reason given, and `actions` on entities read it. */
import type { Actions } from '../schema/refusal.ts';
import { roles, type Role } from '../schema/sign_in.ts';

export const rights = {
  /** Sites, stations and their load and price. What single chargers and connectors do needs `view_charger`. */
  view_site: ['operator', 'admin', 'customer'],
  view_station: ['operator', 'admin', 'customer'],
  view_charger: ['operator', 'admin'],
  view_prices: ['operator', 'admin', 'customer'],
  /** An account of one's own: see it, pay in and out, order. */
  trade: ['customer'],
  /** What happened on one's own account; an admin names whose. */
  view_records: ['customer', 'admin'],
  /** Of partitions and stores. */
  view_health: ['admin'],
  /** Any entity at any moment of the log, and commands that could not be applied. */
  view_audit: ['admin'],
  /** Send such a command again, or discard it. */
  settle_letters: ['admin'],
  view_people: ['admin'],
  set_credit: ['admin'],
  put_tag: ['admin'],
  /** End a charging session that nobody else ends. */
  close_session: ['operator', 'admin'],
  /** Send commands to chargers. */
  control_charger: ['operator', 'admin'],
} as const satisfies Record<string, readonly Role[]>;
export type Right = keyof typeof rights;

export const may = (held: readonly Role[], right: Right): boolean =>
  (rights[right] as readonly Role[]).some((role) => held.includes(role));

export const rightsOf = (held: readonly Role[]): Right[] =>
  (Object.keys(rights) as Right[]).filter((right) => may(held, right));

/** Roles as stored with a user; unknown words give no right. */
export const knownRoles = (stored: readonly string[]): Role[] => roles.filter((role) => stored.includes(role));

/** Which right each action of an entity needs. */
const needs = {
  site: { live: 'view_site' },
  station: { live: 'view_station', prices: 'view_prices', quote: 'trade' },
  charger: {
    live: 'view_charger',
    'session.requestStart': 'control_charger',
    'session.requestStop': 'control_charger',
    'charger.reset': 'control_charger',
    'config.set': 'control_charger',
    'config.get': 'control_charger',
  },
} as const satisfies Record<string, Record<string, Right>>;

export function actionsFor(kind: keyof typeof needs, held: readonly Role[]): Actions {
  const actions: Actions = {};
  for (const [action, right] of Object.entries(needs[kind])) actions[action] = may(held, right) || 'role_missing';
  return actions;
}
