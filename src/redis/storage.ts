import { checkNames, checkObject } from '../base/checks.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type {
  Codec,
  KeyPage,
  KeyRange,
  LeaseAnswer,
  MaybePromise,
  StorageAdapter,
  StorageTier,
  StorageWrite,
  VersionAnswer,
} from '../contracts.js';
import type { Entry } from '../entry.js';
import { isSoloflightError, misuse, SoloflightError, UndecodableError } from '../errors.js';
import { defineStorage, TIER_OPTIONS, tierOptionsOf, type TierOptions } from '../tiers/define-storage.js';
import { commandsOf, textOf, type RedisClient, type RedisCommands, type Send, type Word } from './client.js';
import { RedisLeases } from './leases.js';
import { KeyNames, namesBeside } from './names.js';
import { bySlot, inPieces } from './pieces.js';
import { RandomId } from './random-id.js';
import { DELETE_AND_VOID, SET_AND_VOID, SET_IF_NEWER, SET_IF_VERSION, VERSION } from './scripts.js';
import { watchOf } from './server-watch.js';
import { subscriberOf } from './subscriber.js';
import { toDeadline, toEntry, toText, toValue } from './value.js';

/** Options of {@link redisStorage}. */
export interface RedisStorageOptions extends TierOptions {
  /** A client of node-redis 5.11 or later or of ioredis 5 or later, connected or about to be. It belongs to the caller and is not closed. */
  readonly client: RedisClient;
  /** Begins the name of everything stored. Must not contain `{.`, `{}` or lone surrogates. @default 'soloflight:' */
  readonly prefix?: string;
  /** Turns values into text or bytes. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
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
 * - A hit, and a miss, cost one `GET`; the reads of one turn of the event loop share an `MGET` (one per 1,000 keys, and one
 *   per slot on a cluster).
 * - A load costs one command for its version, one for its lease, and one that stores what it brought.
 * - `set` and `delete` cost one command. Many keys go in pieces of 1,000: one command per key to write them, one `UNLINK` per
 *   piece (per slot on a cluster) to remove them.
 *
 * A key has up to three names: `prefix{.key}` holds the entry, `prefix{.key}lease` the lease of the process that loads it,
 * and `prefix{.key}claim` its version, a random text that a load plants and that stays for ten minutes after the last load
 * asked for it. Every change removes lease and claim together with what it changes, so what a load brings that began before
 * is refused; a load that takes longer than ten minutes is not stored either. All three lie in one slot. Any
 * `maxmemory-policy` will do: where Redis evicts a claim, a load is refused and comes again.
 *
 * For each tag there are two more entries, its markers, and one for the namespace. An entry is believed only while its markers
 * are those that were there before its load: where Redis evicts a marker, all entries under it are misses, and the
 * next load plants it anew. So prefer a policy that keeps what is read often (`allkeys-lru`, `allkeys-lfu`). The first entry with a
 * tag that is new to the process is loaded once more by whoever reads it from Redis.
 *
 * Redis drops outlived entries itself, by its own clock. Keys are any strings, values up to 512 MB.
 *
 * While a cache listens, the storage asks for `INFO server` after each reconnect. If Redis was restarted or replaced, it may
 * lack the last changes, and the cache is told so before any read is believed. Where the user may not send `INFO`, or the
 * client is a pool (`createClientPool`), that is not noticed.
 *
 * Only `clear` (`SCAN`, then `UNLINK`) and `keys` (`SCAN`; on a cluster of each node) search, and only for what has the prefix.
 * They need not see entries that are written meanwhile.
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
  const { client, prefix = 'soloflight:', codec = valueCodec, lease = true, subscriber } = options;
  const commands = commandsOf('client', client);
  const names = new KeyNames(prefix);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  if (typeof lease !== 'boolean') throw misuse('lease', 'a boolean', lease);
  const news = subscriber === undefined ? undefined : subscriberOf('subscriber', subscriber);
  const watch = watchOf(client, commands);
  const redis = watch?.holdBack(commands) ?? commands;
  const adapter = lease
    ? new LeasingRedisStorage(redis, names, codec, new RedisLeases({ redis, names, codec, subscriber: news }))
    : new RedisStorage(redis, names, codec);
  const hints = watch && {
    onReady: (ready: () => void) => watch.onReady(ready),
    onLoss: (lost: () => void) => watch.onLoss(lost),
  };
  return defineStorage(Object.assign(adapter, hints), tierOptionsOf(options));
}

/** How long a claim stays after the last load has asked for it, milliseconds. What a longer load brings is not stored. */
const CLAIM_LIFE = String(10 * 60_000);
/** Names per `SCAN`. */
const SCANNED_AT_ONCE = 1_000;

class RedisStorage implements StorageAdapter {
  readonly name = 'redis';
  readonly forgets = true;
  protected readonly redis: RedisCommands;
  protected readonly names: KeyNames;
  protected readonly codec: Codec;
  readonly #id = new RandomId();
  #versions = 0;
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
    await this.#store(this.open(key), await toValue(key, entry, this.codec), toDeadline(keepUntil));
  }

