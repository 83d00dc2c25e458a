/** All addresses of the dashboard. */
import { createRouter } from 'sv-router';
import NotFound from './pages/NotFound.svelte';
import Station from './pages/Station.svelte';
import Stations from './pages/Stations.svelte';
import Shell from './shell/Shell.svelte';

export const { p, navigate, isActive, route } = createRouter({
  '/': Stations,
  '/stations': Stations,
  '/stations/:id': Station,
  '*notFound': NotFound,
  layout: Shell,
});
