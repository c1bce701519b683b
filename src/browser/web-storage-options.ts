import { checkNames, checkObject } from '../base/checks.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec } from '../contracts.js';
import { misuse } from '../errors.js';
import { WebArea, type WebStorageArea } from './web-area.js';

/** Options of `webStorageStorage` and `webStorageQueue`. */
export interface WebStorageOptions {
  /** `'local'` for localStorage, `'session'` for sessionStorage. @default 'local' */
  readonly area?: WebStorageArea;
  /** Comes before each key, with a colon between: 1 to 60 letters, digits, `-` and `_`. @default 'soloflight', and 'soloflight-writes' for a queue */
  readonly prefix?: string;
  /** Turns values into text or bytes. Bytes are kept as base64. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/** {@link WebStorageOptions} with the defaults filled in. */
export interface WebStorageSettings {
  readonly area: WebArea;
  /** Beside `area`, with names that no key in it has. */
  readonly beside: WebArea;
  readonly codec: Codec;
}

/** @throws TypeError for an option that makes no sense. */
export function resolveWebStorage(
  options: WebStorageOptions,
  defaultPrefix: string,
  more: readonly string[] = [],
): WebStorageSettings {
  checkObject('options', options);
  checkNames(options, ['area', 'prefix', 'codec', ...more]);
  const { area = 'local', prefix = defaultPrefix, codec = valueCodec } = options;
  if (area !== 'local' && area !== 'session') throw misuse('area', "'local' or 'session'", area);
  if (typeof prefix !== 'string' || !/^[\w-]{1,60}$/.test(prefix))
    throw misuse('prefix', 'a name of 1 to 60 letters, digits, `-` and `_`', prefix);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return { area: new WebArea(area, `${prefix}:`), beside: new WebArea(area, `${prefix}.`), codec };
}
