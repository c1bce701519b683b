import { misuse } from '../errors.js';
import { byteLength } from './json-face.js';

/** The answer of `authorize` for a client that may do less, or more, than use the key that it asked for. */
export interface ObjectClient {
  /** Names the client for `rate`, `authorizeWrite`, `parse`, `apply` and `closeSockets`, in at most 1,024 characters. @default '' */
  readonly name?: string;
  /** Keys that it may write, and hear of by WebSocket, of at most 8,192 bytes together. @default the `key` in its request's query */
  readonly keys?: 'all' | readonly string[];
  /** Whether it only hears of changes. @default false */
  readonly readOnly?: boolean;
}

/** {@link ObjectClient}, checked. Plain data: a WebSocket carries it. */
export interface Client {
  readonly name: string;
  /** `undefined` for the key of the request. */
  readonly keys: ObjectClient['keys'];
  readonly readOnly: boolean;
}

/** An attachment of a WebSocket takes 16,384 bytes. */
const LONGEST_NAME = 1_024;
const LARGEST_KEYS = 8_192;
const FIELDS: ReadonlySet<string> = new Set(['name', 'keys', 'readOnly']);

/** The client that `answer` of `authorize` lets in; `undefined` if none. @throws TypeError for an answer that makes no sense. */
export function clientOf(answer: unknown): Client | undefined {
  if (answer === true) return { name: '', keys: undefined, readOnly: false };
  if (typeof answer === 'string') return answer === '' ? undefined : clientOf({ name: answer });
  // An object that says nothing is an oversight, not a permission.
  if (typeof answer !== 'object' || answer === null || Object.keys(answer).length === 0) return undefined;
  const [unknown] = Object.keys(answer).filter((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw misuse('result of authorize', 'true, a name, or { name, keys, readOnly }', unknown);
  const { name = '', keys, readOnly = false } = answer as ObjectClient;
  if (typeof name !== 'string' || name.length > LONGEST_NAME)
    throw misuse('name in the result of authorize', `a string of at most ${LONGEST_NAME} characters`, name);
  if (keys !== undefined && keys !== 'all' && !areKeys(keys))
    throw misuse(
      'keys in the result of authorize',
      `'all', or strings of at most ${LARGEST_KEYS} bytes together`,
      keys,
    );
  if (typeof readOnly !== 'boolean') throw misuse('readOnly in the result of authorize', 'a boolean', readOnly);
  return { name, keys: keys === undefined || keys === 'all' ? keys : [...keys], readOnly };
}

/** Whether `keys`, those of a client, contain `key`. */
export function includesKey(keys: NonNullable<Client['keys']>, key: string): boolean {
  return keys === 'all' || keys.includes(key);
}

function areKeys(keys: unknown): boolean {
  if (!Array.isArray(keys) || keys.some((key) => typeof key !== 'string')) return false;
  // The list itself takes space, too.
  return byteLength(JSON.stringify(keys)) <= LARGEST_KEYS;
}
