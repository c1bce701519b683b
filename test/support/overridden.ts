import type { StorageTier } from '../../src/index.js';

/** `tier` with some of its members replaced. */
export function overridden(tier: StorageTier, members: Partial<StorageTier>): StorageTier {
  return new Proxy(tier, {
    get(target, name) {
      if (name in members) return Reflect.get(members, name);
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
