import { coalescing } from './coalescing.js';
import type { HttpSuite } from './setup.js';

/** Everything that `cachedFetch` promises, shown over real sockets; runs wherever there is a `fetch`. */
export function httpSuite(suite: HttpSuite): void {
  coalescing(suite);
}
