import type { DurableCacheOptions, ObjectWriteOptions } from '../../src/cloudflare/index.js';
import type { Loaded, LoadContext, MaybePromise } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';

/** What the upstream gives, unless a test decides otherwise. */
export interface Product {
  readonly id: string;
  readonly load: number;
}

/** What may be written to objects that take writes. */
export type Note = Readonly<Record<string, unknown>>;

/** What the objects of worker.ts are told to do. Each test file has its own. */
interface Script {
  readonly clock: ManualClock;
  upstream: (key: string, load: LoadContext<Product>) => MaybePromise<Product | Loaded<Product>>;
  writes: ObjectWriteOptions<Note>;
  /** A version of the program may take none. */
  takesWrites: boolean;
  /** Further options of objects that take writes. */
  object: Pick<DurableCacheOptions<Note>, 'cors'>;
  /** What the main database behind objects that take writes gives. */
  loadNote: () => Note;
}

export const script: Script = {
  clock: manualClock(),
  upstream: () => {
    throw new Error('No test said what to load');
  },
  object: {},
  loadNote: () => ({ from: 'upstream' }),
  takesWrites: true,
  writes: {
    sink: () => {
      throw new Error('No test said where writes go');
    },
  },
};
