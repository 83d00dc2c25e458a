/** The part of the AsyncAPI document that integrators send: commands to customers, and what became of one. */
import { refusals } from '#actors/refusals';
import { BookRules } from '#actors/schema/trading';
import { definitions } from '#gateway/nats/commands';
import { defaultLimits } from '#gateway/nats/limits';

const { batchMax, batchBytesMax, commandBytesMax, timeoutMs, timeoutMsMax } = defaultLimits;

const id = {
  type: 'string',
  description: 'a UUID, or <series>:<n> with n dense from 1; sent again under it, the stored result comes back',
};
const command = (type: string, body: unknown, read: boolean) => ({
  type: 'object',
  additionalProperties: false,
  required: read ? ['type', 'body'] : ['id', 'type', 'body'],
  properties: {
    id,
    type: { const: type },
    body,
    timeoutMs: { type: 'integer', minimum: 1, maximum: timeoutMsMax, default: timeoutMs },
  },
});
/** The same with whom it is for. */
const bookCommand = (type: string, body: unknown, read: boolean) => {
  const one = command(type, body, read);
  const user = {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{1,64}$',
    description: 'of the book; its customer is <book>/<user>',
  };
  return { ...one, required: ['user', ...one.required], properties: { user, ...one.properties } };
};
const trades = Object.entries(definitions).filter(([type]) => type.startsWith('trade.'));
const schema = (name: string) => ({ $ref: `#/components/schemas/${name}` });

export const commandSchemas = {
  Command: {
    oneOf: Object.entries(definitions).map(([type, { body, read = false }]) => command(type, body, read)),
  },
  CommandBatch: {
    type: 'object',
    additionalProperties: false,
    required: ['commands'],
    properties: { commands: { type: 'array', minItems: 1, maxItems: batchMax, items: schema('Command') } },
  },
  BookBatch: {
    type: 'object',
    additionalProperties: false,
    required: ['rules', 'commands'],
    properties: {
      rules: BookRules,
      commands: {
        type: 'array',
        minItems: 1,
        maxItems: batchMax,
        items: { oneOf: trades.map(([type, { body, read = false }]) => bookCommand(type, body, read)) },
      },
    },
  },
  BookResults: {
    type: 'object',
    required: ['ok', 'results', 'quoteHits'],
    properties: {
      ok: { const: true },
      results: { type: 'array', items: schema('CommandResult') },
      quoteHits: { type: 'integer', minimum: 0, description: 'how often the feed was asked for these commands' },
    },
  },
  CommandRefusal: {
    type: 'object',
    required: ['ok', 'code'],
    properties: {
      ok: { const: false },
      code: { type: 'string', enum: Object.keys(refusals) },
      detail: { type: 'object' },
      correlation: { type: 'string', description: 'quote it when you report the failure; the log has it' },
    },
  },
  CommandResult: {
    type: 'object',
    required: ['id', 'ok', 'at'],
    properties: {
      id: { type: ['string', 'null'] },
      ok: { type: 'boolean' },
      value: { description: 'the reply; of an accepted command' },
      code: { type: 'string', enum: Object.keys(refusals) },
      detail: { type: 'object' },
      at: { type: 'string', description: '<partition>:<journal sequence> of the decision; empty: no log has seen it' },
    },
  },
  CommandResults: {
    type: 'object',
    required: ['ok', 'results'],
    properties: { ok: { const: true }, results: { type: 'array', items: schema('CommandResult') } },
  },
  CommandLookUp: {
    type: 'object',
    required: ['customer'],
    properties: { customer: { type: 'string', minLength: 1, maxLength: 128 } },
  },
  CommandOutcome: {
    type: 'object',
    required: ['ok', 'id', 'state'],
    properties: {
      ok: { const: true },
      id: { type: 'string' },
      state: { type: 'string', enum: ['done', 'unknown'] },
      result: schema('CommandResult'),
    },
  },
};

const message = (name: string, title: string) => ({
  name,
  title,
  contentType: 'application/json',
  payload: schema(name),
});
export const commandMessages = {
  Command: message('Command', `One command, at most ${commandBytesMax} bytes`),
  CommandBatch: message('CommandBatch', `1 to ${batchMax} commands, at most ${batchBytesMax} bytes`),
  BookBatch: message('BookBatch', `1 to ${batchMax} trading commands, at most ${batchBytesMax} bytes`),
  BookResults: message('BookResults', 'What was decided on each, in order'),
  CommandResult: message('CommandResult', 'What was decided'),
  CommandResults: message('CommandResults', 'What was decided on each, in order'),
  CommandRefusal: message('CommandRefusal', 'Nothing was taken'),
  CommandLookUp: message('CommandLookUp', 'Whose command it was'),
  CommandOutcome: message('CommandOutcome', 'What became of it'),
};
type Message = keyof typeof commandMessages;

const channel = (
  address: string | null,
  title: string,
  messages: Message[],
  parameters: Record<string, string> = {},
) => ({
  address,
  title,
  messages: Object.fromEntries(messages.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
  parameters: Object.fromEntries(Object.entries(parameters).map(([name, description]) => [name, { description }])),
});
const integrator = 'the NATS user';
export const commandChannels = {
  customerCommands: channel(
    'in.{integrator}.customer.{customer}',
    'Commands to a customer',
    ['Command', 'CommandBatch'],
    {
      integrator,
      customer: 'id of the customer',
    },
  ),
  customerCommandReplies: channel(null, 'Their answers', ['CommandResult', 'CommandResults', 'CommandRefusal']),
  bookCommands: channel('in.{integrator}.book.{book}', 'Trading commands to the customers of a book', ['BookBatch'], {
    integrator,
    book: '1 to 32 of A-Za-z0-9_-',
  }),
  bookCommandReplies: channel(null, 'Their answers', ['BookResults', 'CommandRefusal']),
  commandLookUps: channel('in.{integrator}.commands.{id}', 'What became of a command', ['CommandLookUp'], {
    integrator,
    id: 'id of the command; the `:` of a series is written `=3A`',
  }),
  commandLookUpReplies: channel(null, 'Their answers', ['CommandOutcome', 'CommandRefusal']),
};

/** Gridtick receives these; an answer goes to the request's reply inbox. */
const received = (requests: keyof typeof commandChannels, replies: keyof typeof commandChannels, summary: string) => {
  const messagesOf = (name: keyof typeof commandChannels) =>
    Object.keys(commandChannels[name].messages).map((m) => ({ $ref: `#/channels/${name}/messages/${m}` }));
  return {
    action: 'receive',
    channel: { $ref: `#/channels/${requests}` },
    summary,
    messages: messagesOf(requests),
    reply: { channel: { $ref: `#/channels/${replies}` }, messages: messagesOf(replies) },
  };
};
export const commandOperations = {
  commandCustomer: received(
    'customerCommands',
    'customerCommandReplies',
    'Answered after the decision is committed. MessagePack with the header Content-Type: application/msgpack.',
  ),
  commandBook: received(
    'bookCommands',
    'bookCommandReplies',
    'The rules stand in each customer from its first trade.add on. Prices are those of the feed that the rules name.',
  ),
  lookUpCommand: received('commandLookUps', 'commandLookUpReplies', 'Reads the journal, sends nothing.'),
};
