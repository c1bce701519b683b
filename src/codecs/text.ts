import { checkFunction, checkNames, checkObject } from '../base/checks.js';
import type { Codec } from '../contracts.js';
import { misuse } from '../errors.js';

/** A library that turns values into text and back, such as devalue or superjson. */
export interface TextFormat {
  /** Stored beside each payload. Another name is another format: what was stored under it is a miss. @default 'text' */
  readonly name?: string | undefined;
  readonly stringify: (value: unknown) => string;
  readonly parse: (text: string) => unknown;
}

const FORMAT = ['stringify', 'parse'] as const;

/**
 * A codec of a library's `stringify` and `parse`, called as functions: `textCodec({ name: 'devalue', stringify, parse })`.
 *
 * @throws TypeError for a format that lacks one of them.
 */
export function textCodec(format: TextFormat): Codec {
  checkObject('format', format);
  checkNames(format, ['name', ...FORMAT]);
  const { name = 'text', stringify, parse } = format;
  if (typeof name !== 'string' || name === '') throw misuse('name', 'a non-empty string', name);
  for (const method of FORMAT) {
    if (format[method] === undefined) throw misuse(method, 'a function', undefined);
    checkFunction(method, format[method]);
  }
  return {
    name,
    encode: (value) => stringify(value),
    decode: (payload) =>
      parse(
        typeof payload === 'string'
          ? payload
          : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload),
      ),
  };
}
