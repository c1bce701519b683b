import type { Loaded, LoadContext, MaybePromise } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** What the upstream gives, unless a test decides otherwise. */
export interface Product {
  readonly id: string;
  readonly load: number;
}

/** What the objects of worker.ts are told to do. Each test file has its own. */
interface Script {
  readonly clock: ManualClock;
  upstream: (key: string, load: LoadContext<Product>) => MaybePromise<Product | Loaded<Product>>;
}

export const script: Script = {
  clock: manualClock(),
  upstream: () => {
    throw new Error('No test said what to load');
  },
};
