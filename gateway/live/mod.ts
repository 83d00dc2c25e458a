export { Grid, gridKinds, type GridChange, type GridEntity, type GridReplica, type JournalPosition } from './grid.ts';
export { LiveHub, type LiveDeps, type LiveLimits } from './hub.ts';
