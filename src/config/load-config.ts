/**
 * Environment and configuration file → one frozen object, or a ConfigError that says what to change.
 * Thread: primary, before anything else. The only reader of `process.env`.
 */
import { readFileSync } from 'node:fs';
import { durationPattern, parseDuration } from '#kit/duration.ts';
import { compileValidator, type Static, Type } from '#proto/schema.ts';
import { checkRelations } from './check-relations.ts';
import { type Setting, type Settings, type Surroundings, settings } from './config-schema.ts';

/** Refuses the start. The message names the setting, its value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const FileShape = Type.Object(
  {
    roles: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String()), {
        description: 'Permissions by role, as `action:pattern`.',
      }),
    ),
    topics: Type.Optional(
      Type.Array(
        Type.Object(
          {
            match: Type.String({
              minLength: 1,
              description: 'A pattern of topic names; `*` matches any run.',
            }),
            class: Type.Union([Type.Literal('durable'), Type.Literal('cached'), Type.Literal('volatile')], {
              description: 'What these topics promise.',
            }),
            search: Type.Optional(
              Type.Union([Type.Array(Type.String({ minLength: 1 })), Type.Literal(false)], {
                description: 'Fields of the payload that a search finds; false: none.',
              }),
            ),
            retention: Type.Optional(
              Type.String({ pattern: durationPattern, description: 'How long messages are kept, like 30d.' }),
            ),
          },
          { additionalProperties: false },
        ),
        { description: 'Rules for topics; the first that matches counts.' },
      ),
    ),
  },
  { additionalProperties: false },
);
const fileValidator = compileValidator(FileShape);
type FileRule = NonNullable<Static<typeof FileShape>['topics']>[number];

/** Everything a thread may know of the configuration; plain data, so that it travels as workerData. */
export type Config = Readonly<Settings> & {
  readonly isProduction: boolean;
  /** Roles of the configuration file, beside the built-in ones. */
  readonly roles: Readonly<Record<string, string[]>>;
  /** Rules of the configuration file for topics, before the built-in ones. */
  readonly topics: readonly ConfiguredRule[];
};

export interface ConfiguredRule {
  match: string;
  class: 'durable' | 'cached' | 'volatile';
  search?: readonly string[] | false;
  retentionMs?: number;
}

/** The process's own environment. */
export function loadConfig(): Config {
  return parseConfig(process.env, process.stdout.isTTY === true);
}

/** Pure apart from reading the file that CARILLON_CONFIG names. Throws ConfigError. */
export function parseConfig(env: Record<string, string | undefined>, isTerminal: boolean): Config {
  const machine = { isProduction: env['NODE_ENV'] === 'production', isTerminal };
  const dataDir = parseSetting(settings.dataDir, env, { ...machine, dataDir: '' }) as string;
  const surroundings: Surroundings = { ...machine, dataDir };
  const values = Object.fromEntries(
    Object.entries(settings).map(([field, setting]) => [
      field,
      parseSetting(setting as Setting<unknown>, env, surroundings),
    ]),
  ) as Settings;
  const file = readConfigFile(values.configFile);
  const config: Config = {
    ...values,
    isProduction: surroundings.isProduction,
    roles: file.roles ?? {},
    topics: (file.topics ?? []).map(configuredRule),
  };
  const complaint = checkRelations(config);
  if (complaint !== undefined) throw new ConfigError(complaint);
  return Object.freeze(config);
}

function configuredRule({ retention, ...rule }: FileRule): ConfiguredRule {
  return retention === undefined ? rule : { ...rule, retentionMs: parseDuration(retention) as number };
}

function parseSetting(
  setting: Setting<unknown>,
  env: Record<string, string | undefined>,
  surroundings: Surroundings,
) {
  const given = env[setting.name]?.trim();
  if (given !== undefined && given !== '') {
    const value = setting.kind.parse(given);
    if (value === undefined) throw new ConfigError(wrongValue(setting, given));
    return value;
  }
  const fallback = typeof setting.fallback === 'function' ? setting.fallback(surroundings) : setting.fallback;
  return fallback === undefined ? undefined : setting.kind.parse(fallback);
}

function wrongValue(setting: Setting<unknown>, given: string): string {
  return `${setting.name} is ${setting.isSecret ? 'not valid' : JSON.stringify(given)}; allowed is ${setting.kind.allowed}`;
}

function readConfigFile(path: string | undefined): Static<typeof FileShape> {
  if (path === undefined) return {};
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(
      `CARILLON_CONFIG is ${JSON.stringify(path)}; it cannot be read as JSON: ${(error as Error).message}`,
    );
  }
  if (fileValidator.check(content)) return content;
  const { path: field, message } = fileValidator.firstError(content);
  throw new ConfigError(
    `CARILLON_CONFIG ${JSON.stringify(path)}: ${field || 'the file'} ${message}; allowed is {"roles": {"name": ["action:pattern"]}, "topics": [{"match": "audit:*", "class": "durable"}]}`,
  );
}
