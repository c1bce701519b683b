import type { BackplaneAdapter, BackplaneListener, BackplaneMessage } from '../../contracts.js';
import type { Core } from './core.js';
import { GAP } from './history.js';
import type { Link } from './link.js';
import type { Life } from './process.js';

/** The name of the backplane among the services. */
export const BACKPLANE = 'backplane';

interface Subscriber {
  readonly process: string;
  readonly life: Life;
  readonly listener: BackplaneListener;
  last: number;
}

/** Where all messages of a simulated backplane meet. */
export class Hub {
  readonly #core: Core;
  readonly #subscribers = new Set<Subscriber>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** The backplane as one life of a process sees it. */
  adapter(process: string, life: Life, link: Link): BackplaneAdapter {
    return {
      name: BACKPLANE,
      publish: (messages) =>
        link.request(`publish ${messages.map(inWords).join(', ')}`, () => {
          for (const to of this.#subscribers) for (const message of messages) this.#send(to, message);
        }),
      subscribe: (listener) =>
        link.request('subscribe', () => {
          const subscriber: Subscriber = { process, life, listener, last: 0 };
          this.#subscribers.add(subscriber);
          return () => void this.#subscribers.delete(subscriber);
        }),
    };
  }

  #send(to: Subscriber, message: BackplaneMessage): void {
    const { faults, heap, network, streams } = this.#core;
    const stream = streams.of(`hub ${to.process}`);
    const delay = stream.within(faults.backplaneDelay);
    const lost = stream.happens(faults.backplaneLoss);
    const overtaken = stream.happens(faults.backplaneDisorder);
    if (lost || network.isCut(to.process, BACKPLANE)) return this.#miss(to, message);
    const sent = Math.max(heap.time, network.heldUntil(to.process, BACKPLANE));
    const due = overtaken ? sent + 2 * delay : Math.max(to.last, sent + delay);
    if (!overtaken) to.last = due;
    to.life.arrive(due - heap.time, () => {
      if (network.isCut(to.process, BACKPLANE)) return this.#miss(to, message);
      this.#core.note(to.process, `hears of ${inWords(message)}`);
      if (this.#subscribers.has(to)) to.listener.receive(message);
    });
  }

  /** Tells of the gap as soon as the connection is there again. */
  #miss(to: Subscriber, message: BackplaneMessage): void {
    this.#core.note(to.process, `misses ${inWords(message)}`);
    this.#tellGap(to, this.#core.heap.time);
  }

  #tellGap(to: Subscriber, since: number): void {
    const { faults, network, streams } = this.#core;
    to.life.arrive(streams.of(`hub ${to.process}`).within(faults.gapNotice), () => {
      if (!this.#subscribers.has(to)) return;
      if (network.isCut(to.process, BACKPLANE)) return this.#tellGap(to, since);
      this.#core.note(to.process, 'hears that messages may be lost');
      this.#core.log.disturbances.push({ process: to.process, what: GAP, from: since, until: this.#core.heap.time });
      to.listener.lost();
    });
  }
}

function inWords({ kind, keys, tags }: BackplaneMessage): string {
  return [kind, ...(keys ?? tags ?? [])].join(' ');
}
