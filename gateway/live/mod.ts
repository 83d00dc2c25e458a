/** The live socket, the load tree it shows, and what it tells of commands. */
export { CommandTopics } from './command_topics.ts';
export { Grid, gridKinds, type GridReplica } from './grid.ts';
export { LiveHub } from './hub.ts';
