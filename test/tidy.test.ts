/** The house rules as a test: layers, owners of packages, sizes, names, headers, promises with their tests. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { clientData } from '#proto/data.ts';
import { serverData } from '#proto/server-data.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const sources = globSync(['src/**/*.ts', 'workers/*.ts', 'proto/*.ts'], { cwd: root })
  .filter((path) => !path.endsWith('.d.ts'))
  .sort();

/** A file imports from lower layers and its own folder only; type imports count. */
const layers: Record<string, number> = {
  ...{ proto: 1, 'src/kit': 1 },
  ...{
    'src/ring': 2,
    'src/wire': 2,
    'src/config': 2,
    'src/auth': 2,
    'src/routing': 2,
    'src/protect': 2,
    'src/observe': 2,
  },
  'src/links': 3,
  ...{ 'src/store': 4, 'src/log': 4 },
  ...{ 'src/fanout': 4.2, 'src/presence': 4.4 },
  ...{ 'src/topic': 5, 'src/user': 5, 'src/session': 5 },
  'src/shard': 6,
  ...{ 'src/accept': 7, 'src/supervise': 7 },
  ...{ src: 8, workers: 8 },
};

/** The primary knows shards by proto/control.ts only: of the layers below, these are closed to it. */
const closedToPrimary = [
  ...['src/shard', 'src/session', 'src/topic', 'src/user', 'src/wire'],
  ...['src/links', 'src/store', 'src/log', 'src/fanout', 'src/presence'],
];

/** Packages and the only places that may import them. */
const packageOwners: Record<string, RegExp> = {
  ws: /^src\/shard\/(upgrade|served-websocket|websocket-transport|ws-options)/,
  msgpackr: /^src\/wire\/codec\.ts$/,
  'fast-jwt': /^src\/auth\//,
  fastify: /^src\/shard\/http\//,
  '@fastify/swagger': /^src\/shard\/http\//,
  pino: /^src\/observe\//,
  'prom-client': /^src\/observe\//,
  typebox: /^proto\/schema\.ts$/,
  'typebox/compile': /^proto\/schema\.ts$/,
  pg: /^src\/store\/postgres\//,
  cockatiel: /^src\/store\/[\w-]+\.ts$/,
  uuidv7: /^src\/kit\//,
  piscina: /^(src\/supervise\/cpu-pool|workers\/cpu-job)\.ts$/,
};

/** Modules of Node that block, and the only places that may import them. */
const moduleOwners: Record<string, RegExp> = { 'node:sqlite': /^src\/store\/sqlite\// };

/** Words that say nothing. */
const bannedNames = /(Manager|Helper|Util|Service|Impl)(s)?\b/;
const fileLinesMax = 400;
const functionLinesMax = 60;

function folderOf(path: string): string {
  const folder = dirname(path);
  return Object.keys(layers)
    .filter((candidate) => folder === candidate || folder.startsWith(`${candidate}/`))
    .sort((a, b) => b.length - a.length)[0] as string;
}

function importsOf(path: string): string[] {
  return [...read(path).matchAll(/(?:^|\n)(?:import|export)\s[^;]*?from '([^']+)'/g)].map(
    (match) => match[1] as string,
  );
}

/** More of it than types. */
function importsValue(path: string, specifier: string): boolean {
  return new RegExp(`^import (?!type\\b)[^;]*from '${specifier}'`, 'm').test(read(path));
}

function resolved(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('#proto/')) return `proto/${specifier.slice(7)}`;
  if (specifier.startsWith('#kit/')) return `src/kit/${specifier.slice(5)}`;
  return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : undefined;
}

