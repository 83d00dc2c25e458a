/**
 * The AsyncAPI document of the public subjects, made of the schemas in `actors/schema` and of the table of streams.
 * `npx vitest run deploy/scripts/asyncapi -u` writes it to `deploy/docs/asyncapi.json`.
 */
import { publicSchemas, Sample, type PublishedKind as Kind } from '#actors/schema/events';
import { integratorApiPrefix, integratorConsumer, stream, streamTable } from '#engine/log/mod';
import { integratorUser } from '#engine/supervisor/endpoints';
import { commandChannels, commandMessages, commandOperations, commandSchemas } from './asyncapi_commands.ts';
import { examples } from './asyncapi_examples.ts';

/** What the schemas do not say: tokens of the subject, and when a message is sent. */
const channels: Record<Kind, { tokens: Record<string, string>; title: string; when: string }> = {
  price: {
    tokens: { station: 'id of the station' },
    title: 'Price of a station',
    when:
      'At the start of every slot of 12 s, for every station, made from the mean load of the slot before. Slots that ' +
      'passed while nothing ran are left out.',
  },
  load: {
    tokens: { site: 'id of the site', node: 'id of a station, or of the site itself' },
    title: 'Mean load of a node',
    when: 'Once a slot of 12 s for every station and every site, for the slot that has passed.',
  },
  meter: {
    tokens: { charger: 'identity of the charger', connector: 'number of the connector, 0 = main meter' },
    title: 'Sampled values',
    when: 'Once per MeterValues message with new samples, and for the samples that a stop carries.',
  },
  charger: {
    tokens: { charger: 'identity of the charger', kind: 'booted, connected, offline, status, command or event' },
    title: 'What happened to a charger',
    when: 'When it happened. `command` is each step of a command to it; `event` is what an operator should see: vendor messages, samples set aside.',
  },
  session: {
    tokens: { charger: 'identity of the charger', transaction: 'number of the transaction' },
    title: 'A charging session',
    when: 'When it starts, when it ends, and again with a higher `version` when late data changes its energy.',
  },
  battery: {
    tokens: { customer: 'id of the customer' },
    title: 'State of a battery',
    when: 'Every 5 s for every customer who is signed in or connected, or whose battery moves energy.',
  },
  trade: {
    tokens: { customer: 'id of the customer' },
    title: 'A step of an order',
    when: 'When an order is held, cancelled, expired, committed, and when it ends: completed, partial or void.',
  },
  ledger: {
    tokens: { customer: 'id of the customer, or `=system` for postings between system accounts' },
    title: 'A batch of postings',
    when: 'For every batch: holds, releases, settlements, deposits, withdrawals. Its legs sum to 0 per ledger.',
  },
  audit: {
    tokens: { kind: 'dead_letter' },
    title: 'What could not be applied',
    when: 'For every command that can never succeed; operators look here.',
  },
};

const channelName = (kind: Kind) => (kind === 'battery' ? 'batteries' : `${kind}s`);
const address = (kind: Kind) => [kind, ...Object.keys(channels[kind].tokens).map((token) => `{${token}}`)].join('.');

/** Schemas with a name, each defined once and referred to from everywhere else. */
const named = [...Object.values(publicSchemas), Sample];
const nameOf = (schema: object) => (schema as { $id: string }).$id;

/** A copy as JSON; inside, named schemas become references. */
function schemaJson(schema: object): unknown {
  const inner = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inner);
    if (value === null || typeof value !== 'object') return value;
    const { $id, ...rest } = value as Record<string, unknown>;
    if (typeof $id === 'string') return { $ref: `#/components/schemas/${$id}` };
    return Object.fromEntries(Object.entries(rest).map(([name, field]) => [name, inner(field)]));
  };
  const { $id: _, ...own } = schema as Record<string, unknown>;
  return inner(own);
}

