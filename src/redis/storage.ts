import { checkNames, checkObject } from '../base/checks.js';
import { jsonCodec } from '../codecs/json.js';
import { isCodec } from '../codecs/payload.js';
import type { Codec, LeaseAnswer, MaybePromise, StorageAdapter, StorageTier, StorageWrite } from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError, UndecodableError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { commandsOf, type RedisClient, type RedisCommands, type Word } from './client.js';
import { RedisLeases } from './leases.js';
import { KeyNames, slotOf } from './names.js';
import { DELETE_AND_VOID, SET_AND_VOID, SET_IF_NEWER } from './scripts.js';
import { subscriberOf } from './subscriber.js';
import { toDeadline, toEntry, toText, toValue } from './value.js';

/** Options of {@link redisStorage}. */
export interface RedisStorageOptions extends TierOptions {
  /** A client of node-redis or ioredis, 5 or later, connected or about to be. It belongs to the caller and is not closed. */
  readonly client: RedisClient;
  /** Begins the name of everything stored. Must not contain `{.`, `{}` or lone surrogates. @default 'soloflight:' */
  readonly prefix?: string;
  /** Turns values into text or bytes. @default jsonCodec */
  readonly codec?: Codec;
  /**
   * Whether processes take leases on keys, so that only one of them loads a key. A load then costs one more command.
   * @default true
   */
  readonly lease?: boolean;
  /**
   * A second connection, in subscriber mode; a backplane's subscriber will do. It tells waiting processes at once that a
   * load is over. Without it they ask every few milliseconds. Give an ioredis client `autoResubscribe: false`: the storage
   * subscribes again by itself.
   */
  readonly subscriber?: RedisClient;
}

/**
 * A storage tier in Redis 6.2 or later, Valkey, or a cluster of either.
 *
 * A hit costs one `GET`; the reads of one turn of the event loop share an `MGET` (one per slot on a cluster). Redis drops
 * outlived entries itself, by its own clock. Keys are any strings, values up to 512 MB. Everything that belongs to one key
 * lies in one slot.
 *
 * Only `clear` searches for keys (`SCAN`, then `UNLINK`), and only for those with the prefix. It does not see entries that
 * are written meanwhile.
 *
 * @example
 * ```ts
 * import { createClient } from 'redis';
 * import { TieredCache } from 'soloflight';
 * import { redisStorage } from 'soloflight/redis';
 *
 * const client = createClient({ url: 'redis://127.0.0.1:6379', disableOfflineQueue: true }).on('error', () => {});
 * const posts = new TieredCache<string>({ ttl: '10s', storage: redisStorage({ client }), upstream: (id) => `post ${id}` });
 * console.log(await posts.get('1')); // post 1
 * await posts.close();
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 */
export function redisStorage(options: RedisStorageOptions): StorageTier {
  checkObject('options', options);
  checkNames(options, ['client', 'prefix', 'codec', 'lease', 'subscriber', ...TIER_OPTIONS]);
  const { client, prefix = 'soloflight:', codec = jsonCodec, lease = true, subscriber } = options;
  const redis = commandsOf('client', client);
  const names = new KeyNames(prefix);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  if (typeof lease !== 'boolean') throw misuse('lease', 'a boolean', lease);
  const news = subscriber === undefined ? undefined : subscriberOf('subscriber', subscriber);
  const adapter = lease
    ? new LeasingRedisStorage(redis, names, codec, new RedisLeases({ redis, names, codec, subscriber: news }))
    : new RedisStorage(redis, names, codec);
  return defineStorage(adapter, tierOptionsOf(options));
}

/** Names per `SCAN`, and so per `UNLINK`. */
const SCANNED_AT_ONCE = 1_000;

class RedisStorage implements StorageAdapter {
  readonly name = 'redis';
  protected readonly redis: RedisCommands;
  protected readonly names: KeyNames;
  protected readonly codec: Codec;
  #closed = false;

  constructor(redis: RedisCommands, names: KeyNames, codec: Codec) {
    this.redis = redis;
    this.names = names;
    this.codec = codec;
  }

  async get(key: string): Promise<Entry | undefined> {
    const name = this.names.entry(this.open(key));
    let value: unknown;
    try {
      value = await this.redis.send(name, ['GET', name]);
    } catch (error) {
      if (isWrongType(error))
        throw new UndecodableError(key, 'its key in Redis holds another type than a string', error);
      throw error;
    }
    return value === null || value === undefined ? undefined : toEntry(key, value, this.codec);
  }

  async set(key: string, entry: Entry, keepUntil: number): Promise<void> {
    await this.store(this.open(key), await toValue(key, entry, this.codec), toDeadline(keepUntil));
  }