test('imports go one way, types included', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const from = folderOf(path);
    for (const specifier of importsOf(path)) {
      const target = resolved(path, specifier);
      if (target === undefined) continue;
      const to = folderOf(target);
      // proto's names are branded with kit's Brand, and control.ts names Node's MessagePort: both are leaves.
      const isAllowed =
        to === from ||
        layers[to]! < layers[from]! ||
        (from === 'proto' && to === 'src/kit') ||
        (from === 'src/kit' && to === 'proto') ||
        // A log is told in the words of the seam of what is stored, and of its types only.
        (from === 'src/log' && target === 'src/store/history-store.ts' && !importsValue(path, specifier));
      const isClosed = layers[from] === 7 && closedToPrimary.includes(to);
      if (!isAllowed || isClosed) wrong.push(`${path} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('each package is imported in its own room only', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('.') || specifier.startsWith('#')) continue;
      if (specifier.startsWith('node:') && !Object.hasOwn(moduleOwners, specifier)) continue;
      const owner = packageOwners[specifier] ?? moduleOwners[specifier];
      if (owner === undefined || !owner.test(path)) wrong.push(`${path} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('actors are pure: no Node module, no async, no clock, no environment', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const text = read(path);
    const isActor = /^src\/(session|topic|user|log|fanout|presence)\//.test(path);
    const isPure = isActor || /^src\/(ring|routing)\//.test(path);
    if (isPure && importsOf(path).some((specifier) => specifier.startsWith('node:')))
      wrong.push(`${path} imports Node`);
    if (isActor && /\basync\b|\bawait\b|\bPromise\b/.test(withoutComments(text))) wrong.push(`${path} waits`);
    if (!path.startsWith('src/kit/') && /Date\.now|Math\.random|performance\.now/.test(text))
      wrong.push(`${path} reads the clock or rolls dice`);
    if (path !== 'src/config/load-config.ts' && text.includes('process.env'))
      wrong.push(`${path} reads the environment`);
  }
  assert.deepEqual(wrong, []);
});

test('files and functions have a human size', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const lines = read(path).split('\n');
    if (lines.length > fileLinesMax) wrong.push(`${path} has ${lines.length} lines`);
    for (const { name, length } of functionsOf(lines)) {
      if (length > functionLinesMax) wrong.push(`${path}: ${name} has ${length} lines`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('names say something, and every file says what it owns', () => {
  const wrong: string[] = [];
  for (const path of sources) {
    const text = read(path);
    if (!text.startsWith('/**')) wrong.push(`${path} has no header`);
    for (const [, name] of text.matchAll(/(?:class|interface|function|const|type) (\w+)/g)) {
      if (bannedNames.test(name as string)) wrong.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('workers/ holds entry points only', () => {
  for (const path of sources.filter((source) => source.startsWith('workers/'))) {
    assert.ok(read(path).split('\n').length < 60, path);
  }
});

test('every field of the protocol has a description', () => {
  const wrong: string[] = [];
  const visit = (
    name: string,
    schema: { properties?: Record<string, { description?: string }>; anyOf?: object[] },
  ) => {
    for (const [field, inner] of Object.entries(schema.properties ?? {})) {
      if (!inner.description) wrong.push(`${name}.${field}`);
    }
    for (const variant of schema.anyOf ?? []) visit(name, variant);
  };
  for (const [type, schema] of Object.entries({ ...clientData, ...serverData }))
    visit(type, schema as object);
  assert.deepEqual(wrong, []);
});

test('every path in the architecture page exists', () => {
  const paths = [
    ...read('docs/ARCHITECTURE.md').matchAll(/`((?:src|workers|proto|test|web|scripts)\/[\w./-]+\.\w+)`/g),
  ].map((match) => match[1] as string);
  assert.ok(paths.length > 20);
  assert.deepEqual(
    paths.filter((path) => globSync(path, { cwd: root }).length === 0),
    [],
  );
});

test('every promise of docs/SPEC.md has a test that names it, and none is made up', () => {
  const promised = [...read('docs/SPEC.md').matchAll(/^- \*\*([A-Z]{3}\d+)\*\*/gm)].map(
    (match) => match[1] as string,
  );
  assert.equal(new Set(promised).size, promised.length, 'an id is used twice');
  const tests = globSync('test/**/*.test.ts', { cwd: root }).map(read).join('\n');
  const tested = new Set([...tests.matchAll(/\[([A-Z]{3}\d+)\]/g)].map((match) => match[1] as string));
  const cited = new Set(
    sources.flatMap((path) =>
      [...read(path).matchAll(/\[([A-Z]{3}\d+)\]/g)].map((match) => match[1] as string),
    ),
  );
  assert.deepEqual(
    promised.filter((id) => !tested.has(id)),
    [],
    'promises without a test',
  );
  assert.deepEqual(
    [...tested, ...cited].filter((id) => !promised.includes(id)),
    [],
    'ids that promise nothing',
  );
});

function withoutComments(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*/g, '')
    .replaceAll(/'[^'\n]*'/g, "''");
}

/** By indentation, which the formatter guarantees: from a line that opens a function to the brace below it. */
function functionsOf(lines: string[]): { name: string; length: number }[] {
  const functions: { name: string; length: number }[] = [];
  for (const [index, line] of lines.entries()) {
    const match = /^(\s*)(?:export )?(?:async )?(?:function |(?:static )?(?:get )?)([#\w]+)(?:<.*>)?\(/.exec(
      line,
    );
    if (!match || ['if', 'for', 'while', 'switch', 'return', 'catch'].includes(match[2] as string)) continue;
    if (!/[{(]$/.test(line)) continue;
    const isTopLevel = line.includes('function ');
    if (!isTopLevel && match[1] !== '  ') continue;
    const ends = [`${match[1]}}`, `${match[1]}},`]; // of a method of an object, too
    const end = lines.findIndex((other, at) => at > index && ends.includes(other));
    if (end > 0) functions.push({ name: match[2] as string, length: end - index + 1 });
  }
  return functions;
}
