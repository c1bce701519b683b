import { describe, expect, inject, test } from 'vitest';

import { httpSuite } from '../../http/suite/index.js';
import { waitPatiently } from '../../support/patience.js';

waitPatiently();

httpSuite({ describe, test, expect, origin: () => inject('httpOrigin') });
