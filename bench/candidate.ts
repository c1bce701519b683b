import type { RemoteStore } from './remote-store.ts';

/** What every candidate is asked for: small, made once per key and handed on by reference. */
export interface Value {
  readonly id: string;
  readonly title: string;
  readonly views: number;
}

export type Load = (key: string) => Promise<Value>;

/** Milliseconds, and the number of entries that must fit. */
export interface Settings {
  readonly ttl: number;
  /** 0: an entry past its ttl is loaded anew while the caller waits. */
  readonly staleWhileRevalidate: number;
  readonly max: number;
}

export interface Opened {
  /** The value of `key`, from memory or through the load. What it returns is awaited, so a plain value is fine. */
  readonly read: (key: string) => Promise<Value | undefined> | Value;
  readonly peek?: (key: string) => Value | undefined;
  /** The values of `keys`, in their order, all of which memory holds. */
  readonly readMany?: (keys: readonly string[]) => Promise<readonly unknown[]>;
  readonly close?: () => unknown;
}

/** What a question may ask of a candidate. */
export interface Abilities {
  /** Keeps values after the load. */
  readonly keeps?: true;
  /** One load for all callers of a key at a time. */
  readonly coalesces?: true;
  /** Knows a ttl. */
  readonly expires?: true;
  /** Answers from an outlived entry while it loads in the background. */
  readonly revalidates?: true;
  /** Reads memory synchronously, in a call its documentation offers for it. */
  readonly peeks?: true;
  /** Reads several keys in one call. */
  readonly readsMany?: true;
}

/** Takes writes and brings them to a sink in batches. */
export interface OpenedWrites {
  /** Resolves once the write is accepted. */
  readonly put: (key: string, value: Value) => Promise<void>;
  readonly flush: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What is set for writes beside the sink. */
export interface WritesSettings {
  readonly maxBatch: number;
  /** A file for what is accepted; without it, memory will do. */
  readonly file?: string;
}

/** Given the keys of a batch. */
export type Sink = (keys: readonly string[]) => void;

export type Kind = 'ours' | 'floor' | 'peer';

export interface Candidate {
  /** Its row in the tables. */
  readonly name: string;
  readonly kind: Kind;
  readonly can: Abilities;
  /** What a program imports to use it, for its size. */
  readonly code?: string;
  /** What was set beside ttl and size, and why; printed under the tables. */
  readonly setup?: string;
  readonly open: (load: Load, settings: Settings) => Opened;
  /** The same with `tags` on every value. */
  readonly openTagged?: (load: Load, settings: Settings, tags: readonly string[]) => Opened;
  /** One string for an argument, the same for equal ones. */
  readonly keyOf?: (argument: unknown) => string;
  /** The same with memory in front of `store`. */
  readonly openStored?: (load: Load, settings: Settings, store: RemoteStore) => Opened;
  /** Writes behind. */
  readonly openWrites?: (sink: Sink, settings: WritesSettings) => OpenedWrites;
}
