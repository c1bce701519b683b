import { decodeMessages, encodeMessages } from '../backplane/message.js';
import { checkNames, checkObject } from '../base/checks.js';
import type { Backplane, BackplaneAdapter, BackplaneListener, BackplaneMessage } from '../contracts.js';
import { misuse } from '../errors.js';
import { defineBackplane } from '../fleet/define-backplane.js';
import { commandsOf, type RedisClient, type RedisCommands } from './client.js';
import { canShard, subscriberOf, type RedisSubscriber } from './subscriber.js';

/** Options of {@link redisBackplane}. */
export interface RedisBackplaneOptions {
  /** Sends. A client of node-redis 5.11 or later or of ioredis 5 or later; a storage's client will do. It belongs to the caller and is not closed. */
  readonly publisher: RedisClient;
  /**
   * Listens: a connection in subscriber mode, which takes no other commands. It belongs to the caller and is not closed.
   *
   * Give an ioredis client `autoResubscribe: false`: the backplane subscribes again by itself, and ioredis would leave a
   * rejection unhandled if the connection ended while ioredis subscribes again.
   */
  readonly subscriber: RedisClient;
  /** Caches on the same channel tell each other. @default 'soloflight' */
  readonly channel?: string;
  /**
   * Whether the channel is sharded (a cluster of Redis 7 or later): messages then go to one node instead of all.
   * Must be the same for all caches on the channel. Clusters of ioredis need `shardedSubscribers: true`.
   * @default true where both clients are clusters that can do it
   */
  readonly sharded?: boolean;
}

/**
 * A backplane over the publish/subscribe of Redis or Valkey.
 *
 * A listener misses what is published while its connection is away. It is told so when the connection is back.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function redisBackplane(options: RedisBackplaneOptions): Backplane {
  checkObject('options', options);
  checkNames(options, ['publisher', 'subscriber', 'channel', 'sharded']);
  const { publisher, subscriber, channel = 'soloflight' } = options;
  const redis = commandsOf('publisher', publisher);
  if (typeof channel !== 'string' || channel === '') throw misuse('channel', 'a non-empty string', channel);
  const { sharded = redis.isCluster && canShard(subscriber) } = options;
  if (typeof sharded !== 'boolean') throw misuse('sharded', 'a boolean', sharded);
  if (sharded && !canShard(subscriber))
    throw misuse('sharded', 'false, or `subscriber` a cluster (of ioredis with `shardedSubscribers: true`)', sharded);
  if ((publisher as unknown) === subscriber)
    throw misuse(
      'subscriber',
      'another connection than `publisher`: one that listens takes no other commands',
      'the same',
    );
  return defineBackplane(new RedisBackplane(redis, subscriberOf('subscriber', subscriber, sharded), channel, sharded));
}

class RedisBackplane implements BackplaneAdapter {
  readonly name = 'redis';
  readonly #redis: RedisCommands;
  readonly #subscriber: RedisSubscriber;
  readonly #channel: string;
  readonly #command: string;

  constructor(redis: RedisCommands, subscriber: RedisSubscriber, channel: string, sharded: boolean) {
    this.#redis = redis;
    this.#subscriber = subscriber;
    this.#channel = channel;
    this.#command = sharded ? 'SPUBLISH' : 'PUBLISH';
  }

  async publish(messages: readonly BackplaneMessage[]): Promise<void> {
    await this.#redis.send(this.#channel, [this.#command, this.#channel, encodeMessages(messages)]);
  }

  subscribe(listener: BackplaneListener): Promise<() => Promise<void>> {
    return this.#subscriber.subscribe(
      this.#channel,
      (text) => {
        for (const message of decodeMessages(text)) listener.receive(message);
      },
      () => listener.lost(),
    );
  }
}
