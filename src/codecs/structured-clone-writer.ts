import { isWellFormed } from './payload.js';
import { BYTE_ORDER, ERRORS, TAG, VERSION, VIEWS } from './structured-clone-format.js';

const FIRST_SIZE = 256;

/** Shorter texts are written unit by unit, which costs less than calling the encoder. Must stay below 64: their length takes one byte. */
const SHORT = 48;

const FURTHEST_INTEGER = 2 ** 31;

/** Writes one value. */
export class CloneWriter {
  #bytes = new Uint8Array(FIRST_SIZE);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #objects = new Map<object, number>();
  readonly #names = new Map<string, number>();

  write(value: unknown): Uint8Array {
    this.#byte(VERSION + BYTE_ORDER);
    this.#value(value);
    return this.#bytes.slice(0, this.#at);
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'undefined':
        return this.#byte(TAG.undefined);
      case 'boolean':
        return this.#byte(value ? TAG.true : TAG.false);
      case 'number':
        return this.#number(value);
      case 'bigint':
        this.#byte(TAG.bigint);
        return this.#text(value.toString(16));
      case 'string':
        this.#byte(TAG.text);
        return this.#text(value);
      case 'object':
        return value === null ? this.#byte(TAG.null) : this.#reference(value);
      case 'function':
      case 'symbol':
        throw refusal(`a ${typeof value}`);
    }
  }

  #number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < FURTHEST_INTEGER && !Object.is(value, -0)) {
      this.#byte(TAG.integer);
      return this.#count(value < 0 ? -2 * value - 1 : 2 * value);
    }
    this.#byte(TAG.double);
    this.#double(value);
  }

  #reference(value: object): void {
    const place = this.#objects.get(value);
    if (place === undefined) {
      this.#objects.set(value, this.#objects.size);
      return this.#object(value);
    }
    this.#byte(TAG.reference);
    this.#count(place);
  }

  #object(value: object): void {
    if (Array.isArray(value)) return this.#array(value);
    if (Object.getPrototypeOf(value) === Object.prototype)
      return this.#properties(TAG.object, value, Object.keys(value));
    // Not by `instanceof`: objects may come from another realm.
    const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
    // Methods are called on the built-in prototype: they throw for an object that only claims to be of its type.
    switch (kind) {
      case 'Object':
      case 'Arguments':
        return this.#properties(TAG.object, value, Object.keys(value));
      case 'Date':
        this.#byte(TAG.date);
        return this.#double(Date.prototype.getTime.call(value));
      case 'Map':
        this.#byte(TAG.map);
        Map.prototype.forEach.call(value, (item, key) => {
          this.#value(key);
          this.#value(item);
        });
        return this.#byte(TAG.end);
      case 'Set':
        this.#byte(TAG.set);
        Set.prototype.forEach.call(value, (item) => this.#value(item));
        return this.#byte(TAG.end);
      case 'RegExp':
        this.#byte(TAG.regexp);
        this.#text((value as RegExp).source);
        return this.#text((value as RegExp).flags);
      case 'Error':
        return this.#error(value as Error);
      case 'ArrayBuffer':
        this.#byte(TAG.buffer);
        return this.#raw(new Uint8Array(value as ArrayBuffer));
      case 'Boolean':
        return this.#boxed(Boolean.prototype.valueOf.call(value));
      case 'Number':
        return this.#boxed(Number.prototype.valueOf.call(value));
      case 'String':
        return this.#boxed(String.prototype.valueOf.call(value));
      case 'BigInt':
        return this.#boxed(BigInt.prototype.valueOf.call(value));
      default:
        if (!ArrayBuffer.isView(value)) throw refusal(`an object of type ${kind}`);
        return this.#bufferView(kind, value);
    }
  }

  #array(value: readonly unknown[]): void {
    const { length } = value;
    const keys = Object.keys(value);
    // Indices come first and in order. If the last index is the last key, there are neither holes nor other properties.
    const dense = keys.length === length && (length === 0 || keys[length - 1] === String(length - 1));
    this.#byte(dense ? TAG.array : TAG.sparse);
    this.#count(length);
    if (!dense) return this.#propertiesOf(value, keys);
    for (let index = 0; index < length; index += 1) this.#value(value[index]);
  }

  #properties(tag: number, value: object, keys: readonly string[]): void {
    this.#byte(tag);
    this.#propertiesOf(value, keys);
  }

  #propertiesOf(value: object, keys: readonly string[]): void {
    this.#count(keys.length);
    for (const key of keys) {
      this.#name(key);
      this.#value((value as Readonly<Record<string, unknown>>)[key]);
    }
  }

  /** Writes each name once and its number after that: names repeat from object to object. */
  #name(name: string): void {
    const place = this.#names.get(name);
    if (place !== undefined) return this.#count(place);
    this.#names.set(name, this.#names.size + 1);
    this.#count(0);
    this.#text(name);
  }

  #error(error: Error): void {
    const message = Object.getOwnPropertyDescriptor(error, 'message')?.value as unknown;
    const { stack } = error;
    this.#byte(TAG.error);
    this.#byte(
      Math.max(
        0,
        ERRORS.findIndex(({ name }) => name === error.name),
      ),
    );
    this.#value(typeof message === 'string' ? message : undefined);
    this.#value(typeof stack === 'string' ? stack : undefined);
    const hasCause = Object.hasOwn(error, 'cause');
    this.#value(hasCause);
    if (hasCause) this.#value(error.cause);
  }

  /** Writes only the bytes that the view shows: the rest of the buffer, such as Node's pool, may hold secrets. */
  #bufferView(kind: string, view: ArrayBufferView): void {
    const number = VIEWS.indexOf(kind);
    if (number < 0) throw refusal(`an object of type ${kind}`);
    this.#byte(TAG.view);
    this.#byte(number);
    this.#raw(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }

  #boxed(primitive: unknown): void {
    this.#byte(TAG.boxed);
    this.#value(primitive);
  }

  /** Twice the number of bytes, plus one if they are UTF-16 units, then the bytes. */
  #text(text: string): void {
    if (text.length < SHORT && this.#ascii(text)) return;
    if (isWellFormed(text)) {
      const utf8 = new TextEncoder().encode(text);
      this.#count(2 * utf8.length);
      return this.#copy(utf8);
    }
    this.#count(4 * text.length + 1);
    this.#reserve(2 * text.length);
    for (let index = 0; index < text.length; index += 1, this.#at += 2)
      this.#view.setUint16(this.#at, text.charCodeAt(index), true);
  }

  #ascii(text: string): boolean {
    const { length } = text;
    this.#reserve(length + 1);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at] = 2 * length;
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index);
      if (unit > 127) return false;
      bytes[(at += 1)] = unit;
    }
    this.#at = at + 1;
    return true;
  }

  #raw(bytes: Uint8Array): void {
    this.#count(bytes.length);
    this.#copy(bytes);
  }

  #copy(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A non-negative integer, seven bits per byte, lowest first. */
  #count(value: number): void {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#byte(128 + (rest % 128));
    this.#byte(rest);
  }

  #double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

function refusal(what: string): TypeError {
  return new TypeError(
    `A value that holds ${what} can't be stored. Return plain data from the upstream, or use another codec`,
  );
}
