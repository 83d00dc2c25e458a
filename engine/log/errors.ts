/** What the log can answer besides yes. A caller tells them apart by class; everything else is a bug. */

/** The stream's last sequence is not the expected one: somebody else appended, or our own append was stored before. */
export class WrongLastSequence extends Error {
  override readonly name = 'WrongLastSequence';
  readonly expected: number;

  constructor(subject: string, expected: number, detail: string) {
    super(`append to ${subject} expected last sequence ${expected}: ${detail}`);
    this.expected = expected;
  }
}

/** Nobody knows whether the message was stored (timeout, disconnect, no responders): read back, or resend the same bytes. */
export class AppendUncertain extends Error {
  override readonly name = 'AppendUncertain';
  readonly reason: 'timeout' | 'disconnected' | 'no responders' | 'unreadable answer' | 'closed';

  constructor(subject: string, reason: 'timeout' | 'disconnected' | 'no responders' | 'unreadable answer' | 'closed') {
    super(`append to ${subject} is uncertain: ${reason}`);
    this.reason = reason;
  }
}

/** The server refused the append (stream full, store error …); it was not stored. */
export class StreamRefused extends Error {
  override readonly name = 'StreamRefused';
  readonly code: number;
  readonly description: string;

  constructor(subject: string, code: number, description: string) {
    super(`append to ${subject} refused: ${description} (${code})`);
    this.code = code;
    this.description = description;
  }
}

/** The stream is at its `max_bytes`; all other refusals are about the message or the store itself. */
export const isFull = (error: unknown): error is StreamRefused =>
  error instanceof StreamRefused && /maximum bytes/i.test(error.description);

/** A JetStream API request was answered with an error. `code` is JetStream's err_code. */
export class LogApiError extends Error {
  override readonly name = 'LogApiError';
  readonly code: number;
  readonly description: string;

  constructor(request: string, code: number, description: string) {
    super(`${request}: ${description} (${code})`);
    this.code = code;
    this.description = description;
  }
}

/** What a reader wanted has been purged: the stream now begins at `first`. */
export class SequenceGone extends Error {
  override readonly name = 'SequenceGone';
  readonly stream: string;
  readonly wanted: number;
  readonly first: number;

  constructor(stream: string, wanted: number, first: number) {
    super(`${stream} was purged below ${first}; ${wanted} is gone`);
    this.stream = stream;
    this.wanted = wanted;
    this.first = first;
  }
}

/** The stream ends before what was already seen of it (power cut, restored disk, damaged files). */
export class LogWentBack extends Error {
  override readonly name = 'LogWentBack';
  readonly code = 'log_went_back';
  readonly stream: string;
  readonly wanted: number;
  readonly found: number;

  /** @param seenBy who has seen more of it; absent: the reader itself */
  constructor(stream: string, wanted: number, found: number, seenBy = '') {
    super(
      seenBy === ''
        ? `${stream} went back in time: ${wanted} was next, found ${found}`
        : `${stream} went back in time: it ends at ${found}, and ${seenBy} has seen ${wanted - 1}; restore a backup`,
    );
    this.stream = stream;
    this.wanted = wanted;
    this.found = found;
  }
}

/** Messages that the stream should hold cannot be read: the server's files are damaged. */
export class LogDamaged extends Error {
  override readonly name = 'LogDamaged';
  readonly code = 'log_damaged';
  readonly stream: string;
  /** The first that cannot be read; null: some are missing, and it is not known which. */
  readonly sequence: number | null;

  constructor(stream: string, sequence: number | null, detail: string) {
    super(`${stream}${sequence === null ? '' : `:${sequence}`} ${detail}; restore a backup`);
    this.stream = stream;
    this.sequence = sequence;
  }
}

/** An existing stream or consumer is not as the table says. */
export class ProvisionDifference extends Error {
  override readonly name = 'ProvisionDifference';
  readonly subjectOf: string;
  readonly field: string;
  readonly wanted: unknown;
  readonly found: unknown;

  constructor(subjectOf: string, field: string, wanted: unknown, found: unknown, hint = '') {
    super(
      `${subjectOf}: ${field} should be ${JSON.stringify(wanted)} but is ${JSON.stringify(found)}${hint && `; ${hint}`}`,
    );
    this.subjectOf = subjectOf;
    this.field = field;
    this.wanted = wanted;
    this.found = found;
  }
}

/** A door would not take the command, or does not know what became of it (`unavailable`). */
export class DoorRefused extends Error {
  override readonly name = 'DoorRefused';
  readonly code: 'overloaded' | 'too_large' | 'unavailable' | 'bad_request';

  constructor(code: 'overloaded' | 'too_large' | 'unavailable' | 'bad_request', detail: string) {
    // An expected answer, given most often when there is least time: no stack.
    const frames = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(`${code}: ${detail}`);
    Error.stackTraceLimit = frames;
    this.code = code;
  }
}
