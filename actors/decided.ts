/** What a charger was told before, by content key: a resent message gets the same answer without a new decision. */
import type { PartitionView } from './actor.ts';
import type { Outputs } from './machine.ts';
import type { DecidedState } from './schema/entities.ts';

/** Answers and message keys remembered per charger. */
export const decidedKept = 32;

const none: DecidedState = { answers: [], seen: [] };

export const decidedOf = (view: PartitionView, charger: string): DecidedState =>
  view.get<DecidedState>('decided', charger)?.context ?? none;

export const answerTo = (decided: DecidedState, key: string): unknown =>
  decided.answers.find((known) => known.key === key)?.answer;

const put = (charger: string, state: DecidedState): Outputs[number] => ({
  type: 'put',
  params: { kind: 'decided', id: charger, state },
});

const answered = (decided: DecidedState, key: string, answer: unknown): DecidedState => ({
  ...decided,
  answers: [...decided.answers.slice(1 - decidedKept), { key, answer }],
});
const seen = (decided: DecidedState, key: string): DecidedState => ({
  ...decided,
  seen: [...decided.seen.slice(1 - decidedKept), key],
});

export const remember = (charger: string, decided: DecidedState, key: string, answer: unknown): Outputs[number] =>
  put(charger, answered(decided, key, answer));

export const saw = (charger: string, decided: DecidedState, key: string): Outputs[number] =>
  put(charger, seen(decided, key));

/** Both at once: two writes of one record in a step would lose the first. */
export const rememberAndSaw = (charger: string, decided: DecidedState, key: string, answer: unknown): Outputs[number] =>
  put(charger, seen(answered(decided, key, answer), key));
