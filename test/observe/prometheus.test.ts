import { describe, expect, test } from 'vitest';

import { Singleflight, TieredCache } from '../../src/index.js';
import { observe, prometheusText, type Observed } from '../../src/observe/index.js';
import { manualClock } from '../../src/testing/index.js';
import { WriteBehind } from '../../src/writes/index.js';

function setup(): { readonly posts: TieredCache<string>; readonly clock: ReturnType<typeof manualClock> } {
  const clock = manualClock();
  const upstream = async (id: string): Promise<string> => {
    if (id === 'bad') throw new Error('no');
    await clock.advance(100);
    return `post ${id}`;
  };
  return { clock, posts: new TieredCache<string>({ ttl: '10s', clock, upstream }) };
}

/** The value of one series in `text`. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((found) => found.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('the text for Prometheus', () => {
  test('tells reads by result, and loads by reason and outcome', async () => {
    const { posts } = setup();
    observe(posts);

    await Promise.all([posts.get('1'), posts.get('1'), posts.get('bad').catch(() => {})]);
    await posts.get('1');
    const text = prometheusText({ posts });

    const requests = (result: string): number | undefined =>
      valueOf(text, `soloflight_cache_requests_total{cache_name="posts",result="${result}"}`);
    expect([requests('hit'), requests('miss'), requests('fallback')]).toEqual([1, 3, 0]);
    const loads = (outcome: string): number | undefined =>
      valueOf(text, `soloflight_cache_loads_total{cache_name="posts",reason="miss",outcome="${outcome}"}`);
    expect([loads('ok'), loads('error'), loads('timeout')]).toEqual([1, 1, 0]);
    expect(valueOf(text, 'soloflight_cache_coalesced_total{cache_name="posts"}')).toBe(1);
  });

  test('a load that a stored value stood in for is told as failed', async () => {
    const clock = manualClock();
    let fails = false;
    const upstream = (): string => {
      if (fails) throw new Error('no');
      return 'v';
    };
    const posts = new TieredCache<string>({ ttl: 10, staleIfError: '1h', clock, upstream });
    observe(posts);
    await posts.get('1');
    await clock.advance(100);
    fails = true;

    await posts.get('1');

    const series = 'soloflight_cache_loads_total{cache_name="posts",reason="miss",outcome="error"}';
    expect(valueOf(prometheusText({ posts }), series)).toBe(1);
  });

  test('classic buckets of a histogram count all that is no longer than their end', async () => {
    const { posts } = setup();
    observe(posts);
    await posts.get('1');

    const text = prometheusText({ posts });

    const upTo = (le: string): number | undefined =>
      valueOf(text, `soloflight_cache_load_duration_seconds_bucket{cache_name="posts",reason="miss",le="${le}"}`);
    expect([upTo('0.0009765625'), upTo('0.0625'), upTo('0.125'), upTo('32'), upTo('+Inf')]).toEqual([0, 0, 1, 1, 1]);
    expect(valueOf(text, 'soloflight_cache_load_duration_seconds_sum{cache_name="posts",reason="miss"}')).toBe(0.1);
  });

  test('a load that takes exactly as long as a bucket ends is in that bucket', async () => {
    const clock = manualClock();
    const upstream = async (): Promise<string> => {
      await clock.advance(125);
      return 'v';
    };
    const posts = new TieredCache<string>({ ttl: '10s', clock, upstream });
    observe(posts);

    await posts.get('1');

    const series = 'soloflight_cache_load_duration_seconds_bucket{cache_name="posts",reason="miss",le="0.125"}';
    expect(valueOf(prometheusText({ posts }), series)).toBe(1);
  });

  test('names that differ only beyond their cut are one series, told once: a scrape with the same twice is refused', () => {
    const long = 'x'.repeat(500);

    const text = prometheusText({ [`${long}1`]: new Singleflight(), [`${long}2`]: new Singleflight() });

    expect(text.match(/^soloflight_flights\{/gm)).toHaveLength(1);
  });

  test('a counter that nothing happened to is there with 0, or `increase` would miss its first event', () => {
    const text = prometheusText({ writes: new WriteBehind<number>({ sink: () => {} }) });

    expect(valueOf(text, 'soloflight_writes_dead_letters_total{cache_name="writes"}')).toBe(0);
  });

  test('OpenMetrics has families without `_total`, units, and an end', () => {
    const text = prometheusText(new Singleflight(), { openMetrics: true });

    expect(text).toContain('# TYPE soloflight_cache_coalesced counter\n');
    expect(text).toContain('# UNIT soloflight_flight_oldest_age_seconds seconds\n');
    expect(text).toContain('soloflight_cache_coalesced_total{cache_name="default"} 0\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
  });

  test('100,000 sources: labels are bounded and nothing is lost', () => {
    const flights = new Singleflight();
    void flights.execute('a', () => new Promise<void>(() => {}));
    const sources = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`tenant-${index}`, flights]));

    const text = prometheusText(sources);

    const found = text.match(/^soloflight_flights\{.*$/gm) ?? [];
    expect(found).toHaveLength(101);
    expect(valueOf(text, 'soloflight_flights{cache_name="other"}')).toBe(99_900);
  });

  test('a scrape during and after `close` is a scrape like any other', async () => {
    const { posts } = setup();
    await posts.get('1');

    const closing = posts.close();
    const during = prometheusText({ posts });
    await closing;
    const after = prometheusText({ posts });

    for (const text of [during, after])
      expect(valueOf(text, 'soloflight_cache_requests_total{cache_name="posts",result="miss"}')).toBe(1);
  });

  test('a source that throws when asked is left out, the others are told', () => {
    const broken = {
      getStats: () => {
        throw new Error('gone');
      },
    } as Observed;

    const text = prometheusText({ broken, flights: new Singleflight() });

    expect(valueOf(text, 'soloflight_flights{cache_name="flights"}')).toBe(0);
  });

  test.each([
    ['a number', 5],
    ['nothing', undefined],
    ['null', null],
    ['a list with a stranger', [{}]],
    ['a stranger by name', { posts: 'posts' }],
  ])('%s is no source', (_case, sources) => {
    expect(() => prometheusText(sources as never)).toThrow(TypeError);
  });

  test.each([{ 'a-b': 'x' }, { __a: 'x' }, { cache_name: 'x' }, { le: '1' }, { a: 1 }])(
    '%j are no labels: the text would be refused as a whole',
    (labels) => {
      expect(() => prometheusText(new Singleflight(), { labels: labels as never })).toThrow(/labels/);
    },
  );

  test('what `observe` returns ends the counting', async () => {
    const { posts } = setup();
    const stop = observe(posts);
    await posts.get('1');

    stop();

    const series = 'soloflight_cache_loads_total{cache_name="posts",reason="miss",outcome="ok"}';
    expect(valueOf(prometheusText({ posts }), series)).toBe(0);
  });
});
