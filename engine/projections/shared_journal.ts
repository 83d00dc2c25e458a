/**
 * One tail per partition for all readers of a process, so that a record is fetched and decoded once however many follow.
 * No reader waits for another: the newest records are kept in a window, and who falls out of it reads by a tail of its
 * own until it is back. Memory: a window per partition, bounded by the things its records hold.
 */
import type { JournalEntry } from '../wire.ts';
import type { JournalReader, JournalTail, OnEntry } from './journal.ts';

/** Entities, events and replies in a partition's window, about 300 bytes each; one record may exceed it. */
const windowThings = 2_000;

export function sharedJournal(inner: JournalReader, things = windowThings): JournalReader {
  const feeds = new Map<number, Feed>();
  return {
    partitions: inner.partitions,
    bounds: (partition) => inner.bounds(partition),
    async tail(partition, from, onEntry) {
      let feed = feeds.get(partition);
      if (!feed) {
        feed = new Feed(inner, partition, things, () => feeds.delete(partition));
        feeds.set(partition, feed);
      }
      return feed.follow(from, onEntry);
    },
  };
}

const thingsIn = ({ record }: JournalEntry) =>
  1 + record.entities.length + record.events.length + record.replies.length;

/** The window of one partition and who reads from it. */
class Feed {
  readonly #inner: JournalReader;
  readonly #partition: number;
  readonly #thingsMax: number;
  readonly #onEmpty: () => void;
  readonly #followers = new Set<Follower>();
  #window: JournalEntry[] = [];
  #things = 0;
  #head: Promise<JournalTail> | undefined;
  #next = 0;
  #goOn: () => void = () => undefined;

  constructor(inner: JournalReader, partition: number, thingsMax: number, onEmpty: () => void) {
    this.#inner = inner;
    this.#partition = partition;
    this.#thingsMax = thingsMax;
    this.#onEmpty = onEmpty;
  }

  async follow(from: number, onEntry: OnEntry): Promise<JournalTail> {
    const follower = new Follower(this, from, onEntry);
    this.#followers.add(follower);
    if (!this.#head) {
      this.#next = from;
      this.#head = this.#inner.tail(this.#partition, from, (entry) => this.#take(entry));
      void this.#head.then(
        (head) => head.ended.then((error) => error && this.#endAll(error)),
        (error: unknown) => this.#endAll(error as Error),
      );
    }
    await this.#head;
    follower.start();
    return follower;
  }

  /** The record a reader wants: from the window, 'later' when it is not there yet, 'gone' when it has left the window. */
  get(sequence: number): JournalEntry | 'later' | 'gone' {
    if (sequence >= this.#next) return 'later';
    const first = this.#window[0];
    return first && sequence >= first.sequence ? (this.#window[sequence - first.sequence] as JournalEntry) : 'gone';
  }

  /** A tail of one reader that is behind. */
  behind(from: number, onEntry: OnEntry): Promise<JournalTail> {
    return this.#inner.tail(this.#partition, from, onEntry);
  }

  /** A reader has come further: the head may fetch on. */
  consumed(sequence: number): void {
    if (sequence >= this.#next) this.#goOn();
  }

  async leave(follower: Follower): Promise<void> {
    this.#followers.delete(follower);
    this.#goOn();
    if (this.#followers.size > 0) return;
    this.#onEmpty();
    const head = await this.#head?.catch(() => undefined);
    await head?.stop();
  }

  /** Takes the next record into the window; resolves once the fastest reader has it, so the head runs no further ahead. */
  #take(entry: JournalEntry): void | Promise<void> {
    this.#window.push(entry);
    this.#things += thingsIn(entry);
    this.#next = entry.sequence + 1;
    while (this.#window.length > 1 && this.#things > this.#thingsMax)
      this.#things -= thingsIn(this.#window.shift() as JournalEntry);
    for (const follower of this.#followers) follower.wake();
    const taken = () => {
      for (const { next } of this.#followers) if (next >= this.#next) return true;
      return this.#followers.size === 0;
    };
    if (taken()) return;
    return new Promise((resolve) => {
      this.#goOn = () => {
        if (taken()) resolve();
      };
    });
  }

  #endAll(error: Error): void {
    for (const follower of this.#followers) follower.end(error);
  }
}

/** One reader: from the window while it keeps pace, else by its own tail. */
class Follower implements JournalTail {
  readonly ended: Promise<Error | undefined>;
  readonly #feed: Feed;
  readonly #onEntry: OnEntry;
  /** The sequence it wants next. */
  next: number;
  /** What the reader, or its own tail, is busy with. */
  #running: Promise<void> | undefined;
  #handing = false;
  #stopped = false;
  #started = false;
  #resolveEnded: (error: Error | undefined) => void = () => undefined;
  /** Ends the tail of its own, if it has one. */
  #leaveOwn: (error?: Error) => void = () => undefined;

  constructor(feed: Feed, from: number, onEntry: OnEntry) {
    this.#feed = feed;
    this.next = Math.max(1, from);
    this.#onEntry = onEntry;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  /** Hands over what there is. Most readers take a record at once, and then nothing is awaited: there are many records. */
  wake(): void {
    if (!this.#started || this.#stopped || this.#running || this.#handing) return;
    this.#handing = true;
    try {
      while (!this.#stopped) {
        const entry = this.#feed.get(this.next);
        if (entry === 'later') break;
        const busy = entry === 'gone' ? this.#catchUp() : this.#onEntry(entry);
        if (busy) {
          this.#wait(busy, entry === 'gone' ? null : entry);
          break;
        }
        this.#advance(entry as JournalEntry);
      }
    } catch (error) {
      this.end(error as Error);
    } finally {
      this.#handing = false;
    }
  }

  /** Goes on when `busy` is done with `entry`. */
  #wait(busy: Promise<void>, entry: JournalEntry | null): void {
    this.#running = busy.then(
      () => {
        this.#running = undefined;
        if (entry && !this.#stopped) this.#advance(entry);
        this.wake();
      },
      (error: unknown) => {
        this.#running = undefined;
        this.end(error as Error);
      },
    );
  }

  end(error: Error | undefined): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#leaveOwn();
    this.#resolveEnded(error);
    void this.#feed.leave(this);
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true;
      this.#leaveOwn();
      this.#resolveEnded(undefined);
      await this.#feed.leave(this);
    }
    await this.#running;
  }

  #advance(entry: JournalEntry): void {
    this.next = entry.sequence + 1;
    this.#feed.consumed(this.next);
  }

  async #catchUp(): Promise<void> {
    let reached = false;
    const left = new Promise<Error | undefined>((resolve) => (this.#leaveOwn = resolve));
    const tail = await this.#feed.behind(this.next, async (entry) => {
      if (reached || this.#stopped) return;
      const busy = this.#onEntry(entry);
      if (busy) await busy;
      this.#advance(entry);
      if (this.#feed.get(this.next) !== 'gone') {
        reached = true;
        this.#leaveOwn();
      }
    });
    if (this.#stopped) this.#leaveOwn();
    void tail.ended.then((error) => this.#leaveOwn(error));
    const error = await left;
    this.#leaveOwn = () => undefined;
    await tail.stop();
    if (error && !this.#stopped) throw error;
  }
}
