import { isThenable } from '../base/promises.js';
import { checkSchema, misfit, type Misfit, type Schema } from '../base/schema.js';
import type { MaybePromise } from '../contracts.js';
import type { Entry } from '../entry.js';
import { misuse, UndecodableError } from '../errors.js';

/** Which values of a tier a cache takes for its own. */
export interface ShapeOptions {
  /**
   * Checks values that come from this tier: a Standard Schema (zod, valibot, ArkType) or a function that tells whether one fits.
   * One that does not is a miss, told once by a `tier-error` event, and stays until a load replaces it. @default none
   */
  readonly schema?: Schema | undefined;
  /**
   * Version of the values: those of another version, or of none, are a miss, told once, and stay until a load replaces them. So
   * the old and the new program run side by side in a deploy. @default none
   */
  readonly version?: string | number | undefined;
}

/** The name under which a value of a version lies in storage, beside that version. */
const VERSION = 'soloflight.version';

/** Keys that were told of, at most. Beyond that, some are told of again. */
const MOST_TOLD = 10_000;

/** How the values of one tier lie in storage, and which of them are believed. */
export class Shape {
  readonly #schema: Schema | undefined;
  readonly #version: string | number | undefined;
  readonly #tell: (key: string, error: unknown) => void;
  readonly #told = new Set<string>();

  constructor({ schema, version }: ShapeOptions, tell: (key: string, error: unknown) => void) {
    this.#schema = schema;
    this.#version = version;
    this.#tell = tell;
  }

  /** `entry` as it is stored. That there is nothing is the same in every version. */
  stored(entry: Entry): Entry {
    const version = this.#version;
    if (version === undefined || entry.value === undefined) return entry;
    return { ...entry, value: { [VERSION]: version, value: entry.value } };
  }

  /** `entry` of this process as it was before {@link stored}. */
  own(entry: Entry): Entry {
    return this.#version === undefined ? entry : { ...entry, value: versionedOf(entry.value)?.value };
  }

  /** The entry that was stored for `key`, or `undefined` for one of another version or shape. Never throws or rejects. */
  read(key: string, entry: Entry): MaybePromise<Entry | undefined> {
    if (entry.value === undefined) return entry;
    const versioned = versionedOf(entry.value);
    if (versioned?.[VERSION] !== this.#version)
      return this.#refuse(key, `it has ${nameOf(versioned?.[VERSION])}, and this cache takes ${nameOf(this.#version)}`);
    const inner = versioned === undefined ? entry : { ...entry, value: versioned.value };
    if (this.#schema === undefined) return inner;
    const fits = (found: Misfit): Entry | undefined =>
      found === undefined ? inner : this.#refuse(key, 'its value does not fit the `schema`', found.issues);
    const found = misfit(this.#schema, inner.value);
    return isThenable(found) ? found.then(fits) : fits(found);
  }

  #refuse(key: string, why: string, cause?: unknown): undefined {
    if (this.#told.has(key)) return;
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.add(key);
    this.#tell(key, new UndecodableError(key, why, cause));
  }
}

/** @throws TypeError for a schema or version that makes no sense. */
export function checkShape({ schema, version }: ShapeOptions): void {
  if (schema !== undefined) checkSchema(schema);
  const isVersion = (typeof version === 'string' && version !== '') || Number.isFinite(version);
  if (version !== undefined && !isVersion) throw misuse('version', 'a non-empty string or a number', version);
}

interface Versioned {
  readonly [VERSION]: unknown;
  readonly value: unknown;
}

/** `value`, if it lies in storage with a version. */
function versionedOf(value: unknown): Versioned | undefined {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, VERSION)
    ? (value as Versioned)
    : undefined;
}

function nameOf(version: unknown): string {
  if (version === undefined) return 'no version';
  return typeof version === 'string' || typeof version === 'number' ? `version ${version}` : 'a version that is none';
}
