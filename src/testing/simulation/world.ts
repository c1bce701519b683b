import type {
  Backplane,
  BackplaneAdapter,
  Clock,
  StorageAdapter,
  StorageTier,
  Upstream,
  WriteQueue,
} from '../../contracts.js';
import type { FaultEvent } from './faults.js';
import type { History } from './history.js';
import type { Recorder } from './recorder.js';
import type { StorageFeatures } from './storage.js';
import type { SimulatedStore } from './store.js';

/** How a process sees a simulated storage. */
export interface StorageOptions extends StorageFeatures {
  /** Alters the adapter, for example to plant a fault. */
  readonly change?: (adapter: StorageAdapter) => StorageAdapter;
}

/** What the code of a simulated process is given instead of the real things. */
export interface ProcessParts {
  readonly name: string;
  /** Time, timers and chance of this process. */
  readonly clock: Clock;
  /**
   * The one storage of its kind that all processes share: `'redis'` behind a network, with leases, or `'sqlite'`, a file that
   * answers in the same instant.
   */
  readonly storage: (kind: 'redis' | 'sqlite', options?: StorageOptions) => StorageTier;
  /** The backplane of all processes. `change` alters the adapter, for example to plant a fault. */
  readonly backplane: (change?: (adapter: BackplaneAdapter) => BackplaneAdapter) => Backplane;
  /**
   * A queue that survives crashes: `'disk'` on the disk of this process, `'redis'` one that all processes share behind a
   * network, with one owner at a time. @default 'disk'
   */
  readonly queue: (kind?: 'disk' | 'redis') => WriteQueue;
  /** Loads versions from the source. */
  readonly upstream: () => Upstream<number>;
}

/** A process of a simulated world. `S` is what its code brings. */
export interface SimProcess<S = unknown> {
  readonly name: string;
  /** What `start` returned last. */
  readonly started: S;
  /** Whether it runs: it has not crashed, or was started again. */
  readonly running: boolean;
}

/** A world in which the real code runs, and time, chance and everything outside of the code are simulated. */
export interface World {
  /** Milliseconds since it began. */
  readonly time: number;
  /** Starts a process. `start` is called once more at each restart. */
  process<S>(name: string, start: (parts: ProcessParts) => S): SimProcess<S>;
  /** Runs a script in `process`, beginning with the next event. It ends for good where the process crashes. */
  client<S>(process: SimProcess<S>, script: (ops: Recorder, started: S) => Promise<void>): void;
  /** Resolves when all scripts are over. */
  finished(): Promise<void>;
  /** Resolves after `ms` milliseconds of the world. */
  sleep(ms: number): Promise<void>;
  /** Ends a process at once. What it has sent is still delivered; nothing of it runs or arrives any more. */
  crash(process: SimProcess): void;
  /** Starts it again, with what its disk holds. One that runs crashes first. */
  restart(process: SimProcess): void;
  /** Stops a process for `ms`: its timers, and what is sent to it, wait. */
  pause(process: SimProcess, ms: number): void;
  /** Sets its wall clock, relative to where it stands. */
  jump(process: SimProcess, ms: number): void;
  /** Sets how much its wall clock is ahead of that of the world. */
  skew(process: SimProcess, ms: number): void;
  /** Cuts the process off from `'redis'` or `'backplane'`, for `ms` or until {@link heal}. */
  partition(process: SimProcess, service: string, ms?: number): void;
  /** Ends all partitions. */
  heal(): void;
  /** Lets a {@link FaultEvent} happen now. Its `at` is not looked at. */
  inflict(event: FaultEvent): void;
  /** The data of a storage, to look at and to break. */
  store(kind: 'redis' | 'sqlite'): SimulatedStore;
  readonly history: History;
  /** What happened so far: one line per event, one column per process. */
  readonly trace: string;
}
