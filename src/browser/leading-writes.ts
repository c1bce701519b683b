import { misuse } from '../errors.js';
import { WRITE_EVENT_TYPES, type WriteEvent } from '../writes/write-events.js';
import type { WritesLike } from './shared-writes-options.js';
import type { Call } from './tab-messages.js';

/** Makes `call` on the one `WriteBehind`, which this tab holds. */
export async function perform<V>(writes: WritesLike<V>, call: Call, signal?: AbortSignal): Promise<unknown> {
  const [method, key, value] = call as readonly [Call[0], string, V];
  const options = signal === undefined ? undefined : { signal };
  switch (method) {
    case 'put':
      return writes.put(key, value, options);
    case 'delete':
      return writes.delete(key, options);
    case 'peek':
      await writes.open();
      return writes.peek(key);
    case 'read':
      return writes.read(key);
    case 'flush':
      return writes.flush(call[1] as { readonly due?: boolean } | undefined);
    case 'open':
    case 'status':
    case 'wipe':
      return writes[method]();
    case 'listDead':
      return writes.deadLetters.list();
    case 'requeueDead':
      return writes.deadLetters.requeue(key);
    case 'dropDead':
      return writes.deadLetters.drop(key);
    default:
      throw misuse(
        'call',
        'one that the leading tab knows: reload that tab, it runs another version of the page',
        method,
      );
  }
}

/** Calls `tell` for every event of `writes`. */
export function watchAll<V>(writes: WritesLike<V>, tell: (event: WriteEvent) => void): void {
  for (const type of WRITE_EVENT_TYPES) writes.on(type, tell);
}
