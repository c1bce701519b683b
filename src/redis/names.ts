import { isWellFormed } from '../codecs/payload.js';
import { misuse } from '../errors.js';
import { toBuffer, type Word } from './client.js';

/** Ends the prefix and begins the hash tag. */
const OPEN = '{.';
const CLOSE = '}';
/** Follow the name of an entry. They may not contain a brace. */
const LEASE = 'lease';
const CLAIM = 'claim';

/** The names of the hashes of a queue's pending writes and dead letters, and of its owner. */
export interface QueueNames {
  readonly pending: string;
  readonly dead: string;
  readonly owner: string;
}

/**
 * The names in Redis for keys of a cache.
 *
 * `prefix{.key}` holds the entry of `key`, `prefix{.key}lease` its lease, `prefix{.key}claim` its version while loads may
 * need it. The braces make `.key` the hash tag of all three, so that commands may use them together on a cluster. The dot
 * keeps the tag from being empty, which would be no tag. No prefix contains `{.`, so names under different prefixes differ.
 */
export class KeyNames {
  readonly #prefix: string;

  /** @throws TypeError for a prefix with which names would be ambiguous. */
  constructor(prefix: string) {
    if (typeof prefix !== 'string' || !isWellFormed(prefix) || prefix.includes(OPEN) || prefix.includes('{}'))
      throw misuse('prefix', 'a string without `{.`, `{}` and lone surrogates', prefix);
    this.#prefix = prefix;
  }

  entry(key: string): Word {
    return toWord(this.#prefix + OPEN + key + CLOSE);
  }

  lease(key: string): Word {
    return toWord(`${this.#prefix}${OPEN}${key}${CLOSE}${LEASE}`);
  }

  claim(key: string): Word {
    return toWord(`${this.#prefix}${OPEN}${key}${CLOSE}${CLAIM}`);
  }

  /** The entry, the lease and the claim of `key`. */
  all(key: string): readonly [Word, Word, Word] {
    const entry = this.entry(key);
    if (typeof entry === 'string') return [entry, entry + LEASE, entry + CLAIM];
    return [entry, this.lease(key), this.claim(key)];
  }

  /** The arguments with which a script tells those who wait for the lease on `key`. */
  news(key: string): readonly [Word, Word] {
    return [this.channel, this.entry(key)];
  }

  /** The key whose entry has `name`; `undefined` if that is the name of something else. */
  keyOf(name: Word): string | undefined {
    const text = fromWord(name);
    const start = this.#prefix.length + OPEN.length;
    return text.endsWith(CLOSE) && text.length > start ? text.slice(start, -1) : undefined;
  }

  /** The names of a queue: in one slot, and such that no entry has them. */
  queue(queue: string): QueueNames {
    const pending = `${this.#prefix}writes{${queue}${CLOSE}`;
    return { pending, dead: `${pending}dead`, owner: `${pending}owner` };
  }

  /** A glob-style pattern that all names of entries, leases and claims match, and no others. */
  get pattern(): string {
    return this.patternFor('');
  }

  /** The same for keys that begin with `prefix`; for others as well, if that ends within a character. */
  patternFor(prefix: string): string {
    const [text = ''] = /^\P{Surrogate}*/u.exec(prefix) ?? [];
    return `${escaped(this.#prefix)}${OPEN}${escaped(text)}*`;
  }

  /** The channel that announces the ends of leases. */
  get channel(): string {
    return `${this.#prefix}lease-ends`;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\*?[\]^]/g, String.raw`\$&`);
}

/** All names of the key that has `name` as one of its names. */
export function namesBeside(name: Word): readonly Word[] {
  const bytes = typeof name === 'string' ? new TextEncoder().encode(name) : name;
  const entry = bytes.subarray(0, bytes.lastIndexOf(CLOSE_BRACE) + 1);
  return ['', LEASE, CLAIM].map((end) => {
    const beside = new Uint8Array(entry.length + end.length);
    beside.set(entry);
    beside.set(new TextEncoder().encode(end), entry.length);
    return toBuffer(beside);
  });
}

/** The cluster slot of `name`. */
export function slotOf(name: Word): number {
  const bytes = typeof name === 'string' ? new TextEncoder().encode(name) : name;
  const open = bytes.indexOf(OPEN_BRACE);
  const close = open < 0 ? -1 : bytes.indexOf(CLOSE_BRACE, open + 1);
  const tag = close > open + 1 ? bytes.subarray(open + 1, close) : bytes;
  let sum = 0;
  for (const byte of tag) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) sum = ((sum << 1) ^ (sum & 0x8000 ? POLYNOMIAL : 0)) & 0xffff;
  }
  return sum % SLOTS;
}

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** CRC-16/XMODEM, as specified for Redis Cluster. */
const POLYNOMIAL = 0x1021;
const SLOTS = 16_384;

/** `name` itself, or bytes if it has no UTF-8 form: lone surrogates then take three bytes each, which no text has. */
export function toWord(name: string): Word {
  if (isWellFormed(name)) return name;
  const utf8 = new TextEncoder();
  const parts: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0)!;
    if (code < 0xd800 || code > 0xdfff) parts.push(...utf8.encode(character));
    else parts.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return toBuffer(Uint8Array.from(parts));
}

/** The name that {@link toWord} gave to `word`. */
function fromWord(word: Word): string {
  if (typeof word === 'string') return word;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(word);
  } catch {
    return fromSurrogates(word);
  }
}

/** A lone surrogate takes three bytes, of which UTF-8 knows nothing; the rest between two of them is UTF-8. */
function fromSurrogates(bytes: Uint8Array): string {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  let from = 0;
  for (let at = 0; at + 2 < bytes.length; at += 1) {
    if (bytes[at] !== 0xed || bytes[at + 1]! < 0xa0) continue;
    text += utf8.decode(bytes.subarray(from, at));
    text += String.fromCharCode(0xd000 | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f));
    from = at + 3;
    at += 2;
  }
  return text + utf8.decode(bytes.subarray(from));
}
