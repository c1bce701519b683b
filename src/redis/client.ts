import { misuse } from '../errors.js';

/** A client of node-redis 5 or later (`createClient`, `createClientPool`, `createCluster`) or ioredis 5 or later (`Redis`, `Cluster`). */
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

/** Sends a command and resolves with the reply, in which all strings are bytes. */
type Send = (command: readonly Word[]) => Promise<unknown>;

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
  throw misuse(name, 'a client of node-redis 5 or later, or of ioredis 5 or later', client);
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

interface Ioredis {
  readonly isCluster?: boolean;
  readonly options?: { readonly keyPrefix?: string; readonly redisOptions?: { readonly keyPrefix?: string } };
  callBuffer(...command: readonly Word[]): Promise<unknown>;
  nodes(role: 'master'): readonly Ioredis[];
}

function ioredisCommands(name: string, client: unknown): RedisCommands {
  const redis = client as Ioredis;
  const { options } = redis;
  const keyPrefix = options?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
  if (keyPrefix !== '') throw misuse(name, 'a client without `keyPrefix` (use the option `prefix` here)', keyPrefix);
  const isCluster = redis.isCluster === true;
  const sendTo =
    (node: Ioredis): Send =>
    (command) =>
      node.callBuffer(...command);
  const send = sendTo(redis);
  return {
    isCluster,
    send: (_key, command) => send(command),
    primaries: () => Promise.resolve(isCluster ? redis.nodes('master').map(sendTo) : [send]),
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

function nodeRedisCommands(client: unknown): RedisCommands {
  // `$` is the type of bulk strings, which come as bytes; other types, such as errors, stay as they are.
  const bytes = { typeMapping: { [BULK_STRING]: globalBuffer() } };
  const sendTo =
    (node: NodeRedis): Send =>
    (command) =>
      node.sendCommand(command, bytes);
  const cluster = client as NodeRedisCluster;
  if (typeof cluster.nodeClient !== 'function') {
    const send = sendTo(client as NodeRedis);
    return { isCluster: false, send: (_key, command) => send(command), primaries: () => Promise.resolve([send]) };
  }
  return {
    isCluster: true,
    // Never from a replica, which may not know of an invalidation yet.
    send: (key, command) => cluster.sendCommand(key, false, command, bytes),
    primaries: () => Promise.all(cluster.masters.map(async (node) => sendTo(await cluster.nodeClient(node)))),
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
