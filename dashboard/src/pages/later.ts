/** Pages that are loaded when they are opened. Here, because the router takes any component that says `import` itself for a lazy one. */
export const Trader = () => import('./Trader.svelte');
export const Station = () => import('./Station.svelte');
export const Users = () => import('./Users.svelte');
export const Trades = () => import('./Trades.svelte');
export const Monitoring = () => import('./Monitoring.svelte');
export const Charger = () => import('./Charger.svelte');
export const Messages = () => import('./Messages.svelte');