  async setIfNewer(key: string, entry: Entry, keepUntil: number): Promise<boolean> {
    const value = await toValue(key, entry, this.codec);
    const args = [toText(entry.startedAt), value, toDeadline(keepUntil)];
    return (await SET_IF_NEWER.run(this.redis, [this.names.entry(this.open(key))], args)) === 1;
  }

  async delete(key: string): Promise<boolean> {
    const removed = await DELETE_AND_VOID.run(this.redis, this.names.all(this.open(key)), this.names.news(key));
    return Number(removed) > 0;
  }

  async version(key: string, newerThan: number): Promise<VersionAnswer> {
    this.#versions += 1;
    const id = this.#id.text + this.#versions.toString(36);
    const names = [this.names.entry(this.open(key)), this.names.claim(key)] as const;
    const reply = await VERSION.run(this.redis, names, [id, CLAIM_LIFE, toText(newerThan)]);
    const [version, value] = reply as [Word, unknown];
    const entry = await decodable(key, value, this.codec);
    return entry === undefined ? { version: textOf(version) } : { version: textOf(version), entry };
  }

  async setIfVersion(key: string, entry: Entry, keepUntil: number, version: string, change: boolean): Promise<boolean> {
    const value = await toValue(key, entry, this.codec);
    const args = [version, toText(entry.startedAt), value, toDeadline(keepUntil), change ? '1' : ''];
    const names = this.names.all(this.open(key));
    return (await SET_IF_VERSION.run(this.redis, names, [...args, ...this.names.news(key)])) === 1;
  }

  /** An entry that can't be decoded is `undefined` here: it must not cost the caller the others. */
  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    const { redis, names, codec } = this;
    const values: unknown[] = Array.from({ length: keys.length });
    const places = keys.map((key, place) => ({ place, name: names.entry(this.open(key)) }));
    await inPieces(places, (piece) =>
      Promise.all(
        bySlot(redis.isCluster, piece, ({ name }) => name).map(async (group) => {
          // `MGET` answers nothing for a value that is not a string.
          const found = await redis.send(group[0].name, ['MGET', ...group.map(({ name }) => name)]);
          for (const [index, { place }] of group.entries()) values[place] = (found as unknown[])[index];
        }),
      ),
    );
    return Promise.all(keys.map((key, place) => decodable(key, values[place], codec)));
  }

  async setMany(writes: readonly StorageWrite[]): Promise<void> {
    // Of two writes of one key only the last is sent: commands to a cluster may overtake each other.
    const last = new Map(writes.map((write) => [this.open(write.key), write]));
    await inPieces([...last.values()], async (piece) => {
      const values = await Promise.all(piece.map(({ key, entry }) => toValue(key, entry, this.codec)));
      await Promise.all(
        piece.map(({ key, keepUntil }, index) => this.#store(key, values[index]!, toDeadline(keepUntil))),
      );
    });
  }

  /** Without a script per key, so those who wait for a lease are not told: they ask soon anyway. */
  async deleteMany(keys: readonly string[]): Promise<void> {
    const { redis, names } = this;
    for (const key of keys) this.open(key);
    await inPieces(keys, (piece) => {
      const groups = bySlot(redis.isCluster, piece, (key) => names.entry(key));
      return Promise.all(
        groups.map((group) => redis.send(names.entry(group[0]), ['UNLINK', ...group.flatMap((key) => names.all(key))])),
      );
    });
  }

  /** By one `SCAN`; on a cluster of one node after the other. The cursor tells the node and where it is. */
  async keys({ prefix, limit, cursor }: KeyRange): Promise<KeyPage> {
    this.open('');
    const nodes = await this.redis.primaries();
    const [index, at] = (cursor ?? '0:0').split(':') as [string, string];
    const send = nodes[Number(index)];
    if (send === undefined) return { keys: [] };
    const scan = ['SCAN', at, 'MATCH', this.names.patternFor(prefix), 'COUNT', String(limit)];
    const [next, found] = (await send(scan)) as [Word, Word[]];
    const goOn = textOf(next);
    const place = goOn === '0' ? `${Number(index) + 1}:0` : `${index}:${goOn}`;
    const isLast = goOn === '0' && Number(index) + 1 >= nodes.length;
    const keys = found.map((name) => this.names.keyOf(name)).filter((key) => key?.startsWith(prefix)) as string[];
    return isLast ? { keys } : { keys, cursor: place };
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

  async #store(key: string, value: Uint8Array, until: string): Promise<void> {
    await SET_AND_VOID.run(this.redis, this.names.all(key), [value, until, ...this.names.news(key)]);
  }

  async #clearNode(send: Send): Promise<void> {
    let cursor = '0';
    do {
      const scan = ['SCAN', cursor, 'MATCH', this.names.pattern, 'COUNT', String(SCANNED_AT_ONCE)];
      const [next, found] = (await send(scan)) as [Word, Word[]];
      cursor = textOf(next);
      const groups = bySlot(this.redis.isCluster, found, (name) => name);
      // An entry goes together with its claim. Between the two, a load that began before could store an entry.
      await Promise.all(groups.map((names) => send(['UNLINK', ...names.flatMap(namesBeside)])));
    } while (cursor !== '0');
  }
}

/** The same with leases. */
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
