import { LRUCache } from 'lru-cache';
import { TieredCache } from 'soloflight';

import type { Post } from './database.ts';

export type Way = 'no protection' | 'cache only' | 'soloflight';

/** Finds a post by its id. */
type FindPost = (id: string) => Promise<Post | undefined>;

/** The three ways to put `query` behind a page. Both caches keep a post for `ttl` milliseconds. */
export const ways: Record<Way, (query: FindPost, ttl: number) => FindPost> = {
  'no protection': (query) => query,

  'cache only': (query, ttl) => {
    const cache = new LRUCache<string, Post>({ max: 10_000, ttl });
    return async (id) => {
      const held = cache.get(id);
      if (held) return held;

      const post = await query(id);
      cache.set(id, post);
      return post;
    };
  },

  soloflight: (query, ttl) => {
    const cache = new TieredCache<Post | undefined>({
      ttl,
      staleWhileRevalidate: '2s',
      staleIfError: '1m',
      errorBackoff: { initial: '500ms', max: '2s' },
      upstream: query,
    });
    return (id) => cache.get(id);
  },
};
