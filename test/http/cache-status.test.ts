import { describe, expect, test } from 'vitest';

import { toCacheStatus, type Lookup } from '../../src/index.js';

const story: Lookup<string> = {
  ...{ value: 'v', status: 'hit', tier: 'memory', role: 'none', age: 400, freshFor: 9_600, staleFor: 9_600 },
  ...{ createdAt: 0, tags: [], meta: undefined, stored: true },
};

describe('the Cache-Status of a read (RFC 9211)', () => {
  test.each<[string, Partial<Lookup<string>>]>([
    ['soloflight; hit; ttl=9; detail=memory', {}],
    ['soloflight; hit; ttl=-1; detail=sqlite', { status: 'stale', tier: 'sqlite', freshFor: -400 }],
    ['soloflight; fwd=miss; stored; ttl=9', { status: 'miss', tier: 'upstream', role: 'leader' }],
    ['soloflight; fwd=miss; stored; collapsed; ttl=9', { status: 'miss', tier: 'upstream', role: 'follower' }],
    ['soloflight; fwd=miss; ttl=0', { status: 'miss', tier: 'upstream', role: 'leader', stored: false, freshFor: 0 }],
    ['soloflight; fwd=stale; ttl=-120; detail=stale-if-error', { status: 'fallback', freshFor: -120_000 }],
    ['soloflight; hit; detail=memory', { freshFor: Infinity }],
    ['soloflight; hit; ttl=9; detail="my tier \\"a\\""', { tier: 'my tier "a"' }],
    ['soloflight; hit; ttl=9', { tier: 'größe' }],
  ])('%s', (expected, parts) => {
    expect(toCacheStatus({ ...story, ...parts })).toBe(expected);
  });

  test('the name of the cache is a token where it can be, else a quoted string', () => {
    expect(toCacheStatus(story, 'edge-1')).toBe('edge-1; hit; ttl=9; detail=memory');
    expect(toCacheStatus(story, 'the edge')).toBe('"the edge"; hit; ttl=9; detail=memory');
    expect(toCacheStatus(story, 'a\\b')).toBe('"a\\\\b"; hit; ttl=9; detail=memory');
  });
});
