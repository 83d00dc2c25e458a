/** The live socket and the load tree it shows. */
export { Grid, gridKinds, type GridReplica } from './grid.ts';
export { LiveHub } from './hub.ts';
