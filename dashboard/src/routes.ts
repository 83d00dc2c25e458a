/** All addresses of the dashboard. Pages are loaded when they are opened; the one that operators begin with is there. */
import { createRouter } from 'sv-router';
import Home from './pages/Home.svelte';
import { Charger, Messages, Monitoring, Station, Trader, Trades, Users } from './pages/later.ts';
import NotFound from './pages/NotFound.svelte';
import Stations from './pages/Stations.svelte';
import Shell from './shell/Shell.svelte';

export const { p, navigate, isActive, route } = createRouter({
  '/': Home,
  '/trade': Trader,
  '/trade/:station': Trader,
  '/monitoring': Monitoring,
  '/monitoring/chargers/:id': Charger,
  '/monitoring/chargers/:id/messages': Messages,
  '/stations': Stations,
  '/stations/:id': Station,
  '/users': Users,
  '/trades': Trades,
  '*notFound': NotFound,
  layout: Shell,
});
