import type { Question } from './question.ts';

type Lazily = () => Promise<{ readonly question: Question }>;

/** All questions, in the order of the report. */
export const questions: Readonly<Record<string, Lazily>> = {
  'fresh-hit': () => import('./fresh-hit.ts'),
  peek: () => import('./peek.ts'),
  'many-keys': () => import('./many-keys.ts'),
  'tagged-hit': () => import('./tagged-hit.ts'),
  keys: () => import('./keys.ts'),
  joining: () => import('./joining.ts'),
  distinct: () => import('./distinct.ts'),
  'stale-burst': () => import('./stale-burst.ts'),
  'failing-upstream': () => import('./failing-upstream.ts'),
  'expiry-storm': () => import('./expiry-storm.ts'),
  memory: () => import('./memory.ts'),
  'storage-reads': () => import('./storage-reads.ts'),
  writes: () => import('./writes.ts'),
  size: () => import('./size.ts'),
};
