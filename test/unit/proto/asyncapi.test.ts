/** The description of the wire protocol, held against AsyncAPI's own schema. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { clientData } from '#proto/data.ts';
import { serverData } from '#proto/server-data.ts';

const specs = createRequire(import.meta.url)('@asyncapi/specs') as {
  schemas: Record<string, { definitions: Record<string, unknown> }>;
};
const document = JSON.parse(
  readFileSync(new URL('../../../proto/generated/asyncapi.json', import.meta.url), 'utf8'),
) as { info?: object; components: { messages: object } };

function validate(candidate: object): boolean {
  const schema = structuredClone(specs.schemas['3.0.0']!);
  // ajv knows this one itself, and takes no second.
  delete schema.definitions['http://json-schema.org/draft-07/schema'];
  return new Ajv({ strict: false, validateFormats: false, logger: false }).compile(schema)(candidate);
}

test('asyncapi.json is valid AsyncAPI 3.0, and a document without its info is not', () => {
  assert.equal(validate(document), true);
  const { info: _, ...headless } = document;
  assert.equal(validate(headless), false);
});

test('asyncapi.json has every type of both sides', () => {
  const names = [
    ...Object.keys(clientData).map((type) => `client${type}`),
    ...Object.keys(serverData).map((type) => `server${type}`),
  ];
  assert.deepEqual(Object.keys(document.components.messages), names);
});
