import { EventHeap } from './events.js';
import { resolveFaults, type FaultPlan, type Faults } from './faults.js';
import { HistoryLog } from './history-log.js';
import { Network } from './network.js';
import { Streams } from './streams.js';
import { Trace } from './trace.js';

/** What all parts of a simulated world share. */
export class Core {
  readonly heap: EventHeap = new EventHeap();
  readonly trace: Trace = new Trace();
  readonly streams: Streams;
  readonly faults: Faults;
  readonly network: Network = new Network(() => this.heap.time);
  readonly log: HistoryLog = new HistoryLog(this.heap, (process, text) => this.note(process, text));
  /** Services that hang do nothing until then. */
  readonly services: Map<string, { readonly hangsUntil: number }> = new Map();

  constructor(seed: number, plan: FaultPlan) {
    this.streams = new Streams(seed);
    this.faults = resolveFaults(plan);
  }

  note(column: string, text: string): void {
    this.trace.note(this.heap.time, column, text);
  }
}
