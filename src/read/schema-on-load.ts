import { checkSchema, misfit, type Schema } from '../base/schema.js';
import type { Upstream } from '../contracts.js';
import { SoloflightError } from '../errors.js';
import { isLoaded } from './loaded.js';

/**
 * `upstream`, whose values must fit `schema`: a Standard Schema (zod, valibot, ArkType) or a function that tells whether one
 * fits. A load that brings another one fails with the code `SOLOFLIGHT_SCHEMA`, so that a stored value is served instead where
 * `staleIfError` allows. That there is nothing fits. Values are checked, never changed.
 *
 * @throws TypeError for something that is no schema.
 */
export function schemaOnLoad<V>(schema: Schema, upstream: Upstream<V>): Upstream<V> {
  checkSchema(schema);
  return async (key, load) => {
    const result = await upstream(key, load);
    const value = isLoaded(result) ? result.value : result;
    const found = value === undefined ? undefined : await misfit(schema, value);
    if (found === undefined) return result;
    throw new SoloflightError(
      'SOLOFLIGHT_SCHEMA',
      `What was loaded for '${key.slice(0, 80)}' does not fit the \`schema\`. \`cause\` lists why`,
      { key, cause: found.issues },
    );
  };
}
