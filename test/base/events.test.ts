import { describe, expect, test } from 'vitest';

import { Events, isEventType, type CacheEvent } from '../../src/base/events.js';

const hit: CacheEvent = { type: 'hit', key: 'k', tier: 'memory' };

describe('listening', () => {
  test('brings the events of one type, as they are, until it is ended', () => {
    const events = new Events();
    const seen: CacheEvent[] = [];

    const off = events.on('hit', (event) => seen.push(event));
    events.emit(hit);
    events.emit({ type: 'miss', key: 'k' });
    off();
    events.emit(hit);

    expect(seen).toHaveLength(1);
    expect(seen[0]).toBe(hit);
  });

  test('twice with one function brings each event twice, and each leaves on its own', () => {
    const events = new Events();
    let calls = 0;
    const listener = (): void => void (calls += 1);

    const [off] = [events.on('hit', listener), events.on('hit', listener)];
    events.emit(hit);
    off();
    off();
    events.emit(hit);

    expect(calls).toBe(3);
  });

  test('reaches listeners in the order they came', () => {
    const events = new Events();
    const order: number[] = [];

    for (const place of [1, 2, 3]) events.on('hit', () => order.push(place));
    events.emit(hit);

    expect(order).toEqual([1, 2, 3]);
  });

  test('may begin and end inside a listener', () => {
    const events = new Events();
    const order: string[] = [];

    const off = events.on('hit', () => {
      order.push('first');
      off();
      events.on('hit', () => order.push('late'));
    });
    events.on('hit', () => order.push('second'));
    events.emit(hit);
    events.emit(hit);

    expect(order).toEqual(['first', 'second', 'second', 'late']);
  });
});

describe('with no listener', () => {
  test('no event is wanted, so none needs to be built', () => {
    const events = new Events();
    const before = [events.heard, events.wants('hit')];

    const off = events.on('hit', () => {});
    const during = [events.heard, events.wants('hit'), events.wants('miss')];
    off();

    expect(before).toEqual([false, false]);
    expect(during).toEqual([true, true, false]);
    expect([events.heard, events.wants('hit')]).toEqual([false, false]);
  });

  test('the last to leave one type does not silence another', () => {
    const events = new Events();

    const off = events.on('hit', () => {});
    events.on('miss', () => {});
    off();

    expect([events.heard, events.wants('hit'), events.wants('miss')]).toEqual([true, false, true]);
  });

  test('leaving after everything was cleared harms nobody who came later', () => {
    const events = new Events();
    let calls = 0;

    const off = events.on('hit', () => {});
    events.clear();
    const cleared = [events.heard, events.wants('hit')];
    events.on('hit', () => (calls += 1));
    off();
    events.emit(hit);

    expect(cleared).toEqual([false, false]);
    expect(events.wants('hit')).toBe(true);
    expect(calls).toBe(1);
  });

  test('emitting is no error, not even of an error', () => {
    const events = new Events();

    expect(() => events.emit({ type: 'error', source: 'ttl', error: 'reason' })).not.toThrow();
  });
});

describe('a listener that throws', () => {
  test('becomes an error event, and the others hear the event all the same', () => {
    const events = new Events();
    const failure = new Error('listener broken');
    const seen: CacheEvent[] = [];

    events.on('hit', () => {
      throw failure;
    });
    events.on('hit', (event) => seen.push(event));
    events.on('error', (event) => seen.push(event));
    events.emit(hit);

    expect(seen).toEqual([{ type: 'error', source: 'listener', error: failure }, hit]);
  });

  test('of error events is told of itself no more', () => {
    const events = new Events();
    let calls = 0;

    events.on('error', () => {
      calls += 1;
      throw new Error('again');
    });
    events.emit({ type: 'error', source: 'ttl', error: 'reason' });

    expect(calls).toBe(1);
  });
});

describe('the names of events', () => {
  test.each([
    'hit',
    'stale',
    'miss',
    'fallback',
    'coalesced',
    'load',
    'load-error',
    'revalidate',
    'set',
    'invalidate',
    'expire',
    'tier-error',
    'error',
  ])('%s is one', (name) => {
    expect(isEventType(name)).toBe(true);
  });

  test.each(['', 'hits', 'constructor', undefined, null, 0])('%o is none', (name) => {
    expect(isEventType(name)).toBe(false);
  });
});
