import { checkFunction, checkNames, checkObject } from '../base/checks.js';
import type { Isolation } from '../base/isolation.js';
import { CONNECT, type Clock, type Scope } from '../contracts.js';
import type { Claims } from '../flights/claims.js';
import type { OutboxOptions, OutboxPort, ScopePort } from '../ports.js';
import { RequestClaims } from './claim.js';
import { plainOnly, plainReason } from './plain-data.js';
import { RequestOutbox } from './request-outbox.js';

/** Options of {@link requestScope}. */
export interface RequestScopeOptions {
  /** Keeps the request that calls going for work it started, as the `waitUntil` of `cloudflare:workers` does. @default none */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/**
 * The scope of plain Workers, where many requests share one isolate and each has an I/O context of its own: when a request
 * ends, its work ends with it, without a trace.
 *
 * With it no caller ever waits for another request longer than that shows signs of life, and values must be plain data. It is
 * the default where the `workerd` condition holds.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function requestScope(options: RequestScopeOptions = {}): Scope {
  checkObject('options', options);
  checkNames(options, ['waitUntil']);
  checkFunction('waitUntil', options.waitUntil);
  return { kind: 'request', [CONNECT]: new RequestScope(options.waitUntil) };
}

class RequestScope implements ScopePort {
  readonly waitUntil: ScopePort['waitUntil'];

  constructor(waitUntil: ScopePort['waitUntil']) {
    this.waitUntil = waitUntil;
  }

  claims(clock: Clock, maxDuration: number): Claims {
    return new RequestClaims(clock, maxDuration);
  }

  isolation(isolation: Isolation): Isolation {
    return plainOnly(isolation);
  }

  reason(reason: unknown): unknown {
    return plainReason(reason);
  }

  outbox(options: OutboxOptions): OutboxPort {
    return new RequestOutbox(options);
  }
}
