/** What there is to go to, and for whom. The server decides what may be seen; nobody is led to what would be refused. */
import Activity from '@lucide/svelte/icons/activity';
import ArrowLeftRight from '@lucide/svelte/icons/arrow-left-right';
import PlugZap from '@lucide/svelte/icons/plug-zap';
import TrendingUp from '@lucide/svelte/icons/trending-up';
import Users from '@lucide/svelte/icons/users';

export const sections = [
  { name: 'trade', path: '/trade', icon: TrendingUp, right: 'trade' },
  { name: 'monitoring', path: '/monitoring', icon: Activity, right: 'view_charger' },
  { name: 'stations', path: '/stations', icon: PlugZap, right: 'view_site' },
  { name: 'users', path: '/users', icon: Users, right: 'view_people' },
  { name: 'trades', path: '/trades', icon: ArrowLeftRight, right: 'view_people' },
] as const;
export type Section = (typeof sections)[number];

export const sectionsFor = (rights: readonly string[]): Section[] =>
  sections.filter(({ right }) => rights.includes(right));

/** Where signing in leads to: who looks after chargers does that first. */
export const landing = (rights: readonly string[]): 'trade' | 'stations' =>
  rights.includes('trade') && !rights.includes('view_charger') ? 'trade' : 'stations';
