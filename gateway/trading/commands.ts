/** The sixteen day-trading commands: their words, and which arguments each takes, in order. */

export type Argument = 'user' | 'symbol' | 'amount' | 'filename';

/** `DUMPLOG` has two forms: with a user, of that user; without, of all. */
export const commandArguments = {
  ADD: ['user', 'amount'],
  QUOTE: ['user', 'symbol'],
  BUY: ['user', 'symbol', 'amount'],
  COMMIT_BUY: ['user'],
  CANCEL_BUY: ['user'],
  SELL: ['user', 'symbol', 'amount'],
  COMMIT_SELL: ['user'],
  CANCEL_SELL: ['user'],
  SET_BUY_AMOUNT: ['user', 'symbol', 'amount'],
  CANCEL_SET_BUY: ['user', 'symbol'],
  SET_BUY_TRIGGER: ['user', 'symbol', 'amount'],
  SET_SELL_AMOUNT: ['user', 'symbol', 'amount'],
  SET_SELL_TRIGGER: ['user', 'symbol', 'amount'],
  CANCEL_SET_SELL: ['user', 'symbol'],
  DUMPLOG: ['user', 'filename'],
  DISPLAY_SUMMARY: ['user'],
} as const satisfies Record<string, readonly Argument[]>;

export type CommandName = keyof typeof commandArguments;

export const commandNames = Object.keys(commandArguments) as readonly CommandName[];

export const isCommandName = (text: string): text is CommandName => Object.hasOwn(commandArguments, text);
