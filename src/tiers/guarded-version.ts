import type { StorageAdapter, VersionAnswer } from '../contracts.js';
import { isEntry, type Entry } from '../entry.js';
import { misuse } from '../errors.js';
import type { Condition } from '../ports.js';

/** A storage adapter that compares versions. */
export type Versioned = StorageAdapter & Required<Pick<StorageAdapter, 'version' | 'setIfVersion'>>;

/** What storing under a version goes by. */
export interface VersionTerms extends Pick<Condition, 'losses'> {
  readonly version: string;
  /** Called if what is stored comes too late. */
  readonly onRefused: () => void;
}

/** What is to be stored under one version of one key. */
export class GuardedVersion implements Condition {
  readonly #tier: Versioned;
  readonly #key: string;
  readonly #version: string;
  readonly #onRefused: () => void;
  readonly losses: number;

  constructor(tier: Versioned, key: string, { version, losses, onRefused }: VersionTerms) {
    this.#tier = tier;
    this.#key = key;
    this.#version = version;
    this.#onRefused = onRefused;
    this.losses = losses;
  }

  async store(entry: Entry, replaces: boolean): Promise<boolean> {
    const stored: unknown = await this.#tier.setIfVersion(this.#key, entry, entry.errorUntil, this.#version, replaces);
    if (typeof stored !== 'boolean') throw misuse(`result of ${this.#tier.name}.setIfVersion`, 'a boolean', stored);
    if (!stored) this.#onRefused();
    return stored;
  }
}

/** `tier`, if it compares versions. */
export function versionedOf(tier: StorageAdapter): Versioned | undefined {
  return tier.version === undefined || tier.setIfVersion === undefined ? undefined : (tier as Versioned);
}

/** Whether `answer`, something a tier returned, answers a request for a version. */
export function isVersionAnswer(answer: unknown): answer is VersionAnswer {
  const { version, entry } = Object(answer) as { version?: unknown; entry?: unknown };
  return typeof version === 'string' && (entry === undefined || isEntry(entry));
}
