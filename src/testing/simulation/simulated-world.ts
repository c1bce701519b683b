import type { StorageAdapter } from '../../contracts.js';
import { misuse } from '../../errors.js';
import { defineBackplane } from '../../fleet/define-backplane.js';
import { defineStorage } from '../../tiers/define-storage.js';
import { Core } from './core.js';
import type { FaultEvent, FaultPlan } from './faults.js';
import type { History } from './history.js';
import { BACKPLANE, Hub } from './hub.js';
import { Link } from './link.js';
import { EPOCH, Life } from './process.js';
import { Disk } from './queue.js';
import { ClientRecorder, type Recorder } from './recorder.js';
import { SharedQueue } from './shared-queue.js';
import { SimulatedProcess } from './simulated-process.js';
import { Source } from './source.js';
import { distantStorage, localStorage, type StorageFeatures } from './storage.js';
import { SimulatedStore } from './store.js';
import type { ProcessParts, SimProcess, StorageOptions, World } from './world.js';

/** How long a disturbance lasts that has no end of its own. */
const MOMENT = 0;

/** The one implementation of {@link World}. */
export class SimulatedWorld implements World {
  readonly #core: Core;
  readonly #hub: Hub;
  readonly #source: Source;
  readonly #processes = new Map<string, SimulatedProcess<unknown>>();
  readonly #stores = new Map<string, SimulatedStore>();
  readonly #sharedQueue = new SharedQueue(() => this.time);
  #clients = 0;
  #running = 0;
  #onFinished: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(seed: number, plan: FaultPlan) {
    this.#core = new Core(seed, plan);
    this.#hub = new Hub(this.#core);
    this.#source = new Source(this.#core);
    for (const event of this.#core.faults.events) this.#core.heap.after(event.at, () => this.inflict(event));
  }

  get time(): number {
    return this.#core.heap.time;
  }

  get history(): History {
    return this.#core.log;
  }

  get trace(): string {
    return this.#core.trace.toString();
  }

