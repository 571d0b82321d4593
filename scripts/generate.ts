/**
 * Writes what is generated from proto/ and src/config: descriptions and reference pages.
 * `npm run gen` writes; with `--check` (part of `npm test`) it fails when a committed file is not current.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configurationPage } from '../src/config/describe-config.ts';
import { asyncApi, jsonSchema } from './api-documents.ts';
import { protocolPage } from './protocol-page.ts';

const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const files: Record<string, string> = {
  'proto/generated/asyncapi.json': `${JSON.stringify(asyncApi(version), null, 2)}\n`,
  'proto/generated/json-schema.json': `${JSON.stringify(jsonSchema(), null, 2)}\n`,
  'docs/PROTOCOL.md': protocolPage(),
  'docs/CONFIGURATION.md': configurationPage(),
};

const isCheck = process.argv.includes('--check');
const stale = Object.entries(files).filter(([path, content]) => current(path) !== content);
if (isCheck && stale.length > 0) {
  console.error(`not current: ${stale.map(([path]) => path).join(', ')}; run npm run gen and commit`);
  process.exit(1);
}
for (const [path, content] of stale) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  console.log(`wrote ${path}`);
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}
