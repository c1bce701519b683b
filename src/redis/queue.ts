import { checkNames, checkObject } from '../base/checks.js';
import { jsonCodec } from '../codecs/json.js';
import { isCodec } from '../codecs/payload.js';
import type { Codec, QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { commandsOf, type RedisClient, type RedisCommands, type Word } from './client.js';
import { KeyNames, textOfWord, toWord } from './names.js';
import { fromRecord, toRecord } from './queue-record.js';
import { FORGET_WRITES, KEEP_WRITES } from './scripts.js';

/** Options of {@link redisQueue}. */
export interface RedisQueueOptions {
  /** A client of node-redis or ioredis, 5 or later, connected or about to be. It belongs to the caller and is not closed. */
  readonly client: RedisClient;
  /**
   * Tells this queue from others. A queue belongs to one `WriteBehind` at a time: processes that run side by side need one
   * each, and the same one again after a restart. Letters, digits, `_`, `-`, `:` and `.`, but no `.` at the start.
   */
  readonly queue: string;
  /** Begins the names of what is stored. Must not contain `{.`, `{}` or lone surrogates. @default 'soloflight:' */
  readonly prefix?: string;
  /** Turns values into text or bytes. @default jsonCodec */
  readonly codec?: Codec;
}

/**
 * A queue for a `WriteBehind` in Redis 6.2 or later, Valkey, or a cluster of either.
 *
 * An accepted write is as safe as that Redis: with `appendonly yes` and `appendfsync always` it survives a power cut; with
 * `everysec` the last second may be lost, and without either everything. `maxmemory-policy` must be `noeviction`. A queue
 * is two hashes in one slot. Each call is one command, which changes all or nothing.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function redisQueue(options: RedisQueueOptions): WriteQueue {
  checkObject('options', options);
  checkNames(options, ['client', 'queue', 'prefix', 'codec']);
  const { client, queue, prefix = 'soloflight:', codec = jsonCodec } = options;
  const redis = commandsOf('client', client);
  const names = new KeyNames(prefix);
  // A dot would begin the name of an entry.
  if (typeof queue !== 'string' || !/^(?!\.)[\w:.-]+$/.test(queue))
    throw misuse('queue', 'a name of letters, digits, `_`, `-`, `:` and `.`, with no `.` at the start', queue);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return new RedisQueue(redis, names.queue(queue), codec);
}

/** Writes read in one command. */
const READ_AT_ONCE = '500';

class RedisQueue implements WriteQueue {
  readonly name = 'redis';
  readonly #redis: RedisCommands;
  readonly #names: { readonly pending: string; readonly dead: string };
  readonly #codec: Codec;
  #closed = false;

  constructor(redis: RedisCommands, names: { readonly pending: string; readonly dead: string }, codec: Codec) {
    this.#redis = redis;
    this.#names = names;
    this.#codec = codec;
  }

  async load(): Promise<(QueuedWrite | Error)[]> {
    return this.#read(this.#names.pending);
  }

  async listDead(): Promise<(QueuedWrite | Error)[]> {
    return this.#read(this.#names.dead);
  }

  async put(writes: readonly QueuedWrite[]): Promise<void> {
    this.#open();
    if (writes.length === 0) return;
    const records = await Promise.all(writes.map(async (write) => toRecord(write, this.#codec)));
    const { pending, dead } = this.#names;
    const words = writes.flatMap((write, index): Word[] => [
      toWord(write.id),
      write.dead === undefined ? 'pending' : 'dead',
      records[index] as Uint8Array,
    ]);
    await KEEP_WRITES.run(this.#redis, [pending, dead], words);
  }

  async remove(ids: readonly string[]): Promise<void> {
    this.#open();
    const { pending, dead } = this.#names;
    if (ids.length > 0) await FORGET_WRITES.run(this.#redis, [pending, dead], ids.map(toWord));
  }

  close(): void {
    this.#closed = true;
  }

  /** Reads in pieces, so that a long queue blocks nobody. Nobody else changes the hash meanwhile, but a piece may come twice. */
  async #read(name: string): Promise<(QueuedWrite | Error)[]> {
    this.#open();
    const records = new Map<string, Uint8Array>();
    let cursor = '0';
    do {
      const reply = await this.#redis.send(name, ['HSCAN', name, cursor, 'COUNT', READ_AT_ONCE]);
      const [next, found] = reply as [Word, (string | Uint8Array)[]];
      cursor = textOfWord(next);
      for (let at = 0; at + 1 < found.length; at += 2)
        records.set(textOfWord(found[at] as Word), found[at + 1] as Uint8Array);
    } while (cursor !== '0');
    return Promise.all([...records].map(([id, record]) => fromRecord(id, record, this.#codec)));
  }

  #open(): void {
    if (this.#closed)
      throw new SoloflightError(
        'SOLOFLIGHT_QUEUE_CLOSED',
        'The Redis queue is closed. Create a new one, or close it later',
      );
  }
}