  process<S>(name: string, start: (parts: ProcessParts) => S): SimProcess<S> {
    if (this.#processes.has(name)) throw misuse('name', 'the name of no other process', name);
    this.#core.trace.open(name);
    const disk = new Disk(this.#core, name);
    const wall = { ahead: 0 };
    const process = new SimulatedProcess<S>(name, disk, wall, {
      live: () => new Life(this.#core.heap, wall, this.#core.streams.of(`process ${name}`)),
      begin: (life) => start(this.#partsOf(name, life, disk)),
    });
    this.#processes.set(name, process);
    return process;
  }

  client<S>(process: SimProcess<S>, script: (ops: Recorder, started: S) => Promise<void>): void {
    const own = this.#own(process);
    this.#clients += 1;
    this.#running += 1;
    const { life } = own;
    const recorder = new ClientRecorder(this.#core, this.#source, { life, process: own.name, client: this.#clients });
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      this.#running -= 1;
      if (this.#running === 0) for (const told of this.#onFinished.splice(0)) told();
    };
    own.ended.push(end);
    life.arrive(0, () => {
      script(recorder, process.started).then(end, (error: unknown) => {
        this.#failure ??= { error };
        end();
      });
    });
  }

  async finished(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#onFinished.push(resolve));
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#core.heap.after(ms, resolve));
  }

  crash(process: SimProcess): void {
    this.#core.note(process.name, 'CRASHES');
    this.#core.log.disturb(process.name, 'crash', MOMENT);
    this.#own(process).crash();
  }

  restart(process: SimProcess): void {
    this.#core.note(process.name, 'STARTS AGAIN');
    this.#own(process).restart();
  }

  pause(process: SimProcess, ms: number): void {
    this.#core.note(process.name, `STOPS for ${ms}`);
    this.#core.log.disturb(process.name, 'pause', ms);
    this.#own(process).life.pause(ms);
  }

  jump(process: SimProcess, ms: number): void {
    this.#core.note(process.name, `CLOCK ${ms < 0 ? '' : '+'}${ms}`);
    this.#own(process).wall.ahead += ms;
  }

  skew(process: SimProcess, ms: number): void {
    this.#core.note(process.name, `CLOCK AHEAD by ${ms}`);
    this.#own(process).wall.ahead = ms;
  }

  partition(process: SimProcess, service: string, ms: number = Infinity): void {
    this.#core.note(process.name, `CUT OFF from ${service}${ms === Infinity ? '' : ` for ${ms}`}`);
    this.#core.log.disturb(process.name, `partition ${service}`, ms);
    this.#core.network.cut(process.name, service, this.time + ms);
  }

  heal(): void {
    this.#core.note('world', 'HEALS');
    this.#core.network.heal();
    this.#core.log.heal();
  }

  inflict(event: FaultEvent): void {
    switch (event.fault) {
      case 'crash':
      case 'restart':
        return this[event.fault](this.#named(event.process));
      case 'pause':
      case 'jump':
      case 'skew':
        return this[event.fault](this.#named(event.process), event.ms);
      case 'partition':
        return this.partition(this.#named(event.process), event.service, event.ms);
      case 'stall':
        this.#core.note(event.process, `HELD from ${event.service} for ${event.ms}`);
        this.#core.log.disturb(event.process, `stall ${event.service}`, event.ms);
        return this.#core.network.hold(event.process, event.service, this.time + event.ms);
      case 'heal':
        return this.heal();
      case 'snapshot':
      case 'restore':
      case 'failover':
      case 'hang':
      case 'evict':
        return this.#breakStore(event);
    }
  }

  /** Lets the next event happen, and tells whether there was one. */
  step(): boolean {
    return this.#core.heap.step();
  }

  store(kind: 'redis' | 'sqlite'): SimulatedStore {
    const known = this.#stores.get(kind);
    if (known !== undefined) return known;
    if (kind !== 'redis' && kind !== 'sqlite') throw misuse('kind', "'redis' or 'sqlite'", kind);
    const store = new SimulatedStore(kind, () => EPOCH + this.time, kind === 'redis');
    this.#stores.set(kind, store);
    return store;
  }

  #breakStore(event: Extract<FaultEvent, { readonly store: string }>): void {
    const { log, heap, services, streams } = this.#core;
    const store = this.store(event.store as 'redis' | 'sqlite');
    this.#core.note(store.name, event.fault.toUpperCase());
    switch (event.fault) {
      case 'snapshot':
        return store.snapshot();
      case 'restore':
        log.disturb(undefined, 'restore', MOMENT);
        return store.restore();
      case 'failover':
        log.disturb(undefined, 'failover', MOMENT);
        return store.failover(EPOCH + heap.time - event.ms);
      case 'hang':
        log.disturb(undefined, 'hang', event.ms);
        services.set(store.name, { hangsUntil: heap.time + event.ms });
        return;
      case 'evict':
        for (let count = 0; count < event.count; count += 1) this.#evict(store, streams.of('eviction'));
        return;
    }
  }

  #evict(store: SimulatedStore, stream: ReturnType<Core['streams']['of']>): void {
    const name = store.evict(stream);
    if (name !== undefined) this.#core.note(store.name, `evicts ${name}`);
  }

  #partsOf(name: string, life: Life, disk: Disk): ProcessParts {
    const links = new Map<string, Link>();
    const linkTo = (service: string): Link => {
      const link = links.get(service) ?? new Link(this.#core, name, life, service);
      links.set(service, link);
      return link;
    };
    return {
      name,
      clock: life,
      storage: (kind, { change, ...features }: StorageOptions = {}) => {
        const adapter = this.#adapter(kind, name, linkTo(kind), features);
        return defineStorage(change?.(adapter) ?? adapter);
      },
      backplane: (change) => {
        const adapter = this.#hub.adapter(name, life, linkTo(BACKPLANE));
        return defineBackplane(change?.(adapter) ?? adapter);
      },
      queue: (kind = 'disk') => {
        if (kind !== 'disk' && kind !== 'redis') throw misuse('kind', "'disk' or 'redis'", kind);
        return kind === 'disk' ? disk.queue(life) : this.#sharedQueue.queue(linkTo('redis'));
      },
      upstream: () => this.#source.upstream(name, life),
    };
  }

  #adapter(kind: 'redis' | 'sqlite', name: string, link: Link, features: StorageFeatures): StorageAdapter {
    const store = this.store(kind);
    if (kind === 'sqlite') return localStorage(store, (text) => this.#core.note(name, text), features);
    const { faults, streams } = this.#core;
    const evictMaybe = (): void => {
      if (streams.of('eviction').happens(faults.eviction)) this.#evict(store, streams.of('eviction'));
    };
    return distantStorage(store, link, evictMaybe, features);
  }

  #own<S>({ name }: SimProcess<S>): SimulatedProcess<unknown> {
    return this.#named(name);
  }

  #named(name: string): SimulatedProcess<unknown> {
    const process = this.#processes.get(name);
    if (process === undefined) throw misuse('process', 'one of this world', name);
    return process;
  }
}
