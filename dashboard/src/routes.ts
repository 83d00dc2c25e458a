/** All addresses of the dashboard. */
import { createRouter } from 'sv-router';
import Home from './pages/Home.svelte';
import NotFound from './pages/NotFound.svelte';
import Station from './pages/Station.svelte';
import Stations from './pages/Stations.svelte';
import Trader from './pages/Trader.svelte';
import Trades from './pages/Trades.svelte';
import Users from './pages/Users.svelte';
import Shell from './shell/Shell.svelte';

export const { p, navigate, isActive, route } = createRouter({
  '/': Home,
  '/trade': Trader,
  '/trade/:station': Trader,
  '/stations': Stations,
  '/stations/:id': Station,
  '/users': Users,
  '/trades': Trades,
  '*notFound': NotFound,
  layout: Shell,
});
