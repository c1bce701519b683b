import * as runtime from 'cloudflare:workers';

import { setDefaultScope } from './cache/default-scope.js';
import { requestScope } from './requests/scope.js';

// The entry `soloflight` where the `workerd` condition holds: a `TieredCache` that says nothing of its scope is safe there,
// although requests share no I/O context.
setDefaultScope(requestScope({ waitUntil: runtime.waitUntil }));

export * from './index.js';
