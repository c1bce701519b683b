import { expect, test } from 'vitest';

import type { Entry } from '../../src/index.js';
import { UndecodableError } from '../../src/index.js';
import { fc, runs } from '../support/property.js';
import { scriptedTier, type ScriptedTier, type TierCall } from '../support/scripted-tier.js';
import {
  entryAt,
  READ_TIMEOUT,
  settle,
  setupGuard,
  WRITE_TIMEOUT,
  type GuardParts,
  type ScopeKind,
} from '../support/setup-guard.js';

const KEYS = ['a', 'b'] as const;

type Key = (typeof KEYS)[number];

/** What a reader of a key may find. Values are numbers that count up. */
interface Demand {
  /** Values before this one were removed or replaced. */
  oldest: number;
  /** Values before this one were expired at the instant. */
  expired: { readonly before: number; readonly at: number } | undefined;
}

/** The naive model, and the guard beside it. */
class World {
  readonly parts: GuardParts;
  readonly script: ScriptedTier;
  readonly #demands: Record<Key, Demand> = {
    a: { oldest: 0, expired: undefined },
    b: { oldest: 0, expired: undefined },
  };
  readonly #pending = new Map<Promise<unknown>, { readonly what: string; readonly deadline: number }>();
  readonly #broken: string[] = [];
  readonly #delayed: (() => void)[] = [];
  #value = 0;

  constructor(setIfNewer: boolean, scope: ScopeKind) {
    this.script = scriptedTier({ setIfNewer });
    this.parts = setupGuard(this.script.tier, scope);
    for (const key of KEYS) void this.script.stored.set(key, this.#entry(), Infinity);
  }

  put(key: Key, keep: boolean, delayed: boolean): void {
    const entry = this.#entry();
    if (keep) this.#demands[key] = { oldest: entry.value as number, expired: undefined };
    const after = delayed ? new Promise<void>((resolve) => this.#delayed.push(resolve)) : undefined;
    this.#expectInTime(
      'put',
      WRITE_TIMEOUT,
      this.parts.guard.put(key, entry, { keep, ...(after === undefined ? {} : { after }) }),
    );
  }

  remove(key: Key): void {
    this.#demands[key] = { oldest: this.#value + 1, expired: undefined };
    this.#expectInTime('remove', WRITE_TIMEOUT, this.parts.guard.remove(key));
  }

  expire(key: Key): void {
    const at = this.parts.clock.now();
    const known = this.#demands[key];
    this.#demands[key] = { ...known, expired: { before: this.#value + 1, at } };
    this.#expectInTime('expire', WRITE_TIMEOUT, this.parts.guard.expire(key, at));
  }

  get(key: Key): void {
    const demand = { ...this.#demands[key] };
    const read = Promise.resolve(this.parts.guard.get(key)).then((entry) =>
      this.#check(`read of ${key}`, entry, demand),
    );
    this.#expectInTime('get', READ_TIMEOUT, read);
  }

  /** Does to the call at `index` of those that wait what `how` says. */
  settle(index: number, how: 'pass' | 'land' | 'fail' | 'landAndFail' | 'garbage'): void {
    const { waiting } = this.script;
    const call = waiting[index % Math.max(1, waiting.length)];
    if (call === undefined) return;
    if (how === 'pass' || how === 'land') call[how]();
    else if (how === 'garbage') garble(call);
    else {
      if (how === 'landAndFail') call.land();
      call.fail();
    }
  }

  goOn(): void {
    this.#delayed.shift()?.();
  }

  async advance(ms: number): Promise<void> {
    await this.parts.clock.advanceAsync(ms);
    await settle();
    const now = this.parts.clock.monotonic();
    for (const { what, deadline } of this.#pending.values())
      if (now >= deadline) this.#broken.push(`${what} is not over by its deadline`);
  }

  /** The tier works from now on: in the end it must hold nothing that may not be served. */
  async recover(): Promise<void> {
    while (this.#delayed.length > 0) this.goOn();
    for (let round = 0; round < 60; round += 1) {
      await settle();
      for (const call of this.script.waiting) call.pass();
      await settle();
      for (const key of KEYS) this.get(key);
      void this.parts.guard.get('other');
      for (const call of this.script.waiting) call.pass();
      await this.advance(5_000);
    }
    for (const call of this.script.waiting) call.pass();
    for (const key of KEYS) this.#check(`storage of ${key}`, await this.script.stored.get(key), this.#demands[key]);
  }

  verdict(): readonly string[] {
    return this.#broken;
  }

  #entry(): Entry {
    this.#value += 1;
    return {
      ...entryAt(this.parts.clock, this.#value),
      freshUntil: Infinity,
      staleUntil: Infinity,
      errorUntil: Infinity,
    };
  }

  #check(what: string, entry: Entry | undefined, { oldest, expired }: Demand): void {
    if (entry === undefined) return;
    const value = entry.value as number;
    if (value < oldest) this.#broken.push(`${what}: ${value} is back, the oldest that may be is ${oldest}`);
    if (expired !== undefined && value < expired.before && entry.freshUntil > expired.at)
      this.#broken.push(`${what}: ${value} is fresh again`);
  }

  #expectInTime(what: string, timeout: number, work: Promise<unknown>): void {
    this.#pending.set(work, { what, deadline: this.parts.clock.monotonic() + timeout });
    work.then(
      () => this.#pending.delete(work),
      (error: unknown) => this.#broken.push(`${what} rejected: ${String(error)}`),
    );
  }
}

function garble(call: TierCall): void {
  if (call.operation === 'get') call.answer({ garbage: true });
  else call.fail(new UndecodableError(call.key, 'nonsense'));
}

/** Mostly one key, so that much happens to it. */
const key = fc.constantFrom<Key>('a', 'a', 'a', 'b');
const how = fc.constantFrom('pass', 'pass', 'land', 'fail', 'landAndFail', 'garbage');
const step: fc.Arbitrary<(world: World) => void | Promise<void>> = fc.oneof(
  fc
    .tuple(key, fc.boolean(), fc.boolean())
    .map(([k, keep, delayed]) => named(`put(${k}, ${keep}, ${delayed})`, (world) => world.put(k, keep, delayed))),
  key.map((k) => named(`remove(${k})`, (world) => world.remove(k))),
  key.map((k) => named(`expire(${k})`, (world) => world.expire(k))),
  key.map((k) => named(`get(${k})`, (world) => world.get(k))),
  fc
    .tuple(fc.nat(7), how)
    .map(([index, way]) => named(`settle(${index}, ${way})`, (world) => world.settle(index, way))),
  fc
    .tuple(fc.nat(7), how)
    .map(([index, way]) => named(`settle(${index}, ${way})`, (world) => world.settle(index, way))),
  fc.constant(named('goOn()', (world) => world.goOn())),
  fc.constant(named('turn', () => settle())),
  fc.constantFrom(1, 500, 1_000, 5_000, 20_000).map((ms) => named(`advance(${ms})`, (world) => world.advance(ms))),
);

function named(name: string, run: (world: World) => void | Promise<void>): typeof run {
  return Object.assign(run, { toString: () => name });
}

test.each<[boolean, ScopeKind]>([
  [true, 'shared'],
  [false, 'shared'],
  [true, 'request'],
  [false, 'request'],
])(
  'what was removed, replaced or expired is never found again, whatever storage does (setIfNewer: %s, scope: %s)',
  async (setIfNewer, scope) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = new World(setIfNewer, scope);
        for (const run of steps) await run(world);
        await world.recover();

        expect(world.verdict()).toEqual([]);
      }),
      { numRuns: runs(250) },
    );
  },
);
