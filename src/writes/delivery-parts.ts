import type { Events } from '../base/events.js';
import type { MaybePromise } from '../contracts.js';
import type { Journal } from './journal.js';
import type { Lanes } from './lanes.js';
import type { WriteEvent } from './write-events.js';
import type { WriteIds } from './write-ids.js';
import type { WriteSettings } from './write-options.js';

/** The parts that a delivery works with. */
export interface DeliveryParts<V> {
  readonly settings: WriteSettings<V>;
  readonly lanes: Lanes;
  readonly journal: Journal;
  readonly events: Events<WriteEvent>;
  readonly ids: WriteIds;
  /** Resolves when the queue has been read. */
  readonly open: () => Promise<void>;
  /** Whether the queue is certainly still this one's own. */
  readonly confirm: () => MaybePromise<boolean>;
  /** Called when there may be room for more writes. */
  readonly freed: () => void;
  /** Called when what is pending for `key` is replaced or given up. */
  readonly outdate: (key: string) => void;
}
