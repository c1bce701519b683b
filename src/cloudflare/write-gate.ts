import { checkNames } from '../base/checks.js';
import type { Clock } from '../contracts.js';
import { isSoloflightError, misuse } from '../errors.js';
import { byteLength } from './json-face.js';
import { LONGEST_KEY } from './question.js';
import { Refusal } from './refusal.js';
import type { FaceSettings } from './write-options.js';

/** A write requested by a stranger. */
export type AskedWrite =
  | { readonly type: 'set'; readonly key: string; readonly value: unknown }
  | { readonly type: 'update'; readonly key: string; readonly change: unknown }
  | { readonly type: 'delete'; readonly key: string };

/** The part of an object that takes strangers' writes. Resolves when the write is accepted. */
export interface Writable<V> {
  set(key: string, value: V): Promise<void>;
  update(key: string, change: (current: V | undefined) => V): Promise<V>;
  delete(key: string): Promise<void>;
}

/** The rest of a client's allowance. Below 0 for one that does not stop. */
export interface Allowance {
  readonly left: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The most clients whose allowances are remembered. Beyond that, those quiet for longest start anew. */
const MOST_CLIENTS = 1_000;

/** An attachment of a WebSocket takes no more than some kilobytes. */
const LONGEST_NAME = 1_024;

const FIELDS = { set: ['key', 'value'], update: ['key', 'change'], delete: ['key'] } as const;

/** Decides which writes of strangers get through: by sender, rate and form. */
export class WriteGate<V> {
  readonly settings: FaceSettings<V>;
  readonly #clock: Clock;
  readonly #object: Writable<V>;
  readonly #allowances = new Map<string, Allowance>();

  constructor(settings: FaceSettings<V>, clock: Clock, object: Writable<V>) {
    this.settings = settings;
    this.#clock = clock;
    this.#object = object;
  }

  /** The name of the sender of `request`, or `''` if it has none. @throws {@link Refusal} */
  async authorize(request: Request): Promise<string> {
    const { authorize, onError } = this.settings;
    if (authorize === undefined)
      throw new Refusal(
        403,
        'NOT_AUTHORIZED',
        'Nobody may write here or connect: set `authorize` in the `writes` that `configure` of this object returns',
      );
    let answer: unknown;
    try {
      answer = await authorize(request);
      if (typeof answer === 'string' && answer.length > LONGEST_NAME)
        throw misuse('result of authorize', `true, false or a name of at most ${LONGEST_NAME} characters`, answer);
    } catch (error) {
      onError(error);
      throw new Refusal(503, 'NOT_AUTHORIZED', 'Your authorization could not be checked. Try again in a moment');
    }
    if (answer === true) return '';
    if (typeof answer === 'string' && answer !== '') return answer;
    throw new Refusal(403, 'NOT_AUTHORIZED', 'You may not write here or connect');
  }

  /** A full allowance. */
  get allowance(): Allowance {
    return { left: this.settings.rate.messages, at: this.#clock.now() };
  }

  /** The allowance after one more message. */
  spend({ left, at }: Allowance): Allowance {
    const { messages, per } = this.settings.rate;
    if (messages === Infinity) return { left, at };
    const now = this.#clock.now();
    const refilled = Math.min(messages, left + (Math.max(0, now - at) * messages) / per);
    return { left: Math.max(-messages, refilled - 1), at: now };
  }

  /** Counts a message of `client`. @throws {@link Refusal} if it is one too many. */
  admit(client: string): void {
    const allowance = this.spend(this.#allowances.get(client) ?? this.allowance);
    this.#allowances.delete(client);
    this.#allowances.set(client, allowance);
    if (this.#allowances.size > MOST_CLIENTS) this.#allowances.delete(this.#allowances.keys().next().value as string);
    if (allowance.left < 0) throw this.tooMany();
  }

  tooMany(): Refusal {
    const { messages, per } = this.settings.rate;
    return new Refusal(429, 'TOO_MANY_MESSAGES', `More than ${messages} messages in ${per} ms. Slow down`, {
      'retry-after': String(Math.max(1, Math.ceil(per / messages / 1_000))),
    });
  }

  /** @throws {@link Refusal} if `size` bytes are too many. */
  checkSize(size: number): void {
    const { maxMessageSize } = this.settings;
    if (size > maxMessageSize)
      throw new Refusal(413, 'MESSAGE_TOO_LARGE', `A message takes at most ${maxMessageSize} bytes`);
  }

  /** `text` parsed as JSON. @throws {@link Refusal} */
  parseJson(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw new Refusal(400, 'BAD_JSON', 'Expected JSON');
    }
  }

  /** `message` as a write. @throws {@link Refusal} */
  toWrite(message: Readonly<Record<string, unknown>>): AskedWrite {
    const { type, id: _id, ...fields } = message;
    if (type !== 'set' && type !== 'update' && type !== 'delete')
      throw new Refusal(400, 'BAD_MESSAGE', "Expected `type` to be 'set', 'update' or 'delete'");
    const names = FIELDS[type];
    const missing = names.filter((name) => !Object.hasOwn(fields, name));
    if (missing.length > 0) throw new Refusal(400, 'BAD_MESSAGE', `Expected \`${missing.join('` and `')}\``);
    try {
      checkNames(fields, names);
    } catch {
      throw new Refusal(400, 'BAD_MESSAGE', `Expected nothing beside type, id, ${names.join(' and ')}`);
    }
    const { key } = fields;
    if (typeof key !== 'string' || byteLength(key) > LONGEST_KEY)
      throw new Refusal(400, 'BAD_KEY', `Expected \`key\` to be a string of at most ${LONGEST_KEY} bytes`);
    return message as unknown as AskedWrite;
  }

  /** Makes `write`, and resolves with the new value of an update. @throws {@link Refusal}, or the object's failure. */
  async write(write: AskedWrite): Promise<V | undefined> {
    if (write.type === 'delete') await this.#object.delete(write.key);
    else if (write.type === 'set') await this.#object.set(write.key, this.#parsed(write.key, write.value));
    else return this.#update(write.key, write.change);
    return undefined;
  }

  #update(key: string, change: unknown): Promise<V> {
    const { apply } = this.settings;
    if (apply === undefined) throw new Refusal(405, 'NO_UPDATES', 'Only whole values are taken here, no changes');
    return this.#object.update(key, (current) => {
      try {
        return apply(current, change, key);
      } catch (error) {
        if (isSoloflightError(error, 'SOLOFLIGHT_WRITE_CONFLICT')) throw error;
        throw new Refusal(422, 'BAD_VALUE', "This change can't be made under this key");
      }
    });
  }

  #parsed(key: string, value: unknown): V {
    const { parse } = this.settings;
    if (parse === undefined) return value as V;
    let parsed: V;
    try {
      parsed = parse(value, key);
    } catch {
      throw new Refusal(422, 'BAD_VALUE', "This value can't be stored under this key");
    }
    // `undefined` would be a delete, which nobody asked for.
    if (parsed === undefined) throw misuse('result of writes.parse', 'a value', parsed);
    return parsed;
  }
}
