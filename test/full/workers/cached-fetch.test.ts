import { describe, expect, inject, test } from 'vitest';

import { httpSuite } from '../../http/suite/index.js';

httpSuite({ describe, test, expect, origin: () => inject('httpOrigin') });
