import { badInput } from './bad-input.js';
import { bodies } from './bodies.js';
import { coalescing } from './coalescing.js';
import { credentials } from './credentials.js';
import { events } from './events.js';
import { invalidation } from './invalidation.js';
import { operator } from './operator.js';
import { policies } from './policies.js';
import { purges } from './purges.js';
import { ranges } from './ranges.js';
import { requests } from './requests.js';
import { reuse } from './reuse.js';
import type { HttpSuite } from './setup.js';
import { validation } from './validation.js';

/** Everything that `cachedFetch` promises, shown over real sockets; runs wherever there is a `fetch`. */
export function httpSuite(suite: HttpSuite): void {
  coalescing(suite);
  credentials(suite);
  bodies(suite);
  reuse(suite);
  validation(suite);
  invalidation(suite);
  policies(suite);
  purges(suite);
  ranges(suite);
  requests(suite);
  operator(suite);
  events(suite);
  badInput(suite);
}
