import { checkNames, checkObject } from '../base/checks.js';
import type { Codec } from '../contracts.js';
import { misuse } from '../errors.js';
import { chain } from './chain.js';
import { isCodec, type Payload } from './payload.js';

/** The part of a `CryptoKey` that is looked at here. Not every program has the types of the platform's own. */
export interface WebCryptoKey {
  readonly algorithm: { readonly name: string };
  readonly usages: readonly string[];
}

type Imported = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** A key of {@link encrypt}. */
export interface EncryptionKey {
  /** Stored in each payload, in the clear, so that it is known which key opens it. At most 255 bytes of UTF-8. Never reused for another key. */
  readonly id: string;
  /** 16, 24 or 32 random bytes, or a `CryptoKey` for AES-GCM that may encrypt and decrypt. */
  readonly key: Uint8Array | WebCryptoKey;
}

/** Options of {@link encrypt}. */
export interface EncryptOptions {
  /** The first encrypts, all decrypt. At least one. */
  readonly keys: readonly EncryptionKey[];
}

/** Version of the format: this byte, the inner payload's form, the length of the id, the id, the nonce, and the ciphertext. */
const VERSION = 1;

const FORM = { text: 0, bytes: 1 } as const;

/** Bytes of a nonce of AES-GCM. */
const NONCE = 12;

const HEAD = 3;

const LONGEST_ID = 255;

const utf8 = { ignoreBOM: true, fatal: true } as const;

/**
 * A codec that encrypts the payloads of `codec` with AES-GCM, by WebCrypto. Reads and writes become asynchronous.
 *
 * To rotate: put the new key first and keep the old one behind it until what it encrypted is outlived. A payload whose key is
 * not there, or that was tampered with, is a miss. Compress inside: `encrypt(gzip(codec), …)`.
 *
 * Values are encrypted; keys of the cache, tags and instants are not. The nonce is random, so one key is good for 2^32
 * writes. A payload is not bound to its cache key: who can write to the storage can swap two of them, or bring an old one back.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function encrypt(codec: Codec, options: EncryptOptions): Codec {
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  const ring = resolveKeys(options);
  const [first] = ring;
  const associated = new TextEncoder().encode(`soloflight ${VERSION} ${codec.name}`);
  return {
    name: `encrypt(${codec.name})`,
    encode: (value) => chain(codec.encode(value), async (payload) => seal(payload, first!, associated)),
    async decode(payload) {
      return codec.decode(await open(payload, ring, associated));
    },
  };
}

/** A key that is imported at first use: making a codec touches nothing asynchronous. */
class RingKey {
  readonly id: Uint8Array;
  readonly #key: Uint8Array | WebCryptoKey;
  #imported: Imported | undefined;

  constructor(id: Uint8Array, key: Uint8Array | WebCryptoKey) {
    this.id = id;
    // A copy: what the caller does to the bytes later is no change of the key.
    this.#key = key instanceof Uint8Array ? key.slice() : key;
  }

  /** The key, and no promise of it, is kept: in a Worker, a request may end while it imports, and others would wait for ever. */
  async use(): Promise<Imported> {
    const key = this.#key;
    this.#imported ??=
      key instanceof Uint8Array
        ? await crypto.subtle.importKey('raw', key as Uint8Array<ArrayBuffer>, 'AES-GCM', false, ['encrypt', 'decrypt'])
        : (key as Imported);
    return this.#imported;
  }
}

function resolveKeys(options: EncryptOptions): readonly RingKey[] {
  checkObject('options', options);
  checkNames(options, ['keys']);
  const { keys } = options;
  if (!Array.isArray(keys) || keys.length === 0) throw misuse('keys', 'an array of at least one { id, key }', keys);
  const ids = new Set<string>();
  return (keys as readonly EncryptionKey[]).map((entry, index) => {
    checkObject(`keys[${index}]`, entry);
    checkNames(entry, ['id', 'key']);
    const { id, key } = entry;
    const name = typeof id === 'string' ? new TextEncoder().encode(id) : new Uint8Array();
    if (name.length === 0 || name.length > LONGEST_ID || ids.has(id))
      throw misuse(`keys[${index}].id`, 'a string of 1 to 255 bytes that no other key has', id);
    ids.add(id);
    if (!isKey(key))
      throw new TypeError(`Expected \`keys[${index}].key\` to be 16, 24 or 32 bytes, or a CryptoKey for AES-GCM`);
    return new RingKey(name, key);
  });
}

function isKey(key: unknown): boolean {
  if (key instanceof Uint8Array) return [16, 24, 32].includes(key.length);
  const { algorithm, usages } = Object(key) as Partial<WebCryptoKey>;
  if (algorithm?.name !== 'AES-GCM' || !Array.isArray(usages)) return false;
  return usages.includes('encrypt') && usages.includes('decrypt');
}

async function seal(payload: Payload, ring: RingKey, associated: Uint8Array): Promise<Uint8Array> {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const head = new Uint8Array(HEAD + ring.id.length);
  head.set([VERSION, typeof payload === 'string' ? FORM.text : FORM.bytes, ring.id.length]);
  head.set(ring.id, HEAD);
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const secret = await crypto.subtle.encrypt(
    parameters(iv, head, associated),
    await ring.use(),
    bytes as Uint8Array<ArrayBuffer>,
  );
  return joined([head, iv, new Uint8Array(secret)]);
}

async function open(payload: Payload, ring: readonly RingKey[], associated: Uint8Array): Promise<Payload> {
  if (typeof payload === 'string') throw new TypeError('Expected bytes, got text');
  const [version, form, length = 0] = payload;
  if (version !== VERSION) throw new Error(`Its first byte is ${version}, and only ${VERSION} is known here`);
  const head = payload.slice(0, HEAD + length);
  const id = head.subarray(HEAD);
  const key = ring.find((known) => known.id.length === length && known.id.every((byte, at) => byte === id[at]));
  if (key === undefined)
    throw new Error(`It was encrypted with the key '${new TextDecoder().decode(id)}', which is not there`);
  const iv = payload.slice(head.length, head.length + NONCE);
  const secret = payload.slice(head.length + NONCE);
  const bytes = new Uint8Array(await crypto.subtle.decrypt(parameters(iv, head, associated), await key.use(), secret));
  return form === FORM.text ? new TextDecoder('utf-8', utf8).decode(bytes) : bytes;
}

/** The head is authenticated, too: a payload whose form was changed does not open. */
function parameters(
  iv: Uint8Array<ArrayBuffer>,
  head: Uint8Array,
  associated: Uint8Array,
): { name: string; iv: Uint8Array<ArrayBuffer>; additionalData: Uint8Array<ArrayBuffer> } {
  return { name: 'AES-GCM', iv, additionalData: joined([head, associated]) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
