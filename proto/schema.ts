/** The one place that imports the schema library, so that it can be exchanged for a faster one. */
import { type Static, type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';

export { Compile, type Static, type TSchema, Type };

/** A schema whose values are checked by `check`; `firstError` names the first wrong field of a value that is not. */
export interface Validator<Value> {
  check(value: unknown): value is Value;
  firstError(value: unknown): FieldError;
}

/** `path` is `/topic` or `` for the value itself; `message` says what it must be. */
export interface FieldError {
  path: string;
  message: string;
}

/** Compiles once, at module load. Uses generated code where the runtime allows it. */
export function compileValidator<Schema extends TSchema>(schema: Schema): Validator<Static<Schema>> {
  const compiled = Compile(schema);
  return {
    check: (value): value is Static<Schema> => compiled.Check(value),
    firstError: (value) => {
      const errors = compiled.Errors(value);
      const error = errors[0];
      if (!error) return { path: '', message: 'is not valid' };
      const missing = (error.params as { requiredProperties?: string[] } | undefined)
        ?.requiredProperties?.[0];
      if (missing !== undefined) return { path: `${error.instancePath}/${missing}`, message: 'is required' };
      const choices = errors.filter(
        (other) => other.keyword === 'const' && other.instancePath === error.instancePath,
      );
      if (choices.length > 1)
        return {
          path: error.instancePath,
          message: `must be one of ${choices.map(allowedValue).join(', ')}`,
        };
      return { path: error.instancePath, message: error.message };
    },
  };
}

function allowedValue(error: { params: unknown }): unknown {
  return (error.params as { allowedValue: unknown }).allowedValue;
}