function channel(kind: Kind) {
  const { tokens, title, when } = channels[kind];
  const name = stream.public(kind);
  const { max_bytes } = streamTable({ partitions: 1 }).find((definition) => definition.name === name)!;
  const consumer = `${name}.${integratorConsumer(integratorUser)}`;
  return {
    address: address(kind),
    title,
    description: when,
    messages: { [kind]: { $ref: `#/components/messages/${kind}` } },
    parameters: Object.fromEntries(Object.entries(tokens).map(([token, description]) => [token, { description }])),
    'x-retention': {
      stream: name,
      storedSubject: `pub.${address(kind)}`,
      maxBytes: max_bytes,
      maxAge: null,
      whenFull: 'the oldest messages are dropped',
    },
    'x-replay': {
      apiPrefix: integratorApiPrefix,
      durableConsumer: integratorConsumer(integratorUser),
      deliver: 'all',
      ack: 'none',
      info: `${integratorApiPrefix}.CONSUMER.INFO.${consumer}`,
      next: `${integratorApiPrefix}.CONSUMER.MSG.NEXT.${consumer}`,
    },
  };
}

function message(kind: Kind) {
  const schema = publicSchemas[kind];
  return {
    name: kind,
    title: channels[kind].title,
    contentType: 'application/json',
    headers: {
      type: 'object',
      required: ['Gridtick-At', 'Gridtick-Schema'],
      properties: {
        'Gridtick-At': {
          type: 'string',
          pattern: '^[0-9]+:[0-9]+:[0-9]+$',
          description: 'place in the journal, partition:sequence:index; the same event always has the same one',
        },
        'Gridtick-Schema': { const: `${kind}/1`, description: 'kind and version of the payload' },
      },
    },
    payload: { $ref: `#/components/schemas/${nameOf(schema)}` },
    examples: [
      {
        headers: { 'Gridtick-At': examples[kind].at, 'Gridtick-Schema': `${kind}/1` },
        payload: examples[kind].payload,
      },
    ],
  };
}

/** The document, in one order, whoever makes it. */
export function asyncApi() {
  const kinds = Object.keys(publicSchemas) as Kind[];
  const of = <Value>(make: (kind: Kind) => Value, name: (kind: Kind) => string = (kind) => kind) =>
    Object.fromEntries(kinds.map((kind) => [name(kind), make(kind)]));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Gridtick public streams and commands',
      version: '1',
      license: { name: 'MIT' },
      description: [
        'JSON messages on NATS subjects; units stand in the names, times are unix ms, UTC.',
        'A message reaches live subscribers only after it is stored, so what was heard live can be replayed.',
        'Bytes of an identity outside `[A-Za-z0-9_-]` appear in a subject as `=HH`; payloads carry the original.',
        'Nothing expires by age. `maxBytes` is that of GRIDTICK_LOG_SCALE 1.',
        'How to connect and replay: deploy/docs/integrators.md.',
      ].join('\n'),
    },
    defaultContentType: 'application/json',
    servers: {
      local: {
        host: '127.0.0.1:4222',
        protocol: 'nats',
        description: 'The embedded nats-server; `endpoints.json` tells the port in use and the user of integrators.',
        security: [{ type: 'userPassword', description: 'the integrator of endpoints.json' }],
      },
    },
    channels: { ...of(channel, channelName), ...commandChannels },
    operations: {
      ...of(
        (kind) => ({
          action: 'send',
          channel: { $ref: `#/channels/${channelName(kind)}` },
          summary: channels[kind].when,
          messages: [{ $ref: `#/channels/${channelName(kind)}/messages/${kind}` }],
        }),
        (kind) => `publish${kind[0]!.toUpperCase()}${kind.slice(1)}`,
      ),
      ...commandOperations,
    },
    components: {
      messages: Object.assign(of(message), commandMessages),
      schemas: {
        ...Object.fromEntries(named.map((schema) => [nameOf(schema), schemaJson(schema)])),
        ...commandSchemas,
      },
    },
  };
}
