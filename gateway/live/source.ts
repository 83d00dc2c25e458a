/** What a kind of topic must be able to say about itself, wherever its values come from. */
import type { LiveEvent } from '../schema/live.ts';
import type { Role } from '../schema/sign_in.ts';

export const topicKinds = ['tree', 'station', 'charger', 'me', 'command', 'health'] as const;
export type TopicKind = (typeof topicKinds)[number];

export interface Topic {
  kind: TopicKind;
  /** What it is about; of `me` and `command:<id>` it begins with the user, so that two users never share one. */
  id: string;
  /** As the client named it. */
  name: string;
}

/** Who looks. */
export interface Viewer {
  user: string;
  roles: readonly Role[];
}

export interface JournalPosition {
  partition: number;
  sequence: number;
}
/** `partition` of the journal, or the number that a process drew for what it makes itself. */
export type Position = JournalPosition;

/** `keys` of the topic have new values, or are gone. */
export interface Touch {
  kind: TopicKind;
  id: string;
  keys: readonly string[];
}
export interface TopicListener {
  touched(touches: readonly Touch[]): void;
  event(kind: TopicKind, id: string, event: LiveEvent, sequence: number): void;
}

export interface TopicSource {
  /** Where the topic stands now; undefined: there is no such thing. Another partition than before: it is another thing. */
  position(topic: Topic): Position | undefined;
  /** Keys that changed or went after `sequence` (−1: all there are); undefined: that is not known any more. */
  keysSince(topic: Topic, sequence: number): string[] | undefined;
  /** Events after `sequence`, oldest first; undefined: some of them have been forgotten. */
  eventsSince(topic: Topic, sequence: number): { event: LiveEvent; sequence: number }[] | undefined;
  /** The value of one key now; undefined: it is gone. `now` in unix ms. */
  valueOf(topic: Topic, key: string, now: number, viewer: Viewer): unknown;
  /** Told of changes from now on. Returns how to stop. */
  listen(listener: TopicListener): () => void;
  /** The first screen looks at it, the last one has gone: for what is only measured while somebody looks. */
  watched?(topic: Topic, by: boolean): void;
}
