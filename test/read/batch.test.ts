import { describe, expect, test } from 'vitest';

import { settle, setupCache } from '../support/setup-cache.js';

describe('several fresh keys read from memory at once', () => {
  test('are told of one by one to those who listen', async () => {
    const { cache } = setupCache();
    const hits: string[] = [];
    await cache.setMany([
      ['a', '1'],
      ['b', '2'],
    ]);
    cache.on('hit', ({ key, tier }) => hits.push(`${key} from ${tier}`));

    await cache.getMany(['b', 'a']);

    expect(hits).toEqual(['b from memory', 'a from memory']);
    expect(cache.getStats().hits).toBe(2);
  });

  test('are reloaded ahead, each where it is due', async () => {
    const { cache, clock, upstream } = setupCache({ refreshAhead: 0.5 });
    await cache.set('a', '1');
    clock.advance(600);
    await cache.set('b', '2');

    expect(await cache.getMany(['a', 'b'])).toEqual(['1', '2']);
    await settle();

    expect(upstream.calls.map(({ key }) => key)).toEqual(['a']);
    upstream.resolveAll('3');
    await cache.idle();
    expect(cache.peek('a')).toBe('3');
  });

  test('are not given to a caller who has left already, just as a single one is not', async () => {
    const { cache } = setupCache();
    await cache.set('a', '1');
    const signal = AbortSignal.abort(new Error('left'));

    const single = await cache.get('a', { signal }).then(
      () => 'answered',
      () => 'refused',
    );
    const many = await cache.getMany(['a'], { signal }).then(
      () => 'answered',
      () => 'refused',
    );

    expect(many).toBe(single);
    expect(single).toBe('refused');
  });
});

describe('a batch load that asks for its signal late', () => {
  function setup() {
    const late = Promise.withResolvers<void>();
    let signal: AbortSignal | undefined;
    const { cache } = setupCache({
      loadMany: async (keys, context) => {
        await late.promise;
        signal = context.signal;
        return await new Promise<never>((_, reject) => {
          const end = () => reject(new Error(`${keys.length} given up`));
          if (context.signal.aborted) end();
          else context.signal.addEventListener('abort', end);
        });
      },
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const reads = [cache.get('a', { signal: first.signal }), cache.get('b', { signal: second.signal })];
    const ask = async () => {
      late.resolve();
      await settle();
      return signal!;
    };
    return { first, second, reads, ask };
  }

  test('gets one that ends with the last key, though the first was given up before', async () => {
    const { first, second, reads, ask } = setup();
    await settle();
    first.abort();

    const signal = await ask();

    expect(signal.aborted).toBe(false);
    second.abort();
    expect(signal.aborted).toBe(true);
    await Promise.allSettled(reads);
  });

  test('gets one that has ended, where all keys were given up before', async () => {
    const { first, second, reads, ask } = setup();
    await settle();
    first.abort();
    second.abort();

    const signal = await ask();

    expect(signal.aborted).toBe(true);
    await Promise.allSettled(reads);
  });
});
