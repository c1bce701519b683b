import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { mapStorage, Singleflight, TieredCache } from '../../src/index.js';
import { diagnosticsChannels } from '../../src/observe/index.js';
import { scriptedUpstream } from '../../src/testing/index.js';

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function listen(name: string): { readonly type: string }[] {
  const messages: { readonly type: string }[] = [];
  const listener = (message: unknown): void => void messages.push(message as { readonly type: string });
  subscribe(name, listener);
  ends.push(() => void unsubscribe(name, listener));
  return messages;
}

/** The phases told of one tracing channel, with the message of each. */
function follow(name: string): [phase: string, message: object][] {
  const told: [string, object][] = [];
  const traced = tracingChannel(name);
  const phases = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;
  const handlers = Object.fromEntries(phases.map((phase) => [phase, (message: object) => told.push([phase, message])]));
  traced.subscribe(handlers as never);
  ends.push(() => traced.unsubscribe(handlers as never));
  return told;
}

describe('diagnosticsChannels', () => {
  test('a load and its waits are traced, each with one message from start to end', async () => {
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '1s', upstream });
    const loads = follow('soloflight:load');
    const waits = follow('soloflight:wait');
    ends.push(diagnosticsChannels(cache));

    const reads = [cache.get('a'), cache.get('a')];
    upstream.calls[0]!.resolve('v');
    await Promise.all(reads);

    for (const told of [loads, waits]) {
      expect(told.map(([phase]) => phase)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
      expect(new Set(told.map(([, message]) => message)).size).toBe(1);
      expect(told[0]![1]).toMatchObject({ key: 'a', outcome: 'ok', subscribers: 2 });
    }
  });

  test('a load that fails tells its error before its end', async () => {
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '1s', upstream });
    const loads = follow('soloflight:load');
    ends.push(diagnosticsChannels(cache));

    const read = cache.get('a').catch(() => {});
    upstream.calls[0]!.reject(new Error('no'));
    await read;

    expect(loads.map(([phase]) => phase)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  });

  test('events and operations of storage have channels of their own; hits are left out', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', storage: mapStorage(), upstream: () => 'v' });
    const events = listen('soloflight:event');
    const storage = listen('soloflight:storage');
    ends.push(diagnosticsChannels(cache));

    await cache.get('a');
    await cache.get('a');

    const types = events.map(({ type }) => type);
    expect(types).toContain('miss');
    expect(types).not.toContain('hit');
    expect(storage.length).toBeGreaterThan(0);
  });

  test('nothing is published where nobody subscribed', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', upstream: () => 'v' });
    const published = vi.spyOn(Object.getPrototypeOf(channel('soloflight:event')) as { publish(): void }, 'publish');
    ends.push(diagnosticsChannels(cache), () => published.mockRestore());

    await Promise.all([cache.get('a'), cache.get('a')]);

    expect(published).not.toHaveBeenCalled();
  });

  test('a platform without the module is left alone', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', upstream: () => 'v' });
    const missing = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
    ends.push(() => missing.mockRestore());

    diagnosticsChannels(cache)();

    await expect(cache.get('a')).resolves.toBe('v');
  });

  test('what it returns ends the messages', async () => {
    const cache = new TieredCache<string>({ ttl: '1m', upstream: () => 'v' });
    const loads = follow('soloflight:load');

    diagnosticsChannels(cache)();
    await cache.get('a');

    expect(loads).toEqual([]);
  });

  test('a Singleflight is a TypeError: it has no such events', () => {
    expect(() => diagnosticsChannels(new Singleflight())).toThrow(TypeError);
  });
});
