import type { Codec, Lease, LeaseAnswer } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError } from '../errors.js';
import { textOf, type RedisCommands, type Word } from './client.js';
import type { KeyNames } from './names.js';
import { RandomId } from './random-id.js';
import { LEASE, RELEASE, RENEW, STORE_LEASED } from './scripts.js';
import type { RedisSubscriber } from './subscriber.js';
import { toDeadline, toEntry, toText, toValue } from './value.js';

/** Options of {@link RedisLeases}. */
export interface RedisLeasesOptions {
  readonly redis: RedisCommands;
  readonly names: KeyNames;
  readonly codec: Codec;
  readonly subscriber: RedisSubscriber | undefined;
}

/** How long all who ask are told that a load has ended without an entry: longer than the pause between two questions, milliseconds. */
const OPEN_FOR = 500;

/** The leases of one storage, and the callers that wait for the end of other storages' leases. */
export class RedisLeases {
  readonly #options: RedisLeasesOptions;
  readonly #id = new RandomId();
  /** By name as text. Names with the same text wake each other for nothing, which does no harm. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #unsubscribe: Promise<() => Promise<void>> | undefined;

  constructor(options: RedisLeasesOptions) {
    this.#options = options;
  }

  async ask(key: string, ms: number, newerThan: number): Promise<LeaseAnswer> {
    const { redis, names, codec } = this.#options;
    const reply = await LEASE.run(
      redis,
      [names.entry(key), names.lease(key)],
      [this.#id.text, String(Math.max(1, Math.ceil(ms))), toText(newerThan)],
    );
    const [kind, rest] = reply as [Word, Word?];
    const said = textOf(kind);
    if (said === 'lease') return { kind: 'lease', lease: new RedisLease(this.#options, key, textOf(rest!)) };
    if (said === 'open') return { kind: 'open' };
    if (said !== 'entry') return { kind: 'held' };
    try {
      return { kind: 'entry', entry: await toEntry(key, rest, codec) };
    } catch (error) {
      // Written by another version of the program. To this one, there is no entry.
      if (!isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
      return this.ask(key, ms, Infinity);
    }
  }

  onEnd(key: string, wake: () => void): () => void {
    const { subscriber, names } = this.#options;
    if (subscriber === undefined) return () => {};
    // The first caller may miss a message while the subscription is under way; it asks again soon anyway.
    this.#unsubscribe ??= subscriber
      .subscribe(names.channel, (name) => this.#wake(name))
      .catch((error: unknown) => {
        this.#unsubscribe = undefined;
        throw error;
      });
    this.#unsubscribe.catch(() => {});

    const name = textOf(names.entry(key));
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting.add(wake));
    return () => {
      waiting.delete(wake);
      if (waiting.size === 0 && this.#waiting.get(name) === waiting) this.#waiting.delete(name);
    };
  }

  async close(): Promise<void> {
    const unsubscribe = await this.#unsubscribe?.catch(() => undefined);
    await unsubscribe?.().catch(() => {});
  }

  #wake(name: string): void {
    for (const wake of [...(this.#waiting.get(name) ?? [])]) wake();
  }
}

class RedisLease implements Lease {
  readonly token: string;
  readonly #options: RedisLeasesOptions;
  readonly #key: string;

  constructor(options: RedisLeasesOptions, key: string, token: string) {
    this.#options = options;
    this.#key = key;
    this.token = token;
  }

  async renew(ms: number): Promise<boolean> {
    const { redis, names } = this.#options;
    const args = [this.token, String(Math.max(1, Math.ceil(ms)))];
    return (await RENEW.run(redis, [names.lease(this.#key)], args)) === 1;
  }

  async store(entry: Entry, keepUntil: number): Promise<boolean> {
    const { redis, names, codec } = this.#options;
    const value = await toValue(this.#key, entry, codec);
    const args = [this.token, toText(entry.startedAt), value, toDeadline(keepUntil), ...names.news(this.#key)];
    return (await STORE_LEASED.run(redis, [names.entry(this.#key), names.lease(this.#key)], args)) === 1;
  }

  async release(open = false): Promise<void> {
    const { redis, names } = this.#options;
    const told = open ? String(OPEN_FOR) : '';
    await RELEASE.run(redis, [names.lease(this.#key)], [this.token, ...names.news(this.#key), told]);
  }
}
