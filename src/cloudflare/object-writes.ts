import { gzip } from '../codecs/gzip.js';
import { structuredCloneCodec } from '../codecs/structured-clone.js';
import type { Clock, Codec } from '../contracts.js';
import type { WriteBehind } from '../writes/write-behind.js';
import type { Alarms } from './alarms.js';
import { Connections } from './connections.js';
import { DurableQueue } from './durable-queue.js';
import { ObjectWriter } from './object-writer.js';
import type { Socket } from './sockets.js';
import { isWriteRequest, respondToWrite } from './write-face.js';
import { WriteGate, type Writable } from './write-gate.js';
import { resolveWriteOptions, type ObjectWriteOptions } from './write-options.js';

/** What an object gives to the part of it that takes writes. */
interface WritingParts<V> {
  readonly state: DurableObjectState;
  readonly alarms: Alarms;
  readonly clock: Clock;
  /** The codec of the object. @default structuredCloneCodec */
  readonly codec: Codec | undefined;
  readonly object: Writable<V>;
}

/** The part of an object that takes writes. */
export interface Writing<V> {
  readonly behind: WriteBehind<V>;
  /** The option of the same name. */
  readonly apply: ObjectWriteOptions<V>['apply'];
  /** Sets the alarm if writes are pending without one. */
  resume(): Promise<void>;
  /** Delivers what was accepted so far. */
  flush(): Promise<void>;
  /** Runs the alarm for pending writes. */
  ring(): Promise<void>;
  /** Answers `request` if it asks for a write or a WebSocket. */
  answer(request: Request): Promise<Response> | undefined;
  /** Answers a message of a WebSocket. */
  receive(socket: Socket, message: string | ArrayBuffer): Promise<void>;
}

/** The result of {@link objectWrites}. */
export interface ObjectWrites<V> {
  /** @internal */
  readonly start: (parts: WritingParts<V>) => Writing<V>;
}

/**
 * The option `writes` of a `CacheObject`: the object takes writes by RPC, `PUT`, `PATCH`, `DELETE` and WebSocket, keeps them
 * in its SQLite, and delivers them to `sink` in batches, by its alarm.
 *
 * @throws TypeError for an option that makes no sense.
 *
 * @example
 * ```ts
 * import { CacheObject, objectWrites, type DurableCacheOptions } from 'soloflight/cloudflare';
 *
 * const database = new Map<string, number>();
 * export class Votes extends CacheObject<unknown, number> {
 *   protected override configure(): DurableCacheOptions<number> {
 *     const writes = objectWrites<number>({
 *       sink: (batch) => batch.forEach(({ key, value }) => database.set(key, value ?? 0)),
 *       apply: (votes = 0) => votes + 1,
 *     });
 *     return { ttl: '1h', upstream: (key) => database.get(key) ?? 0, writes };
 *   }
 * }
 * ```
 */
export function objectWrites<V>(options: ObjectWriteOptions<V>): ObjectWrites<V> {
  const { face, behind, compressAbove } = resolveWriteOptions(options);
  return {
    start({ state, alarms, clock, codec = structuredCloneCodec, object }) {
      const queue = new DurableQueue(state.storage, { codec: gzip(codec, { above: compressAbove }) }, true);
      const connections = new Connections(state);
      const gate = new WriteGate<V>(face, clock, object);
      const changed: Connections['broadcast'] = (change) => connections.broadcast(change);
      const writer = new ObjectWriter<V>({ settings: { face, behind }, queue, alarms, clock, changed });
      return {
        behind: writer.behind,
        apply: face.apply,
        resume: () => writer.resume(),
        flush: () => writer.flush(),
        ring: () => writer.ring(),
        answer: (request) => {
          if (isUpgrade(request)) return connections.connect(request, gate);
          return isWriteRequest(request) ? respondToWrite(request, gate) : undefined;
        },
        receive: (socket, message) => connections.receive(socket, message, gate),
      };
    },
  };
}

function isUpgrade({ method, headers }: Request): boolean {
  return method === 'GET' && headers.get('upgrade')?.toLowerCase() === 'websocket';
}
