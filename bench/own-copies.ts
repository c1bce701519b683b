/*
 * Node keeps one copy of a module per URL, query included. What is timed gets a copy per contestant: V8 compiles code for
 * what it has seen so far, and a loop that has called two caches, or an lru-cache that has held two kinds of entries, is
 * slower than one that has met its own only.
 */

/** The loops, for one contestant. */
export async function ownLoops(owner: string): Promise<typeof import('./loops.ts')> {
  return (await import(`./loops.ts?${owner}`)) as typeof import('./loops.ts');
}

/** lru-cache, for a reference. */
export async function ownLruCache(owner: string): Promise<typeof import('lru-cache')> {
  return (await import(`${import.meta.resolve('lru-cache')}?${owner}`)) as typeof import('lru-cache');
}

/** The hand-written coalescer, for a reference. */
export async function ownCoalescer(owner: string): Promise<typeof import('./candidates/coalescer.ts')> {
  return (await import(`./candidates/coalescer.ts?${owner}`)) as typeof import('./candidates/coalescer.ts');
}
