/** Machine-readable descriptions of the wire protocol: JSON Schema and AsyncAPI 3. Pure; called by generate.ts. */
import { clientData } from '#proto/data.ts';
import { ClientEnvelopeShape, subprotocols } from '#proto/envelope.ts';
import { serverData } from '#proto/server-data.ts';

export function jsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Carillon wire protocol, version 1',
    $defs: {
      ClientEnvelope: ClientEnvelopeShape,
      client: plain(clientData),
      server: plain(serverData),
    },
  };
}

export function asyncApi(version: string): object {
  const messages = {
    ...Object.fromEntries(
      Object.entries(clientData).map(([type, schema]) => [`client${type}`, message(type, schema)]),
    ),
    ...Object.fromEntries(
      Object.entries(serverData).map(([type, schema]) => [`server${type}`, message(type, schema)]),
    ),
  };
  const refs = (prefix: string) =>
    Object.keys(messages)
      .filter((name) => name.startsWith(prefix))
      .map((name) => ({ $ref: `#/channels/connection/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Carillon',
      version,
      description: 'Realtime communication over WebSocket; see docs/PROTOCOL.md.',
    },
    defaultContentType: 'application/json',
    channels: {
      connection: {
        address: '/ws',
        description: `Subprotocols ${Object.values(subprotocols).join(' and ')}.`,
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations: {
      clientSends: {
        action: 'receive',
        channel: { $ref: '#/channels/connection' },
        messages: refs('client'),
      },
      serverSends: { action: 'send', channel: { $ref: '#/channels/connection' }, messages: refs('server') },
    },
    components: { messages },
  };
}

function message(type: string, data: object): object {
  return {
    name: type,
    title: type,
    payload: {
      type: 'object',
      required: ['type'],
      properties: {
        type: { const: type },
        id: { type: 'string' },
        data: plain(data),
        timestamp: { type: 'number', description: 'Milliseconds since the epoch, set by the server.' },
      },
    },
  };
}

/** Without the schema library's own marks. */
function plain(schema: object): object {
  return JSON.parse(JSON.stringify(schema)) as object;
}
