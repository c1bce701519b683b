import { describe, expect, test } from 'vitest';

import { mapStorage, Singleflight, TieredCache } from '../../src/index.js';
import { logTo, type LogFields, type LogOptions } from '../../src/observe/index.js';
import { chaos, manualClock, scriptedUpstream } from '../../src/testing/index.js';
import { WriteBehind } from '../../src/writes/index.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

function lines(): { readonly logger: Parameters<typeof logTo>[1]; readonly told: [Level, string, LogFields][] } {
  const told: [Level, string, LogFields][] = [];
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void =>
      void told.push([level, message, fields]);
  return { told, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

function setup(options: LogOptions = {}) {
  const clock = manualClock();
  const upstream = scriptedUpstream<string>();
  const cache = new TieredCache<string>({ ttl: '1s', clock, upstream, maxDuration: '10s' });
  const { logger, told } = lines();
  const stop = logTo(cache, logger, { clock, ...options });
  return { cache, clock, upstream, told, stop };
}

describe('logTo', () => {
  test('tells the start and the end of a flight, without key and value', async () => {
    const { cache, clock, upstream, told } = setup({ name: 'posts' });

    const read = cache.get('secret-key');
    await clock.advance(20);
    upstream.calls[0]!.resolve('secret-value');
    await read;

    expect(told).toEqual([
      ['debug', 'flight started', { name: 'posts', reason: 'miss' }],
      [
        'debug',
        'flight settled',
        { name: 'posts', reason: 'miss', outcome: 'ok', fallback: false, subscribers: 1, durationMs: 20 },
      ],
    ]);
    expect(JSON.stringify(told)).not.toContain('secret');
  });

  test('a slow flight is a warning, one that exceeds its duration an error', async () => {
    const { cache, clock, upstream, told } = setup();

    const slow = cache.get('a');
    await clock.advance(1_001);
    upstream.calls[0]!.resolve('v');
    await slow;
    const hung = cache.get('b').catch(() => {});
    await clock.advance(10_000);
    await hung;

    expect(told.filter(([level]) => level !== 'debug').map(([level, message]) => [level, message])).toEqual([
      ['warn', 'flight settled'],
      ['error', 'flight exceeded maxDuration'],
    ]);
  });

  test('a crowd is told once per flight, not once per caller', async () => {
    const { cache, upstream, told } = setup({ crowd: 2 });

    const reads = Array.from({ length: 50 }, () => cache.get('a'));
    upstream.calls[0]!.resolve('v');
    await Promise.all(reads);

    expect(told.filter(([, message]) => message === 'crowd')).toEqual([['warn', 'crowd', { subscribers: 3 }]]);
  });

  test('at most ten lines per second and kind, then how many more: a storm must not become a second one', async () => {
    const { cache, clock, told } = setup();

    for (let index = 0; index < 25; index += 1) void cache.get(`k${index}`).catch(() => {});
    const during = told.length;
    await clock.advance(1_000);

    expect(during).toBe(10);
    expect(told.slice(10)).toEqual([['debug', 'flight started: 15 more', { more: 15 }]]);
    await clock.advance(20_000);
  });

  test('a tier lost and back is told once each', async () => {
    const { logger, told } = lines();
    const tier = chaos(mapStorage());
    const cache = new TieredCache<string>({ ttl: '1m', memory: false, storage: tier, upstream: () => 'v' });
    logTo(cache, logger);

    tier.failAlways('all');
    for (let index = 0; index < 8; index += 1) await cache.get(`k${index}`);
    tier.restore();
    await cache.set('k', 'v');

    const tiers = told.filter(([, message]) => message.startsWith('storage')).map(([, message]) => message);
    expect(tiers).toEqual(['storage tier lost', 'storage tier back']);
  });

  test('a dead letter is an error, without what was written', async () => {
    const { logger, told } = lines();
    const sink = (batch: readonly unknown[]): { reject: string }[] => batch.map(() => ({ reject: 'secret-value' }));
    const writes = new WriteBehind<string>({ sink });
    logTo(writes, logger, { keys: true });

    await writes.put('k', 'secret-value');
    await writes.flush();

    expect(told).toEqual([['error', 'write became a dead letter', { key: 'k' }]]);
  });

  test('a logger that throws fails no read and hides nothing from other listeners', async () => {
    const fail = (): never => {
      throw new Error('disk full');
    };
    const cache = new TieredCache<string>({ ttl: '1s', upstream: () => 'v' });
    const errors: unknown[] = [];
    cache.on('error', (event) => errors.push(event));
    logTo(cache, { debug: fail, info: fail, warn: fail, error: fail });

    await expect(cache.get('a')).resolves.toBe('v');
    expect(errors).toEqual([]);
  });

  test.each([
    ['markup', '<img src=x>', '<img src=x>'],
    ['control characters', 'a\u001B[2Jb\nc', 'a\uFFFD[2Jb\uFFFDc'],
    ['half of a character', 'a\uD800', 'a\uFFFD'],
    ['10 kB', 'x'.repeat(10_000), `${'x'.repeat(127)}…`],
  ])('a key with %s becomes one readable word', async (_case, key, shown) => {
    const { cache, upstream, told } = setup({ keys: true });

    void cache.get(key);
    upstream.calls[0]!.resolve('v');

    expect(told[0]![2]['key']).toBe(shown);
  });

  test('a grouping of keys is bounded, and may fail', async () => {
    const { cache, told, clock } = setup({
      keys: (key) => {
        if (key === 'bad') throw new Error('no');
        return key;
      },
    });

    void cache.get('bad').catch(() => {});
    for (let index = 0; index < 150; index += 1) {
      void cache.get(`g${index}`).catch(() => {});
      if (index % 5 === 0) await clock.advance(1_000);
    }

    const groups = new Set(told.map(([, , fields]) => fields['key']));
    expect(groups.has('other')).toBe(true);
    expect(groups.size).toBeLessThanOrEqual(102);
  });

  test('what it returns ends the lines', async () => {
    const { cache, told, upstream, stop } = setup();

    stop();
    void cache.get('a');
    upstream.calls[0]!.resolve('v');

    expect(told).toEqual([]);
  });

  test.each([
    ['a source without events', new Singleflight(), lines().logger, {}],
    ['no logger', new TieredCache<string>({ ttl: 1 }), undefined, {}],
    ['a logger without levels', new TieredCache<string>({ ttl: 1 }), { info: () => {} }, {}],
    ['a crowd of nobody', new TieredCache<string>({ ttl: 1 }), lines().logger, { crowd: 0 }],
    ['keys by a word', new TieredCache<string>({ ttl: 1 }), lines().logger, { keys: 'plain' }],
  ])('%s is a TypeError', (_case, source, logger, options) => {
    expect(() => logTo(source as never, logger as never, options as never)).toThrow(TypeError);
  });
});
