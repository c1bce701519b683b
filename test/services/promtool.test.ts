import { describe, expect, test } from 'vitest';

import { mapStorage, Singleflight, TieredCache } from '../../src/index.js';
import { prometheusText } from '../../src/observe/index.js';
import { Batcher, WriteBehind } from '../../src/writes/index.js';
import { checkMetrics } from '../support/promtool.js';

describe('promtool, shown the text of a scrape', () => {
  test('has nothing against it, with each kind of source busy', async () => {
    const posts = new TieredCache<string>({ ttl: '10s', storage: mapStorage(), upstream: (id) => `post ${id}` });
    const flights = new Singleflight();
    const writes = new WriteBehind<number>({ sink: () => {} });
    const batcher = new Batcher<number, number>({ window: 0, handle: (items) => items });
    const sources = { posts, flights, writes, batcher };
    prometheusText(sources);

    await Promise.all([posts.get('1'), posts.get('1'), flights.execute('a', () => 1), writes.put('k', 1)]);
    await batcher.add(1);
    await posts.invalidate('1');
    await writes.flush();

    expect(checkMetrics(prometheusText(sources, { labels: { region: 'eu "1"\\' } }))).toBe('');
    await Promise.all([posts.close(), writes.close()]);
  });

  test.each([
    ['markup', '<img src=x onerror=alert(1)>"} 1'],
    ['line ends', 'a\nb\r\nsoloflight_flights 1'],
    ['control characters', '\u0000\u0007\u001B[31m\u007F\u0085'],
    ['half of a character', 'a\uD800b'],
    ['10 kB', 'x'.repeat(10_000)],
  ])('takes a name of %s', (_case, name) => {
    const text = prometheusText({ [name]: new Singleflight() });

    expect(checkMetrics(text)).toBe('');
    expect(text.length).toBeLessThan(5_000);
  });

  test('refuses a text with a fault: the check itself works', () => {
    expect(checkMetrics('soloflight_flights{a="1"} x\n')).not.toBe('');
  });
});
