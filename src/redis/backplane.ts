import { decodeMessages, encodeMessages } from '../backplane/message.js';
import type { Backplane, BackplaneAdapter, BackplaneListener, BackplaneMessage } from '../contracts.js';
import { misuse } from '../errors.js';
import { defineBackplane } from '../fleet/define-backplane.js';
import { commandsOf, type RedisClient, type RedisCommands } from './client.js';
import { canShard, subscriberOf, type RedisSubscriber } from './subscriber.js';

/** Options of {@link redisBackplane}. */
export interface RedisBackplaneOptions {
  /** Sends. Of node-redis or ioredis, 5 or later; the client of a storage will do. It belongs to the caller and is not closed. */
  readonly publisher: RedisClient;
  /**
   * Listens: a connection in subscriber mode, which takes no other commands. It belongs to the caller and is not closed.
   *
   * Give one of ioredis `autoResubscribe: false`. The backplane subscribes again by itself, while ioredis leaves a
   * rejection unhandled if the connection ends while ioredis subscribes again.
   */
  readonly subscriber: RedisClient;
  /** Caches on the same channel tell each other. @default 'soloflight' */
  readonly channel?: string;
  /**
   * Whether the channel is sharded (Redis 7 or later, on a cluster): messages then go to one node instead of all.
   * Must be the same for all caches on the channel. Clusters of ioredis need `shardedSubscribers: true` for it.
   * @default true where both are clusters and can do it
   */
  readonly sharded?: boolean;
}

/**
 * A backplane over the publish and subscribe of Redis or Valkey.
 *
 * What is published while a listener's connection is away is lost to it; when it is back, it is told so.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function redisBackplane(options: RedisBackplaneOptions): Backplane {
  if (typeof options !== 'object' || options === null) throw misuse('options', 'an object', options);
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
