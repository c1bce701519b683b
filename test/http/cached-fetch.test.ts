import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startOrigin } from '../support/http-origin.js';
import { httpSuite } from './suite/index.js';

let origin: Awaited<ReturnType<typeof startOrigin>>;
beforeAll(async () => (origin = await startOrigin()) && undefined);
afterAll(() => origin.close());

httpSuite({ describe, test, expect, origin: () => origin.url });
