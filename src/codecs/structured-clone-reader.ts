import { BYTE_ORDER, ERRORS, TAG, VERSION, VIEWS } from './structured-clone-format.js';

/** Shorter texts are read byte by byte, which costs less than calling the decoder. */
const SHORT = 24;

/** Reads one value. Throws for anything that {@link CloneWriter} does not write. */
export class CloneReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;
  readonly #objects: object[] = [];
  readonly #names: string[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): unknown {
    const first = this.#byte();
    if (first !== VERSION + BYTE_ORDER)
      throw new Error(`Its first byte is ${first}, and only ${VERSION + BYTE_ORDER} is known here`);
    const value = this.#value(this.#byte());
    if (this.#at !== this.#bytes.length) throw new Error('Something follows the value');
    return value;
  }

  #value(tag: number): unknown {
    switch (tag) {
      case TAG.undefined:
        return undefined;
      case TAG.null:
        return null;
      case TAG.false:
        return false;
      case TAG.true:
        return true;
      case TAG.integer:
        return this.#integer();
      case TAG.double:
        return this.#double();
      case TAG.bigint:
        return this.#bigint();
      case TAG.text:
        return this.#text();
      case TAG.reference:
        return this.#reference();
      default:
        return this.#object(tag);
    }
  }

  #object(tag: number): object {
    switch (tag) {
      case TAG.object:
        return this.#properties(this.#known({}));
      case TAG.array:
        return this.#array();
      case TAG.sparse:
        return this.#sparse();
      case TAG.date:
        return this.#known(new Date(this.#double()));
      case TAG.regexp:
        return this.#known(new RegExp(this.#text(), this.#text()));
      case TAG.map:
        return this.#map();
      case TAG.set:
        return this.#set();
      case TAG.error:
        return this.#error();
      case TAG.buffer:
        return this.#known(this.#buffer());
      case TAG.view:
        return this.#bufferView();
      case TAG.boxed:
        return this.#boxed();
      default:
        throw new Error(`The tag ${tag} is not known here`);
    }
  }

  /** Registers `object`. Called before its content is read, which may refer to it. */
  #known<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }

  #reference(): object {
    const object = this.#objects[this.#count()];
    if (object === undefined) throw new Error('It refers to something that does not come before');
    return object;
  }

  #array(): unknown[] {
    const array: unknown[] = this.#known([]);
    for (let left = this.#count(); left > 0; left -= 1) array.push(this.#value(this.#byte()));
    return array;
  }

  #sparse(): unknown[] {
    const array: unknown[] = this.#known([]);
    array.length = this.#count();
    return this.#properties(array);
  }

  #properties<T extends object>(object: T): T {
    for (let left = this.#count(); left > 0; left -= 1) {
      const name = this.#name();
      const value = this.#value(this.#byte());
      if (name === '__proto__') define(object, name, value, true);
      else (object as Record<string, unknown>)[name] = value;
    }
    return object;
  }

  #name(): string {
    const place = this.#count();
    if (place === 0) {
      const name = this.#text();
      this.#names.push(name);
      return name;
    }
    const name = this.#names[place - 1];
    if (name === undefined) throw new Error('It refers to a name that does not come before');
    return name;
  }

  #map(): Map<unknown, unknown> {
    const map = this.#known(new Map<unknown, unknown>());
    for (let tag = this.#byte(); tag !== TAG.end; tag = this.#byte()) {
      const key = this.#value(tag);
      map.set(key, this.#value(this.#byte()));
    }
    return map;
  }

  #set(): Set<unknown> {
    const set = this.#known(new Set<unknown>());
    for (let tag = this.#byte(); tag !== TAG.end; tag = this.#byte()) set.add(this.#value(tag));
    return set;
  }

  #error(): Error {
    const Kind = ERRORS[this.#byte()];
    if (Kind === undefined) throw new Error('It holds an error of a kind that is not known here');
    const message = this.#value(this.#byte()) as string | undefined;
    const error = this.#known(message === undefined ? new Kind() : new Kind(message));
    define(error, 'stack', this.#value(this.#byte()), false);
    if (this.#value(this.#byte()) === true) define(error, 'cause', this.#value(this.#byte()), false);
    return error;
  }

  #buffer(): ArrayBuffer {
    return this.#raw(this.#count()).slice().buffer;
  }

  #bufferView(): ArrayBufferView {
    const name = VIEWS[this.#byte()] ?? '';
    const Kind = (globalThis as unknown as Record<string, unknown>)[name];
    if (typeof Kind !== 'function') throw new Error(`A view of the kind '${name}' is not known here`);
    return this.#known(new (Kind as new (buffer: ArrayBuffer) => ArrayBufferView)(this.#buffer()));
  }

  #boxed(): object {
    const primitive = this.#value(this.#byte());
    if (typeof primitive === 'object' || primitive === undefined) throw new Error('It holds an object in a box');
    return this.#known(Object(primitive) as object);
  }

  #bigint(): bigint {
    const text = this.#text();
    return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`);
  }

  #text(): string {
    const count = this.#count();
    const bytes = this.#raw(Math.floor(count / 2));
    if (count % 2 === 1) return fromUnits(bytes);
    return (bytes.length < SHORT ? fromAscii(bytes) : undefined) ?? this.#utf8.decode(bytes);
  }

  #integer(): number {
    const count = this.#count();
    return count % 2 === 0 ? count / 2 : -(count + 1) / 2;
  }

  #double(): number {
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  #count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte();
      value += (byte % 128) * scale;
      if (!Number.isSafeInteger(value)) throw new Error('It holds a count that is too large');
      if (byte < 128) return value;
    }
  }

  #raw(count: number): Uint8Array {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new Error('It ends too early');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Error('It ends too early');
    this.#at += 1;
    return byte;
  }
}

/** An assignment could run a setter instead. */
function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, enumerable, writable: true, configurable: true });
}

function fromAscii(bytes: Uint8Array): string | undefined {
  let text = '';
  for (const byte of bytes) {
    if (byte > 127) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

function fromUnits(bytes: Uint8Array): string {
  if (bytes.length % 2 === 1) throw new Error('It holds half a character');
  let text = '';
  for (let at = 0; at < bytes.length; at += 2)
    text += String.fromCharCode((bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0));
  return text;
}
