import { describe, expect, test } from 'vitest';

import { TieredCache } from '../../src/cache/tiered-cache.js';
import type { LoadContext } from '../../src/contracts.js';
import { Singleflight } from '../../src/flights/singleflight.js';
import { loaded } from '../../src/read/loaded.js';
import { scriptedUpstream } from '../../src/testing/index.js';

function contextOf(key: string, changes: Partial<LoadContext<string>> = {}): LoadContext<string> {
  return {
    key,
    signal: new AbortController().signal,
    reason: 'miss',
    stale: undefined,
    execute: () => Promise.reject(new Error('not nested')),
    ...changes,
  };
}

describe('a call of a scripted upstream', () => {
  test('waits until the test settles it, in any order', async () => {
    const upstream = scriptedUpstream<string>();
    const [a, b] = [upstream('a', contextOf('a')), upstream('b', contextOf('b'))];
    expect([upstream.count, upstream.pending]).toEqual([2, 2]);

    upstream.calls[1]!.resolve('second');
    expect(await b).toBe('second');
    expect([upstream.count, upstream.pending, upstream.calls[0]!.settled, upstream.calls[1]!.settled]).toEqual([
      2,
      1,
      false,
      true,
    ]);

    const reason = new Error('down');
    upstream.calls[0]!.reject(reason);
    await expect(a).rejects.toBe(reason);
    expect(upstream.pending).toBe(0);
  });

  test('tells what it was asked', () => {
    const upstream = scriptedUpstream<string>();
    const context = contextOf('k', { reason: 'revalidate', stale: { value: 'old', createdAt: 1, meta: undefined } });

    void upstream('k', context);

    const [call] = upstream.calls;
    expect(call).toMatchObject({ key: 'k', reason: 'revalidate', stale: { value: 'old' }, settled: false });
    expect(call!.signal).toBe(context.signal);
  });

  test('asks for its signal only when the test does', () => {
    const upstream = scriptedUpstream<string>();
    let asked = 0;
    const context = { ...contextOf('k') };
    Object.defineProperty(context, 'signal', { get: () => (asked += 1) });

    void upstream('k', context);
    expect(asked).toBe(0);
    void upstream.calls[0]!.signal;
    expect(asked).toBe(1);
  });

  test('can be settled once only', async () => {
    const upstream = scriptedUpstream<string>();
    const result = upstream('k', contextOf('k'));
    upstream.calls[0]!.resolve('value');

    const message = /^This call for 'k' is settled already/;
    expect(() => upstream.calls[0]!.resolve('again')).toThrow(message);
    expect(() => upstream.calls[0]!.reject(new Error('again'))).toThrow(message);
    expect(await result).toBe('value');
  });

  test('can be rejected with anything, undefined included', async () => {
    const upstream = scriptedUpstream<string>();
    const result = upstream('k', contextOf('k'));

    upstream.calls[0]!.reject(undefined);

    await expect(result).rejects.toBeUndefined();
  });
});

describe('all calls that wait', () => {
  test('can be settled at once; later ones wait again', async () => {
    const upstream = scriptedUpstream<string>();
    const first = [upstream('a', contextOf('a')), upstream('b', contextOf('b'))];
    upstream.resolveAll('value');
    const later = upstream('c', contextOf('c'));

    expect(await Promise.all(first)).toEqual(['value', 'value']);
    expect(upstream.pending).toBe(1);
    upstream.rejectAll(new Error('down'));
    await expect(later).rejects.toThrow('down');
  });
});

describe('next', () => {
  test('waits for a call, or gives the ones that wait already, each once', async () => {
    const upstream = scriptedUpstream<string>();
    const coming = [upstream.next(), upstream.next()];

    for (const key of ['a', 'b', 'c', 'd', 'e']) void upstream(key, contextOf(key));
    expect((await Promise.all(coming)).map(({ key }) => key)).toEqual(['a', 'b']);
    upstream.calls[2]!.resolve('settled without next');
    expect((await upstream.next()).key).toBe('d');
    expect((await upstream.next()).key).toBe('e');
    const none = upstream.next();
    void upstream('f', contextOf('f'));

    expect((await none).key).toBe('f');
  });
});

describe('a scripted upstream', () => {
  test('serves a TieredCache', async () => {
    const upstream = scriptedUpstream<string>();
    const cache = new TieredCache<string>({ ttl: '10s', upstream });

    const readers = [cache.get('a'), cache.get('a')];
    (await upstream.next()).resolve(loaded('value', { tags: ['t'] }));

    expect(await Promise.all(readers)).toEqual(['value', 'value']);
    expect(upstream.count).toBe(1);
    expect((await cache.lookup('a')).tags).toEqual(['t']);
  });

  test('is the work of a Singleflight', async () => {
    const work = scriptedUpstream<number>();
    const flights = new Singleflight();

    const callers: Promise<number>[] = [flights.execute('a', work), flights.execute('a', work)];
    expect(work.calls[0]).toMatchObject({ key: 'a', reason: undefined, stale: undefined });
    work.calls[0]!.resolve(7);

    expect(await Promise.all(callers)).toEqual([7, 7]);
    expect(work.count).toBe(1);
  });

  test('sees the abort of a flight that nobody waits for', async () => {
    const work = scriptedUpstream<number>();
    const controller = new AbortController();
    const caller = new Singleflight().execute('a', work, { signal: controller.signal });

    controller.abort(new Error('gone'));

    await expect(caller).rejects.toThrow('gone');
    expect([work.calls[0]!.signal.aborted, work.calls[0]!.settled, work.pending]).toEqual([true, false, 1]);
    work.resolveAll(0);
  });
});
