import { misuse } from '../errors.js';
import { isThenable } from './promises.js';

/** A schema of zod, valibot, ArkType and others, as far as it is used here. @see https://standardschema.dev */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult>;
  };
}

interface SchemaResult {
  readonly issues?: readonly unknown[] | undefined;
}

/** Tells which values have the right shape: a Standard Schema, or a function that says so. Values are checked, never changed. */
export type Schema = StandardSchema | ((value: unknown) => boolean);

/** @throws TypeError unless `schema` is one. */
export function checkSchema(schema: unknown): void {
  const { '~standard': standard } = Object(schema) as Partial<StandardSchema>;
  if (typeof standard?.validate !== 'function' && typeof schema !== 'function')
    throw misuse(
      'schema',
      'a Standard Schema (zod, valibot, ArkType), or a function that tells whether a value fits',
      schema,
    );
}

/** Why `value` does not fit, `undefined` if it does. A schema that fails takes nothing. */
export function misfit(schema: Schema, value: unknown): Misfit | PromiseLike<Misfit> {
  try {
    // A schema may be a function, too.
    if (!('~standard' in schema)) {
      // A promise would count as a yes.
      const fits: unknown = schema(value);
      return fits === true ? undefined : { issues: [] };
    }
    const result = schema['~standard'].validate(value);
    return isThenable(result) ? result.then(issuesOf, failed) : issuesOf(result);
  } catch (error) {
    return failed(error);
  }
}

/** What a schema found wrong. */
export type Misfit = { readonly issues: readonly unknown[] } | undefined;

function issuesOf({ issues }: SchemaResult): Misfit {
  return issues === undefined ? undefined : { issues };
}

function failed(error: unknown): Misfit {
  return { issues: [error] };
}
