import type { MaybePromise, StorageTier, WriteQueue } from '../contracts.js';

/** A storage tier of a browser. */
export interface BrowserStorage extends StorageTier {
  /**
   * Removes everything that it holds, of all tabs and all namespaces: when a user signs out.
   *
   * What was loaded before, in whichever tab, is not stored afterwards. Call `clear` of the caches first, for their memory.
   */
  wipe(): MaybePromise<void>;
}

/** A queue of a browser. */
export interface BrowserQueue extends WriteQueue {
  /**
   * Forgets everything that it holds: when a user signs out, and nothing that owns it is open in this tab.
   *
   * An open `WriteBehind`, in whichever tab, thereby loses the queue, and delivers nothing of it any more. The `wipe` of a
   * `WriteBehind`, or of `sharedWrites`, leaves it open.
   */
  wipe(): MaybePromise<void>;
}
