import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import Value from 'typebox/value';
import { expect, test } from 'vitest';
import { publicKinds, publicSchemas } from '#actors/schema/events';
import { integratorCommands } from '#engine/log/mod';
import { asyncApi } from './asyncapi.ts';
import { commandMessages, commandSchemas } from './asyncapi_commands.ts';
import { examples } from './asyncapi_examples.ts';

const file = fileURLToPath(new URL('../docs/asyncapi.json', import.meta.url));
const document = asyncApi();

test('the AsyncAPI document says what schemas and streams say', async () => {
  const text = await format(JSON.stringify(document), { ...(await resolveConfig(file)), filepath: file });
  await expect(text).toMatchFileSnapshot(file);
});

test('every public kind has a channel, an operation and a message', () => {
  const kinds = [...publicKinds].sort();
  const sent = Object.values(document.operations).filter(({ action }) => action === 'send');
  const addresses = Object.values(document.channels).map(({ address }) => address?.split('.')[0] ?? '');
  expect(addresses.filter((first) => !['in', ''].includes(first))).toEqual([...publicKinds]);
  expect(sent).toHaveLength(kinds.length);
  const messages = Object.keys(document.components.messages);
  expect(messages.filter((name) => !(name in commandMessages)).sort()).toEqual(kinds);
});

test('every command that can be granted is described', () => {
  const types = commandSchemas.Command.oneOf.map(({ properties }) => properties.type.const);
  expect(types.sort()).toEqual([...integratorCommands].sort());
});

test('every reference leads somewhere', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path!);
  expect(references.length).toBeGreaterThan(publicKinds.length * 4);
  for (const path of references) {
    const found = path.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
    expect(found, path).toBeTypeOf('object');
  }
});

test.each(publicKinds)('the example of %s fits its schema and its channel', (kind) => {
  const { payload, subject, at } = examples[kind];
  expect([...Value.Errors(publicSchemas[kind], payload)]).toEqual([]);
  const { address } = Object.values(document.channels).find((channel) => channel.address?.startsWith(`${kind}.`))!;
  expect(subject).toMatch(new RegExp(`^${address!.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^.]+')}$`));
  expect(at).toMatch(new RegExp(document.components.messages[kind]!.headers.properties['Gridtick-At'].pattern));
});
