import { misuse } from '../errors.js';

/** A client of node-redis 5.11 or later (`createClient`, `createClientPool`, `createCluster`) or ioredis 5 or later (`Redis`, `Cluster`). */
export type RedisClient = NodeRedisLike | IoredisLike;

/** The part of a node-redis client that is used here. */
export interface NodeRedisLike {
  sendCommand(...args: never[]): Promise<unknown>;
  withTypeMapping(mapping: never): unknown;
}

/** The part of an ioredis client that is used here. */
export interface IoredisLike {
  callBuffer(...args: never[]): Promise<unknown>;
}

/** One word of a command. Both clients take text and `Buffer`s. */
export type Word = string | Uint8Array;

/** `word` as text. */
export function textOf(word: Word): string {
  return typeof word === 'string' ? word : new TextDecoder().decode(word);
}

/** Sends a command and resolves with the reply, in which all strings are bytes. */
export type Send = (command: readonly Word[]) => Promise<unknown>;

/** The commands of a client, whether it is of node-redis or ioredis. */
export interface RedisCommands {
  readonly isCluster: boolean;
  /** Sends `command` to the node that holds `key`. */
  send(key: Word, command: readonly Word[]): Promise<unknown>;
  /** Sends the same command to every primary node, for commands that no key routes. */
  primaries(): Promise<readonly Send[]>;
}

/** @throws TypeError for anything but a client of either library, and for a client that changes keys by itself. */
export function commandsOf(name: string, client: RedisClient): RedisCommands {
  if (isIoredis(client)) return ioredisCommands(name, client);
  if (isNodeRedis(client)) return nodeRedisCommands(client);
  throw misuse(name, 'a client of node-redis 5.11 or later, or of ioredis 5 or later', client);
}

/** Whether `client` is an ioredis client. */
export function isIoredis(client: unknown): client is IoredisLike {
  return typeof (Object(client) as Partial<IoredisLike>).callBuffer === 'function';
}

/** Whether `client` is a node-redis client. */
export function isNodeRedis(client: unknown): client is NodeRedisLike {
  const { sendCommand, withTypeMapping } = Object(client) as Partial<NodeRedisLike>;
  return typeof sendCommand === 'function' && typeof withTypeMapping === 'function';
}

/** The part of an ioredis client on which its methods for commands rely. */
export interface IoredisSender {
  readonly options?: {
    readonly enableAutoPipelining?: boolean;
    readonly keyPrefix?: string;
    readonly redisOptions?: { readonly keyPrefix?: string };
  };
  sendCommand(...command: never[]): unknown;
}

interface Ioredis extends IoredisSender {
  readonly isCluster?: boolean;
  callBuffer(this: IoredisSender, ...command: readonly Word[]): Promise<unknown>;
  nodes(role: 'master'): readonly Ioredis[];
}

/**
 * `client` as its own methods are to see it: without `enableAutoPipelining`.
 *
 * Pipelines that ioredis makes by itself lose the name of a command that is sent by `callBuffer`, go to the wrong node for
 * scripts on a cluster, and take `ssubscribe` away from the connection that listens.
 */
export function unpipelined(client: IoredisSender): IoredisSender {
  if (client.options?.enableAutoPipelining !== true) return client;
  return { options: { ...client.options, enableAutoPipelining: false }, sendCommand: client.sendCommand.bind(client) };
}

/** Sends commands to one server, or to all of a cluster as each key demands. */
export function ioredisSend(client: object): Send {
  const redis = client as Ioredis;
  const sender = unpipelined(redis);
  return (command) => redis.callBuffer.apply(sender, command as Word[]);
}

function ioredisCommands(name: string, client: unknown): RedisCommands {
  const redis = client as Ioredis;
  const { options } = redis;
  const keyPrefix = options?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
  if (keyPrefix !== '') throw misuse(name, 'a client without `keyPrefix` (use the option `prefix` here)', keyPrefix);
  const isCluster = redis.isCluster === true;
  const send = ioredisSend(redis);
  return {
    isCluster,
    send: (_key, command) => send(command),
    primaries: () => Promise.resolve(isCluster ? redis.nodes('master').map(ioredisSend) : [send]),
  };
}

interface NodeRedis {
  sendCommand(command: readonly Word[], options: object): Promise<unknown>;
}

interface NodeRedisCluster {
  readonly masters: readonly object[];
  nodeClient(node: object): Promise<NodeRedis>;
  sendCommand(key: Word, readOnly: boolean, command: readonly Word[], options: object): Promise<unknown>;
}

/** Sends commands to one server. */
export function nodeRedisSend(client: object): Send {
  const bytes = bytesOfStrings();
  return (command) => (client as NodeRedis).sendCommand(command, bytes);
}

/** `$` is the type of bulk strings, which come as bytes; other types, such as errors, stay as they are. */
function bytesOfStrings(): object {
  return { typeMapping: { [BULK_STRING]: globalBuffer() } };
}

function nodeRedisCommands(client: unknown): RedisCommands {
  const cluster = client as NodeRedisCluster;
  const bytes = bytesOfStrings();
  if (typeof cluster.nodeClient !== 'function') {
    const send = nodeRedisSend(client as NodeRedis);
    return { isCluster: false, send: (_key, command) => send(command), primaries: () => Promise.resolve([send]) };
  }
  return {
    isCluster: true,
    // Never from a replica, which may not know of an invalidation yet.
    send: (key, command) => cluster.sendCommand(key, false, command, bytes),
    primaries: () => Promise.all(cluster.masters.map(async (node) => nodeRedisSend(await cluster.nodeClient(node)))),
  };
}

const BULK_STRING = '$'.charCodeAt(0);

/** The part of Node's `Buffer` that is used here. Both clients insist on it. */
interface BufferMaker {
  from(text: string, encoding: 'utf8'): Uint8Array;
  from(bytes: ArrayBufferLike, offset: number, length: number): Uint8Array;
}

/** Node's `Buffer`. It exists wherever these clients run, but the library that TypeScript is told to assume has none. */
export function globalBuffer(): BufferMaker {
  return (globalThis as unknown as { readonly Buffer: BufferMaker }).Buffer;
}

/** `bytes` as a `Buffer` over the same memory. */
export function toBuffer(bytes: Uint8Array): Uint8Array {
  return globalBuffer().from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
