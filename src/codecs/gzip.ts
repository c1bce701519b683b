import { checkNames, checkObject } from '../base/checks.js';
import { ignore } from '../base/promises.js';
import type { Codec } from '../contracts.js';
import { misuse } from '../errors.js';
import { chain } from './chain.js';
import { isCodec, isWellFormed, type Payload } from './payload.js';

/** Options of {@link gzip}. */
export interface GzipOptions {
  /** Payloads of more bytes than this are compressed, an integer ≥ 0. @default 1_024 */
  readonly above?: number;
  /** The most bytes of a payload before compression, an integer ≥ 1 or `Infinity`. @default 67_108_864 (64 MiB) */
  readonly maxSize?: number;
}

/** The first byte of a binary payload. Text has no mark: it is always what the other codec made. */
const MARK = { bytes: 0, gzippedBytes: 1, gzippedText: 2 } as const;

const DEFAULTS = Object.freeze({ above: 1_024, maxSize: 64 * 1_024 * 1_024 });

/** The longest UTF-8 form of one unit of a string. */
const BYTES_PER_UNIT = 3;

/**
 * A codec that compresses the large payloads of `codec`.
 *
 * Small payloads, and those that would not shrink, stay as they are, except that bytes get one byte before them.
 * Compression takes `CompressionStream`, so only large values make reads and writes asynchronous.
 *
 * Payloads above `maxSize` are neither written nor read: a small compressed payload may expand beyond memory.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function gzip(codec: Codec, options: GzipOptions = {}): Codec {
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  checkObject('options', options);
  checkNames(options, ['above', 'maxSize']);
  const { above = DEFAULTS.above, maxSize = DEFAULTS.maxSize } = options;
  if (above !== Infinity && !(Number.isSafeInteger(above) && above >= 0))
    throw misuse('above', 'an integer ≥ 0 or Infinity', above);
  if (maxSize !== Infinity && !(Number.isSafeInteger(maxSize) && maxSize >= 1))
    throw misuse('maxSize', 'an integer ≥ 1 or Infinity', maxSize);

  return {
    name: `gzip(${codec.name})`,
    encode: (value) =>
      chain(codec.encode(value), (payload) => {
        if (typeof payload !== 'string') return packBytes(payload, above, maxSize);
        return payload.length * BYTES_PER_UNIT <= Math.min(above, maxSize)
          ? payload
          : packText(payload, above, maxSize);
      }),
    decode: (payload) =>
      typeof payload === 'string'
        ? codec.decode(payload)
        : chain(unpack(payload, maxSize), (inner) => codec.decode(inner)),
  };
}

function packText(text: string, above: number, maxSize: number): Payload | Promise<Payload> {
  // UTF-8 would replace a lone surrogate by U+FFFD.
  if (!isWellFormed(text)) throw misuse('payload', 'text without lone surrogates, or a Uint8Array', text);
  const bytes = new TextEncoder().encode(text);
  checkSize(bytes.length, maxSize);
  return bytes.length <= above ? text : compress(bytes, MARK.gzippedText, text);
}

function packBytes(bytes: Uint8Array, above: number, maxSize: number): Payload | Promise<Payload> {
  checkSize(bytes.length, maxSize);
  const plain = marked(MARK.bytes, [bytes], bytes.length);
  return bytes.length <= above ? plain : compress(bytes, MARK.gzippedBytes, plain);
}

/** `bytes` compressed, or `plain` if that is not smaller. */
async function compress(bytes: Uint8Array, mark: number, plain: Payload): Promise<Payload> {
  const { chunks, size } = await pass(bytes, new CompressionStream('gzip'), Infinity);
  return size < bytes.length ? marked(mark, chunks, size) : plain;
}

function unpack(payload: Uint8Array, maxSize: number): Payload | Promise<Payload> {
  const rest = payload.subarray(1);
  const [mark = -1] = payload;
  switch (mark) {
    case MARK.bytes:
      checkSize(rest.length, maxSize);
      return rest;
    case MARK.gzippedBytes:
      return decompress(rest, maxSize);
    case MARK.gzippedText:
      return decompress(rest, maxSize).then((bytes) =>
        new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
      );
    default:
      throw new Error(`Its first byte is ${mark}, which is not known here`);
  }
}

async function decompress(bytes: Uint8Array, maxSize: number): Promise<Uint8Array> {
  const { chunks, size } = await pass(bytes, new DecompressionStream('gzip'), maxSize).catch((cause: unknown) => {
    if (cause instanceof RangeError) throw cause;
    // The platform's own message may be empty.
    throw new Error('It is not a whole gzip stream', { cause });
  });
  return joined(chunks, size, 0);
}

interface Passed {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
}

/** Passes `bytes` through `stream`, which may give at most `maxSize` bytes. */
async function pass(
  bytes: Uint8Array,
  stream: CompressionStream | DecompressionStream,
  maxSize: number,
): Promise<Passed> {
  const writer = stream.writable.getWriter();
  // Both reject with the reader's error, or because the reader gave up.
  writer.write(bytes as Uint8Array<ArrayBuffer>).catch(ignore);
  writer.close().catch(ignore);

  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { chunks, size };
    size += value.length;
    if (size > maxSize) {
      reader.cancel().catch(ignore);
      checkSize(size, maxSize);
    }
    chunks.push(value);
  }
}

function checkSize(size: number, maxSize: number): void {
  if (size > maxSize)
    throw new RangeError(
      `The payload has at least ${size} bytes, and \`maxSize\` of gzip is ${maxSize}. Raise it if values may be that large`,
    );
}

function marked(mark: number, chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = joined(chunks, size, 1);
  bytes[0] = mark;
  return bytes;
}

/** `chunks` joined behind `start` zero bytes. */
function joined(chunks: readonly Uint8Array[], size: number, start: number): Uint8Array {
  const bytes = new Uint8Array(start + size);
  let at = start;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
