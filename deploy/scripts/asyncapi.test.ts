import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import Value from 'typebox/value';
import { expect, test } from 'vitest';
import { publicKinds, publicSchemas } from '#actors/schema/events';
import { asyncApi } from './asyncapi.ts';
import { examples } from './asyncapi_examples.ts';

const file = fileURLToPath(new URL('../docs/asyncapi.json', import.meta.url));
const document = asyncApi();

test('the AsyncAPI document says what schemas and streams say', async () => {
  const text = await format(JSON.stringify(document), { ...(await resolveConfig(file)), filepath: file });
  await expect(text).toMatchFileSnapshot(file);
});

test('every public kind has a channel, an operation and a message', () => {
  const kinds = [...publicKinds].sort();
  expect(Object.values(document.channels).map(({ address }) => address.split('.')[0])).toEqual([...publicKinds]);
  expect(Object.keys(document.operations)).toHaveLength(kinds.length);
  expect(Object.keys(document.components.messages).sort()).toEqual(kinds);
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
  const { address } = Object.values(document.channels).find((channel) => channel.address.startsWith(`${kind}.`))!;
  expect(subject).toMatch(new RegExp(`^${address.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^.]+')}$`));
  expect(at).toMatch(new RegExp(document.components.messages[kind]!.headers.properties['Gridtick-At'].pattern));
});
