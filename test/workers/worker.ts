import { DurableObject } from 'cloudflare:workers';

import { CacheObject, objectWrites, type DurableCacheOptions } from '../../src/cloudflare/index.js';
import { loaded } from '../../src/index.js';
import { script, type Note, type Product } from './script.js';

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import('./worker.js');
    }
    interface Env {
      readonly BARE: DurableObjectNamespace<BareObject>;
      readonly GATE: DurableObjectNamespace<GateObject>;
      readonly SCRIPTED: DurableObjectNamespace<ScriptedObject>;
      readonly IDLE: DurableObjectNamespace<IdleObject>;
      readonly BRIEF: DurableObjectNamespace<BriefObject>;
      readonly REMINDERS: DurableObjectNamespace<RemindingObject>;
      readonly WRITING: DurableObjectNamespace<WritingObject>;
      readonly PROMPT: DurableObjectNamespace<PromptObject>;
      readonly UNCONFIGURED: DurableObjectNamespace<UnconfiguredObject>;
      readonly MISCONFIGURED: DurableObjectNamespace<MisconfiguredObject>;
      readonly KV: KVNamespace;
    }
  }
}

/** An object with nothing but storage; tests bring their own code by `runInDurableObject`. */
export class BareObject extends DurableObject {
  override fetch(): Response {
    return new Response('bare');
  }
}

/** Holds back whoever wants to pass until a test opens it. Promises must not be resolved across objects; calls may. */
export class GateObject extends DurableObject {
  readonly #opened = Promise.withResolvers<void>();
  readonly #reached = Promise.withResolvers<void>();

  async pass(): Promise<void> {
    this.#reached.resolve();
    await this.#opened.promise;
  }

  /** Resolves when somebody stands before it. */
  async reached(): Promise<void> {
    await this.#reached.promise;
  }

  async open(): Promise<void> {
    this.#opened.resolve();
  }
}

/** A cache whose upstream and clock a test has in its hands. Tests and objects share one isolate. */
export class ScriptedObject extends CacheObject<Cloudflare.Env, Product> {
  protected override configure(): DurableCacheOptions<Product> {
    return {
      ttl: '10s',
      staleWhileRevalidate: '50s',
      staleIfError: '1h',
      clock: script.clock,
      upstream: (key, load) => script.upstream(key, load),
    };
  }
}

/** A cache that goes away when nobody asks for a minute. */
export class IdleObject extends CacheObject<Cloudflare.Env, string> {
  protected override configure(): DurableCacheOptions<string> {
    return {
      ttl: '10s',
      staleIfError: '1m',
      idleTtl: '1m',
      sweepEvery: '20s',
      clock: script.clock,
      upstream: (key) => {
        if (key.startsWith('failing')) throw new Error('down');
        return loaded(`value of ${key}`, key.startsWith('unstored') ? { store: false } : {});
      },
    };
  }
}

/** The same by the platform's own clock and alarm. */
export class BriefObject extends CacheObject<Cloudflare.Env, string> {
  protected override configure(): DurableCacheOptions<string> {
    return { ttl: '1m', idleTtl: '50ms', upstream: (key) => `value of ${key}` };
  }
}

/** A cache that uses alarms for something of its own. */
export class RemindingObject extends CacheObject<Cloudflare.Env, string> {
  readonly rung: string[] = [];

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.alarms.on('remind', () => void this.rung.push('remind'));
    this.alarms.on('flaky', ({ attempt }) => {
      this.rung.push(`flaky ${attempt}`);
      if (attempt < 3) throw new Error('not yet');
    });
  }

  protected override configure(): DurableCacheOptions<string> {
    const onAlarmError = (name: string, error: unknown): void => void this.rung.push(`${name}: ${String(error)}`);
    return { ttl: '1s', staleWhileRevalidate: '1m', clock: script.clock, onAlarmError, upstream: (key) => key };
  }

  async remindAt(name: 'remind' | 'flaky', at: number): Promise<void> {
    await this.alarms.set(name, at);
  }
}

/** A cache that takes writes. Its main database is empty: what is not pending was never there. */
export class WritingObject extends CacheObject<Cloudflare.Env, Note> {
  protected override configure(): DurableCacheOptions<Note> {
    return {
      ...{
        ttl: '10s',
        staleIfError: '1h',
        idleTtl: '1d',
        clock: script.clock,
        ...(script.takesWrites ? { writes: objectWrites(script.writes) } : {}),
        ...script.object,
      },
      upstream: () => script.loadNote(),
    };
  }

  /** What has become a dead letter, by key. */
  async dead(): Promise<string[]> {
    return (await this.writes.deadLetters.list()).map(({ key }) => key);
  }
}

/** The same by the platform's own clock and alarm. */
export class PromptObject extends CacheObject<Cloudflare.Env, Note> {
  protected override configure(): DurableCacheOptions<Note> {
    return { ttl: '1m', writes: objectWrites({ ...script.writes, flushEvery: '50ms' }) };
  }
}

/** What a class looks like whose author forgot the one thing, and whose compiler did not tell. */
export class UnconfiguredObject extends (CacheObject as unknown as new (
  ctx: DurableObjectState,
  env: Cloudflare.Env,
) => IdleObject) {}

export class MisconfiguredObject extends CacheObject<Cloudflare.Env, string> {
  protected override configure(): DurableCacheOptions<string> {
    return { ttl: -1 };
  }
}

// oxlint-disable-next-line import/no-default-export -- what the platform looks for
export default {
  fetch: () => new Response('worker'),
} satisfies ExportedHandler<Cloudflare.Env>;
