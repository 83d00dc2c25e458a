/** The log: connections, streams, appends, readers and the door for commands. */
export { customerKinds, integratorCommands, IntegratorScope, type IntegratorCommand } from './accounts_scope.ts';
export { connectLog, watchConnection, type ConnectOptions } from './connection.ts';
export { openDriver, type Driver } from './driver.ts';
export { openLogClock, wallClock, type LogClock } from './log_clock.ts';
export { openDoor, type Door, type DoorCommand, type DoorOptions, type DoorStats } from './door.ts';
export {
  AppendUncertain,
  DoorRefused,
  LogApiError,
  LogDamaged,
  LogWentBack,
  ProvisionDifference,
  SequenceGone,
  StreamRefused,
  WrongLastSequence,
} from './errors.ts';
export {
  bounds,
  checkWhole,
  commandBounds,
  journalBounds,
  purgeCommands,
  purgeJournal,
  purgeSnapshot,
  putSnapshotChunk,
  readJournal,
  readJournalLast,
  readMessage,
  readSnapshot,
  snapshotBounds,
  snapshotChunkBytesMax,
  tailCommandBatches,
  tailCommands,
  tailJournal,
  tailJournalBatches,
  type Bounds,
  type StoredFrame,
  type StoredRecord,
  type TailOptions,
} from './journal.ts';
export { LagFeed, isRoomOver, type CommitPositions, type Lag, type PartitionRoom } from './lag.ts';
export { OrderedSender } from './ordered_sender.ts';
export { Pace } from './pace.ts';
export { integratorConsumer, provision, provisionIntegrator, removeIntegrator } from './provision.ts';
export { type SettledReport } from './settling.ts';
export { firstStoredHeader, pull, pullEach, type PullerOptions, type Reader, type StoredMessage } from './puller.ts';
export { readRange } from './range.ts';
export { ringPublisher, type AppendOptions, type RingPublisher, type RingPublisherOptions } from './ring_publisher.ts';
export { maxFileBytes, publicKinds, reservedBytes, streamTable, type LogSize, type PublicKind } from './streams.ts';
export {
  anyCommits,
  anyMember,
  anyPositions,
  integratorApiPrefix,
  internal,
  newInbox,
  newReplyInbox,
  replyPrefix,
  stream,
} from './subjects.ts';
