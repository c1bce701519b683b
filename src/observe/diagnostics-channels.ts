import type { CacheEvent } from '../base/events.js';
import { misuse } from '../errors.js';
import { known, type Observed, type ObservedCache } from './observed.js';

/** A channel of `node:diagnostics_channel`. */
interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

interface TracingChannel {
  readonly start: Channel;
  readonly end: Channel;
  readonly asyncStart: Channel;
  readonly asyncEnd: Channel;
  readonly error: Channel;
}

interface Diagnostics {
  channel(name: string): Channel;
  tracingChannel(name: string): TracingChannel;
}

type FlightEvent = Extract<CacheEvent, { type: 'flight' }>;

/** A message of the tracing channels: one object per load or wait, with what is known so far. */
interface Traced {
  readonly key: string;
  readonly flight: number;
  readonly reason?: string;
  outcome?: string;
  subscribers?: number;
  error?: unknown;
}

/** What `soloflight:event` carries. Hits are left out: each would cost an object. */
const TYPES = [
  ...(['stale', 'miss', 'fallback', 'coalesced', 'load', 'load-error', 'revalidate', 'set', 'invalidate'] as const),
  ...(['expire', 'tags', 'clear', 'remote', 'invalidation-pending', 'tier-error', 'error'] as const),
] as const satisfies readonly CacheEvent['type'][];

/**
 * Publishes what happens in a cache to `node:diagnostics_channel`. The returned function ends that.
 *
 * `soloflight:event` carries the cache's events except hits, `soloflight:storage` operations of storage tiers. The tracing
 * channels `soloflight:load` and `soloflight:wait` carry loads and the calls that wait for them: `start` and `end` in the tick
 * of the call, `asyncStart` and `asyncEnd` when the load is over, `error` before that if it failed. Messages hold keys and no
 * values. Nothing is built for a channel that nobody subscribed to. Does nothing on platforms without the module.
 *
 * @throws TypeError for what is no cache.
 */
export function diagnosticsChannels(source: Observed): () => void {
  const found = known(source);
  if (found.kind !== 'cache') throw misuse('source', 'a TieredCache: others have no such events', source);
  const diagnostics = moduleOf();
  if (diagnostics === undefined) return () => {};
  const leave = [...publish(diagnostics, found.source), trace(diagnostics, found.source)];
  return () => {
    for (const one of leave) one();
  };
}

function moduleOf(): Diagnostics | undefined {
  const { process } = globalThis as {
    readonly process?: { getBuiltinModule?(name: string): Diagnostics | undefined };
  };
  try {
    return process?.getBuiltinModule?.('node:diagnostics_channel');
  } catch {
    return undefined;
  }
}

function publish(diagnostics: Diagnostics, cache: ObservedCache): (() => void)[] {
  const events = diagnostics.channel('soloflight:event');
  const storage = diagnostics.channel('soloflight:storage');
  const to =
    (channel: Channel) =>
    (event: CacheEvent): void => {
      if (channel.hasSubscribers) channel.publish(event);
    };
  return [...TYPES.map((type) => cache.on(type, to(events))), cache.on('storage', to(storage))];
}

function trace(diagnostics: Diagnostics, cache: ObservedCache): () => void {
  const loads = diagnostics.tracingChannel('soloflight:load');
  const waits = diagnostics.tracingChannel('soloflight:wait');
  const open = new Map<number, { readonly load: Traced | undefined; readonly waits: Traced[] }>();
  return cache.on('flight', (event) => {
    const { key, flight } = event;
    switch (event.phase) {
      case 'lead':
        if (!isHeard(loads) && !isHeard(waits)) return;
        return void open.set(flight, { load: begin(loads, { key, flight, reason: event.reason }), waits: [] });
      case 'join': {
        const wait = open.has(flight) ? begin(waits, { key, flight }) : undefined;
        return void (wait && open.get(flight)?.waits.push(wait));
      }
      case 'settle': {
        const traced = open.get(flight);
        open.delete(flight);
        if (traced?.load !== undefined) end(loads, traced.load, event);
        for (const wait of traced?.waits ?? []) end(waits, wait, event);
      }
    }
  });
}

function begin(channel: TracingChannel, message: Traced): Traced | undefined {
  if (!isHeard(channel)) return undefined;
  channel.start.publish(message);
  channel.end.publish(message);
  return message;
}

function end(channel: TracingChannel, message: Traced, event: Extract<FlightEvent, { phase: 'settle' }>): void {
  const { outcome, subscribers } = event;
  Object.assign(message, { outcome, subscribers });
  if (outcome !== 'ok') {
    message.error = outcome;
    channel.error.publish(message);
  }
  channel.asyncStart.publish(message);
  channel.asyncEnd.publish(message);
}

function isHeard({ start, end, asyncStart, asyncEnd, error }: TracingChannel): boolean {
  return [start, end, asyncStart, asyncEnd, error].some(({ hasSubscribers }) => hasSubscribers);
}
