import { checkNames } from '../base/checks.js';
import type { Clock } from '../contracts.js';
import { isSoloflightError, misuse } from '../errors.js';
import { byteLength } from './json-face.js';
import { clientOf, includesKey, type Client } from './object-client.js';
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
  get(key: string): Promise<V>;
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

/** Copying and storing a value takes a call for each level, and the stack ends at some thousands. */
const DEEPEST = 500;

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

  /** The sender of `request`. @throws {@link Refusal} */
  async authorize(request: Request): Promise<Client> {
    const { authorize } = this.settings;
    if (authorize === undefined)
      throw new Refusal(
        403,
        'NOT_AUTHORIZED',
        'Nobody may write here or connect: set `authorize` in the `writes` that `configure` of this object returns',
      );
    const client = await this.#checked(async () => clientOf(await authorize(request)));
    if (client === undefined) throw new Refusal(403, 'NOT_AUTHORIZED', 'You may not write here or connect');
    return client;
  }

  /** Lets `write` of `client` pass. @throws {@link Refusal} */
  async permit({ type, key, ...write }: AskedWrite, { name, keys, readOnly }: Client): Promise<void> {
    const { authorizeWrite } = this.settings;
    let isAllowed = !readOnly && (keys === undefined || includesKey(keys, key));
    if (isAllowed && authorizeWrite !== undefined) {
      const value = 'change' in write ? write.change : 'value' in write ? write.value : undefined;
      const answer: unknown = await this.#checked(async () => authorizeWrite({ type, key, value, client: name }));
      // Not all that is truthy: an object, or a text such as 'no', is no permission.
      isAllowed = answer === true;
    }
    if (!isAllowed) throw new Refusal(403, 'NOT_AUTHORIZED', 'You may not make this write');
  }

  /** The result of `check`. Its failure is for `onError`, not for strangers. @throws {@link Refusal} */
  async #checked<T>(check: () => Promise<T>): Promise<T> {
    try {
      return await check();
    } catch (error) {
      this.settings.onError(error);
      throw new Refusal(503, 'NOT_AUTHORIZED', 'Your authorization could not be checked. Try again in a moment');
    }
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
    if (isTooDeep(text)) throw new Refusal(400, 'BAD_JSON', `Expected JSON of at most ${DEEPEST} levels`);
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

  /** The current value of `key`, as the JSON face would answer it. */
  read(key: string): Promise<V> {
    return this.#object.get(key);
  }

  /** Makes the permitted `write` of `client`. Resolves with the new value of an update. @throws {@link Refusal}, or the object's failure. */
  async write(write: AskedWrite, client: string): Promise<V | undefined> {
    if (write.type === 'delete') await this.#object.delete(write.key);
    else if (write.type === 'set') await this.#object.set(write.key, this.#parsed(write.key, write.value, client));
    else return this.#update(write.key, write.change, client);
    return undefined;
  }

  #update(key: string, change: unknown, client: string): Promise<V> {
    const { apply } = this.settings;
    if (apply === undefined) throw new Refusal(405, 'NO_UPDATES', 'Only whole values are taken here, no changes');
    return this.#object.update(key, (current) => {
      try {
        return apply(current, change, key, client);
      } catch (error) {
        if (isSoloflightError(error, 'SOLOFLIGHT_WRITE_CONFLICT')) throw error;
        throw new Refusal(422, 'BAD_VALUE', "This change can't be made under this key");
      }
    });
  }

  #parsed(key: string, value: unknown, client: string): V {
    const { parse } = this.settings;
    if (parse === undefined) return value as V;
    let parsed: V;
    try {
      parsed = parse(value, key, client);
    } catch {
      throw new Refusal(422, 'BAD_VALUE', "This value can't be stored under this key");
    }
    // `undefined` would be a delete, which nobody asked for.
    if (parsed === undefined) throw misuse('result of writes.parse', 'a value', parsed);
    return parsed;
  }
}

/** Whether the brackets of `text`, without those in strings, are nested too deep. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') isQuoted = !isQuoted;
    else if (isQuoted) at += char === '\\' ? 1 : 0;
    else if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
}
