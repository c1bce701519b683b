import { isSoloflightError, SoloflightError } from '../errors.js';

/** An error as plain data, the form in which it leaves an object. */
export interface ErrorData {
  /** `'soloflight'` for our own errors; `'value'` for a thrown value that is not an error. */
  readonly kind: 'soloflight' | 'error' | 'value';
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly key: string | undefined;
  /** The error's own enumerable properties, as far as they are plain data. For `'value'`, the thrown value as `value`. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly cause: ErrorData | undefined;
}

/** Causes nested deeper than this are left behind. */
const DEEPEST_CAUSE = 4;

/** The built-in errors, which come back as the same type. */
const BUILT_IN = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const;

/** Properties that travel as fields of their own. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause', 'code', 'key']);

/** `error`, which may be anything thrown, as plain data. Stacks stay behind. */
export function toErrorData(error: unknown, depth = 0): ErrorData {
  if (!isErrorLike(error)) {
    return { ...EMPTY, kind: 'value', message: textOf(error), properties: cloneable({ value: error }) };
  }
  const { name, message, code, key, cause } = error as Error & { readonly code?: unknown; readonly key?: unknown };
  return {
    kind: isSoloflightError(error) ? 'soloflight' : 'error',
    name: textOf(name),
    message: textOf(message),
    code: typeof code === 'string' ? code : undefined,
    key: typeof key === 'string' ? key : undefined,
    properties: cloneable({
      ...Object.fromEntries(Object.entries(error).filter(([property]) => !OWN_FIELDS.has(property))),
      // A numeric code, as DOMException and some clients have.
      ...(typeof code === 'number' && Object.hasOwn(error, 'code') ? { code } : {}),
    }),
    cause: cause === undefined || depth >= DEEPEST_CAUSE ? undefined : toErrorData(cause, depth + 1),
  };
}

/** The error that `data` describes, with a stack of this place. */
export function fromErrorData(data: ErrorData): unknown {
  if (data.kind === 'value') return 'value' in data.properties ? data.properties['value'] : data.message;
  const error = create(data);
  for (const [property, value] of Object.entries(data.properties)) define(error, property, value, true);
  if (data.code !== undefined && !('code' in error && error.code === data.code)) define(error, 'code', data.code, true);
  if (data.key !== undefined && !('key' in error)) define(error, 'key', data.key, true);
  return error;
}

const EMPTY = { name: '', code: undefined, key: undefined, properties: {}, cause: undefined } as const;

function create({ kind, name, message, code, key, cause }: ErrorData): Error {
  const options = cause === undefined ? {} : { cause: fromErrorData(cause) };
  if (kind === 'soloflight') {
    const error = new SoloflightError(code as `SOLOFLIGHT_${string}`, message, { key, ...options });
    error.name = name;
    return error;
  }
  if (name === 'AbortError' || name === 'TimeoutError') return new DOMException(message, name);
  const Kind = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name as keyof typeof BUILT_IN] : Error;
  const error = new Kind(message, options);
  if (error.name !== name) define(error, 'name', name, false);
  return error;
}

function isErrorLike(error: unknown): error is Error {
  return error instanceof Error || isSoloflightError(error);
}

/** Clones of those properties that `structuredClone` can copy. */
function cloneable(properties: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [property, value] of Object.entries(properties)) {
    try {
      define(kept, property, structuredClone(value), true);
    } catch {
      // Functions, sockets and the like mean nothing elsewhere.
    }
  }
  return kept;
}

/** An assignment could run a setter, or change a prototype. */
function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, enumerable, writable: true, configurable: true });
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}
