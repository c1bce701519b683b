import type { MemoryTier } from '../contracts.js';

/** A memory tier that holds nothing: every read goes to storage, coalesced as usual. */
export function noMemory(): MemoryTier<never> {
  return {
    get: () => undefined,
    peek: () => undefined,
    set: () => {},
    delete: () => false,
    clear: () => {},
    size: 0,
  };
}