  async setIfNewer(key: string, entry: Entry, keepUntil: number): Promise<boolean> {
    const value = await toValue(key, entry, this.codec);
    const args = [toText(entry.startedAt), value, toDeadline(keepUntil)];
    return (await SET_IF_NEWER.run(this.redis, [this.names.entry(this.open(key))], args)) === 1;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.remove([this.open(key)])) > 0;
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const names = keys.map((key) => this.names.entry(this.open(key)));
    const values: unknown[] = Array.from({ length: keys.length });
    await Promise.all(
      this.perSlot(names).map(async (indexes) => {
        const [first, ...others] = indexes.map((index) => names[index]!) as [Word, ...Word[]];
        // `MGET` answers nothing for a value that is not a string.
        const found = (await this.redis.send(first, ['MGET', first, ...others])) as unknown[];
        for (const [place, index] of indexes.entries()) values[index] = found[place];
      }),
    );
    return Promise.all(keys.map((key, index) => decodable(key, values[index], this.codec)));
  }

  async setMany(writes: readonly StorageWrite[]): Promise<void> {
    // Of two writes of one key only the last is sent: commands to a cluster may overtake each other.
    const last = new Map(writes.map((write) => [this.open(write.key), write]));
    const values = await Promise.all([...last.values()].map(({ key, entry }) => toValue(key, entry, this.codec)));
    await Promise.all(
      [...last.values()].map(({ key, keepUntil }, index) => this.store(key, values[index]!, toDeadline(keepUntil))),
    );
  }

  async deleteMany(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.remove(keys.map((key) => this.open(key)));
  }

  async clear(): Promise<void> {
    this.open('');
    await Promise.all((await this.redis.primaries()).map((send) => this.#clearNode(send)));
  }

  close(): MaybePromise<void> {
    this.#closed = true;
  }

  /** Returns `key`, or throws if the storage is closed. */
  protected open(key: string): string {
    if (!this.#closed) return key;
    throw new SoloflightError(
      'SOLOFLIGHT_STORAGE_CLOSED',
      'The Redis storage is closed. Create a new one, or close it later',
    );
  }

  protected async store(key: string, value: Uint8Array, until: string): Promise<void> {
    const name = this.names.entry(key);
    await this.redis.send(name, until === '' ? ['SET', name, value] : ['SET', name, value, 'PXAT', until]);
  }

  /** Removes entries and resolves with the number of those that were there. */
  protected async remove(keys: readonly string[]): Promise<number> {
    const names = keys.map((key) => this.names.entry(key));
    const removed = await Promise.all(
      this.perSlot(names).map((indexes) => {
        const [first, ...others] = indexes.map((index) => names[index]!) as [Word, ...Word[]];
        return this.redis.send(first, ['UNLINK', first, ...others]);
      }),
    );
    return removed.reduce<number>((sum, count) => sum + Number(count), 0);
  }

  /** The indexes of `names`, in groups that may share one command. */
  protected perSlot(names: readonly Word[]): readonly (readonly number[])[] {
    if (!this.redis.isCluster) return names.length === 0 ? [] : [[...names.keys()]];
    const groups = new Map<number, number[]>();
    for (const [index, name] of names.entries()) {
      const slot = slotOf(name);
      const group = groups.get(slot);
      if (group === undefined) groups.set(slot, [index]);
      else group.push(index);
    }
    return [...groups.values()];
  }

  async #clearNode(send: (command: readonly Word[]) => Promise<unknown>): Promise<void> {
    let cursor = '0';
    do {
      const scan = ['SCAN', cursor, 'MATCH', this.names.pattern, 'COUNT', String(SCANNED_AT_ONCE)];
      const [next, found] = (await send(scan)) as [Word, Word[]];
      cursor = typeof next === 'string' ? next : new TextDecoder().decode(next);
      const groups = this.perSlot(found).map((indexes) => indexes.map((index) => found[index]!));
      await Promise.all(groups.map((names) => send(['UNLINK', ...names])));
    } while (cursor !== '0');
  }
}

/** The same with leases. Setting or deleting a key ends its lease. */
class LeasingRedisStorage extends RedisStorage {
  readonly #leases: RedisLeases;

  constructor(redis: RedisCommands, names: KeyNames, codec: Codec, leases: RedisLeases) {
    super(redis, names, codec);
    this.#leases = leases;
  }

  lease(key: string, ms: number, newerThan: number): Promise<LeaseAnswer> {
    return this.#leases.ask(this.open(key), ms, newerThan);
  }

  onLeaseEnd(key: string, wake: () => void): () => void {
    return this.#leases.onEnd(key, wake);
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#leases.close();
  }

  protected override async store(key: string, value: Uint8Array, until: string): Promise<void> {
    const keys = [this.names.entry(key), this.names.lease(key)] as const;
    await SET_AND_VOID.run(this.redis, keys, [value, until, ...this.#leases.news(key)]);
  }

  protected override async remove(keys: readonly string[]): Promise<number> {
    const removed = await Promise.all(
      keys.map((key) => {
        const names = [this.names.entry(key), this.names.lease(key)] as const;
        return DELETE_AND_VOID.run(this.redis, names, this.#leases.news(key));
      }),
    );
    return removed.reduce<number>((sum, count) => sum + Number(count), 0);
  }
}

async function decodable(key: string, value: unknown, codec: Codec): Promise<Entry | undefined> {
  if (value === null || value === undefined) return undefined;
  try {
    return await toEntry(key, value, codec);
  } catch (error) {
    if (isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) return undefined;
    throw error;
  }
}

function isWrongType(error: unknown): boolean {
  return String((error as Error | undefined)?.message).startsWith('WRONGTYPE');
}
