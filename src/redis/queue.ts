import { checkNames, checkObject } from '../base/checks.js';
import { queueOwned } from '../base/owned.js';
import { isCodec } from '../codecs/payload.js';
import { valueCodec } from '../codecs/value.js';
import type { Codec, Ownership, QueuedWrite, WriteQueue } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { commandsOf, textOf, type RedisClient, type RedisCommands, type Word } from './client.js';
import { KeyNames, toWord, type QueueNames } from './names.js';
import { fromRecord, toRecord } from './queue-record.js';
import { FORGET_WRITES, KEEP_WRITES, LEAVE_QUEUE, OWN_QUEUE, RENEW_QUEUE, type Script } from './scripts.js';

/** Options of {@link redisQueue}. */
export interface RedisQueueOptions {
  /** A client of node-redis 5.11 or later or of ioredis 5 or later, connected or about to be. It belongs to the caller and is not closed. */
  readonly client: RedisClient;
  /**
   * Tells this queue from others. A queue belongs to one `WriteBehind` at a time: processes that run side by side need one
   * each, and the same one again after a restart. Letters, digits, `_`, `-`, `:` and `.`, but no `.` at the start.
   */
  readonly queue: string;
  /** Begins the names of what is stored. Must not contain `{.`, `{}` or lone surrogates. @default 'soloflight:' */
  readonly prefix?: string;
  /** Turns values into text or bytes. @default valueCodec: plain data as JSON, all else that `structuredClone` takes as bytes */
  readonly codec?: Codec;
}

/**
 * A queue for a `WriteBehind` in Redis 6.2 or later, Valkey, or a cluster of either.
 *
 * An accepted write is as safe as that Redis: with `appendonly yes` and `appendfsync always` it survives a power cut; with
 * `everysec` the last second may be lost, and without either everything. `maxmemory-policy` must be `noeviction`. A queue
 * is two hashes in one slot. Each call is one command, which changes all or nothing.
 *
 * One `WriteBehind` at a time owns it: a second one waits (`ownerWait`) until the first is closed, or has not said for ten
 * seconds that it lives, by Redis's clock.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function redisQueue(options: RedisQueueOptions): WriteQueue {
  checkObject('options', options);
  checkNames(options, ['client', 'queue', 'prefix', 'codec']);
  const { client, queue, prefix = 'soloflight:', codec = valueCodec } = options;
  const redis = commandsOf('client', client);
  const names = new KeyNames(prefix);
  // A dot would begin the name of an entry.
  if (typeof queue !== 'string' || !/^(?!\.)[\w:.-]+$/.test(queue))
    throw misuse('queue', 'a name of letters, digits, `_`, `-`, `:` and `.`, with no `.` at the start', queue);
  if (!isCodec(codec)) throw misuse('codec', 'a codec (name, encode, decode)', codec);
  return new RedisQueue(redis, names.queue(queue), codec);
}

/** In place of an owner, of callers that don't own the queue: they are trusted. */
const NOBODY = '';

/** Writes read in one command. */
const READ_AT_ONCE = '500';

class RedisQueue implements WriteQueue {
  readonly name = 'redis';
  readonly #redis: RedisCommands;
  readonly #names: QueueNames;
  readonly #codec: Codec;
  #closed = false;

  constructor(redis: RedisCommands, names: QueueNames, codec: Codec) {
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

  put(writes: readonly QueuedWrite[]): Promise<void> {
    return this.#put(writes, NOBODY);
  }

  remove(ids: readonly string[]): Promise<void> {
    return this.#remove(ids, NOBODY);
  }

  async own(owner: string, ms: number, takeOver: boolean): Promise<Ownership | undefined> {
    if (!(await this.#ask(OWN_QUEUE, [owner, `${ms}`, takeOver ? '1' : '0']))) return undefined;
    return {
      put: (writes) => this.#put(writes, owner),
      remove: (ids) => this.#remove(ids, owner),
      renew: (more) => this.#ask(RENEW_QUEUE, [owner, `${more}`]),
      release: async () => void (await this.#ask(LEAVE_QUEUE, [owner])),
    };
  }

  async #put(writes: readonly QueuedWrite[], owner: string): Promise<void> {
    this.#open();
    if (writes.length === 0) return;
    const records = await Promise.all(writes.map(async (write) => toRecord(write, this.#codec)));
    const words = writes.flatMap((write, index): Word[] => [
      toWord(write.id),
      write.dead === undefined ? 'pending' : 'dead',
      records[index] as Uint8Array,
    ]);
    await this.#change(KEEP_WRITES, [owner, ...words]);
  }

  async #remove(ids: readonly string[], owner: string): Promise<void> {
    this.#open();
    if (ids.length > 0) await this.#change(FORGET_WRITES, [owner, ...ids.map(toWord)]);
  }

  async #change(script: Script, words: readonly Word[]): Promise<void> {
    const { pending, dead, owner } = this.#names;
    if (Number(await script.run(this.#redis, [pending, dead, owner], words)) === 0) throw queueOwned(this.name);
  }

  async #ask(script: Script, words: readonly Word[]): Promise<boolean> {
    this.#open();
    return Number(await script.run(this.#redis, [this.#names.owner], words)) === 1;
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
      cursor = textOf(next);
      for (let at = 0; at + 1 < found.length; at += 2)
        records.set(textOf(found[at] as Word), found[at + 1] as Uint8Array);
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
