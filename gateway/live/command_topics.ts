/**
 * The topic `command:<id>`: what has become of commands that came in by this process, as the doors and the journal tell
 * it. Kept per user, so nobody learns of another's; the newest ones only.
 */
import { randomInt } from 'node:crypto';
import type { RefusalCode } from '#actors/refusals';
import type { PublicEvent, Trade } from '#actors/schema/events';
import type { CommandStep, LiveEvent } from '../schema/live.ts';
import type { Position, Topic, TopicListener, TopicSource } from './source.ts';

/** A batch holds 64. */
const perUserMax = 128;
const usersMax = 2_048;
const stepsMax = 16;

export type CommandAnswer =
  { ok: true; value: unknown } | { ok: false; code: RefusalCode; detail?: Record<string, unknown> };

interface CommandJournal {
  onEvents(listener: (events: readonly PublicEvent[]) => void): () => void;
}
export interface CommandOptions {
  /** Looks up what became of a command that did not come in by this process, or before it was started. */
  outcome?: (user: string, command: string) => Promise<CommandAnswer | undefined>;
  /** Unix ms. @default Date.now */
  now?: () => number;
}

interface Followed {
  steps: { step: CommandStep; sequence: number }[];
  /** The order that the command made or moved on. */
  order: string | null;
}

/** Neither a user's id nor a command's holds a line break. */
export const topicIdOf = (user: string, command: string) => `${user}\n${command}`;
const parts = (id: string) => id.split('\n', 2) as [user: string, command: string];
const none: Followed = { steps: [], order: null };

export class CommandTopics implements TopicSource {
  readonly #byUser = new Map<string, Map<string, Followed>>();
  /** Above every partition of a journal, and another one in each process: a cursor of another is none of ours. */
  readonly #partition = randomInt(2 ** 16, 2 ** 47);
  #sequence = 0;
  readonly #listeners = new Set<TopicListener>();
  readonly #stop: () => void;
  readonly #now: () => number;
  readonly #outcome: CommandOptions['outcome'];

  constructor(journal: CommandJournal, { outcome, now = Date.now }: CommandOptions = {}) {
    this.#now = now;
    this.#outcome = outcome;
    this.#stop = journal.onEvents((events) => {
      for (const { kind, payload } of events) if (kind === 'trade') this.#traded(payload);
    });
  }

  /** A door has taken the command in and is about to hand it to the log. A retry changes nothing. */
  sent(user: string, command: string): void {
    if (this.#find(user, command).steps.length === 0) this.#add(user, command, { step: 'sent', at: this.#now() });
  }

  /** The log has decided it, or nobody knows in time; then a later answer still counts. */
  answered(user: string, command: string, answer: CommandAnswer): void {
    const { steps } = this.#find(user, command);
    if (steps.some(({ step }) => step.step === 'accepted')) return;
    const at = this.#now();
    if (!answer.ok) {
      const { code, detail } = answer;
      if (steps.at(-1)?.step.code === code) return;
      return this.#add(user, command, { step: 'refused', at, code, ...(detail ? { detail } : {}) });
    }
    this.#add(user, command, { step: 'accepted', at, value: answer.value });
    const { order } = (answer.value ?? {}) as { order?: unknown };
    if (typeof order === 'string') this.#find(user, command).order = order;
  }

  listen(listener: TopicListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#stop();
  }

  /** Always: who waits for a command may look before it is sent. */
  position(): Position {
    return { partition: this.#partition, sequence: this.#sequence };
  }

  keysSince({ id }: Topic, sequence: number): string[] {
    return sequence < 0 || this.#since(id, sequence).length > 0 ? ['steps'] : [];
  }

  eventsSince({ id }: Topic, sequence: number): { event: LiveEvent; sequence: number }[] {
    return this.#since(id, sequence).map(({ step, sequence }) => ({ event: { kind: 'step', ...step }, sequence }));
  }

  valueOf({ id }: Topic): CommandStep[] {
    return this.#since(id, -1).map(({ step }) => step);
  }

  watched({ id }: Topic, by: boolean): void {
    const [user, command] = parts(id);
    if (!by || this.#outcome === undefined || this.#find(user, command).steps.length > 0) return;
    this.#outcome(user, command).then(
      (answer) => answer && this.answered(user, command, answer),
      // The store is away; who waits for the command asks the API, which says so.
      () => {},
    );
  }

  #since(id: string, after: number): Followed['steps'] {
    const [user, command] = parts(id);
    return this.#find(user, command).steps.filter(({ sequence }) => sequence > after);
  }

  #find(user: string, command: string): Followed {
    return this.#byUser.get(user)?.get(command) ?? none;
  }

  /** What followed from an accepted command: each state of its order once. */
  #traded({ customer, order, state, at }: Trade): void {
    for (const [command, followed] of this.#byUser.get(customer) ?? []) {
      if (followed.order !== order || followed.steps.some(({ step }) => step.step === state)) continue;
      this.#add(customer, command, { step: state, at });
    }
  }

  #add(user: string, command: string, step: CommandStep): void {
    const ofUser = this.#byUser.get(user) ?? new Map<string, Followed>();
    // Again at the end: who is busy is not the first to be forgotten.
    this.#byUser.delete(user);
    this.#byUser.set(user, ofUser);
    let followed = ofUser.get(command);
    if (followed === undefined) ofUser.set(command, (followed = { steps: [], order: null }));
    if (followed.steps.length >= stepsMax) return;
    const sequence = ++this.#sequence;
    followed.steps.push({ step, sequence });
    dropOldest(ofUser, perUserMax);
    dropOldest(this.#byUser, usersMax);
    const id = topicIdOf(user, command);
    for (const listener of this.#listeners) {
      listener.touched([{ kind: 'command', id, keys: ['steps'] }]);
      listener.event('command', id, { kind: 'step', ...step }, sequence);
    }
  }
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  const [oldest] = map.keys();
  map.delete(oldest as string);
}
