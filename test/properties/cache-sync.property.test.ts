import { describe, expect, test } from 'vitest';

import {
  applied,
  changeOf,
  covers,
  edited,
  mergedEdits,
  newest,
  resolved,
  type Change,
  type ConflictPolicy,
  type EditableProfile,
  type FieldName,
  type Profile,
} from '../../examples/cache-sync/profile.js';
import { fc, runs } from '../support/property.js';

const PEOPLE = ['me', 'you', 'they'] as const;
const who = fc.nat(2);
const field = fc.constantFrom<FieldName>('name', 'mail');
type Step =
  | { readonly type: 'edit'; readonly who: number; readonly field: FieldName }
  | { readonly type: 'send'; readonly who: number; readonly lost: boolean }
  | { readonly type: 'look'; readonly who: number }
  /** A copy of an earlier request arrives. */
  | { readonly type: 'late'; readonly which: number }
  | { readonly type: 'flush' };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('edit' as const), who, field }),
  fc.record({ type: fc.constant('send' as const), who, lost: fc.boolean() }),
  fc.record({ type: fc.constant('look' as const), who }),
  fc.record({ type: fc.constant('late' as const), which: fc.nat(20) }),
  fc.record({ type: fc.constant('flush' as const) }),
);

/** Runs `steps`; gives the fields whose last value somebody had knowingly replaced, and whether all sides agree. */
function run(steps: readonly Step[], policy: ConflictPolicy, skews: readonly number[], lates: boolean) {
  const first: Profile = { name: { value: 'n0', at: 0, by: 'db' }, mail: { value: 'm0', at: 0, by: 'db' } };
  let now = 1_000_000;
  let object = first;
  let database = first;
  const sent: Change[] = [];
  const replaced = new Set<string>();
  const saw = new Map<string, string>();
  const people = PEOPLE.map((by, i) => ({
    by,
    skew: skews[i] ?? 0,
    known: first as EditableProfile,
    queue: [] as { value: EditableProfile; tried: boolean }[],
  }));
  const shownTo = (p: (typeof people)[number]): EditableProfile =>
    p.queue.reduce((all, { value }, i) => (i === 0 ? value : mergedEdits(all, value)), p.known);
  const send = (p: (typeof people)[number], lost: boolean): void => {
    const [head] = p.queue;
    if (head === undefined) return;
    head.tried = true;
    for (let tries = 0; tries < 3; tries += 1) {
      const change = changeOf(head.value);
      sent.push(change);
      const next = applied(object, change, now);
      if (next !== 'conflict') {
        object = next;
        if (!lost) p.queue.shift();
        return;
      }
      const decided = resolved(policy, head.value, object);
      if (decided === 'remote') return void p.queue.shift();
      head.value = decided;
    }
  };
  let count = 0;
  const take = (s: Step): void => {
    now += 1_000;
    if (s.type === 'edit') {
      const p = people[s.who]!;
      const shown = shownTo(p);
      const id = `${s.field}${(count += 1)}`;
      saw.set(id, shown[s.field].value);
      const value = edited(shown, { [s.field]: id }, { at: now + p.skew, by: p.by });
      const last = p.queue.at(-1);
      if (last !== undefined && !last.tried) last.value = mergedEdits(last.value, value);
      else p.queue.push({ value, tried: false });
    } else if (s.type === 'send') send(people[s.who]!, s.lost);
    else if (s.type === 'look') {
      const p = people[s.who]!;
      if (p.queue.length === 0) p.known = object;
    } else if (s.type === 'late' && lates && sent.length > 0) {
      const next = applied(object, sent[s.which % sent.length]!, now);
      if (next !== 'conflict') object = next;
    } else if (s.type === 'flush') {
      if (!covers(object, database)) object = newest(object, database);
      database = object;
    }
  };
  steps.forEach(take);
  for (const p of people) while (p.queue.length > 0) send(p, false);
  take({ type: 'flush' });
  for (const p of people) p.known = object;
  for (const [, old] of saw) replaced.add(old);
  // A value that is final although somebody saw it and replaced it, and whose replacement nobody decided against.
  const back = (['name', 'mail'] as const).filter(
    (name) =>
      replaced.has(object[name].value) &&
      [...saw].some(([id, old]) => old === object[name].value && id !== object[name].value),
  );
  return { back, agree: JSON.stringify(database) === JSON.stringify(object), object };
}

describe('three people who edit one profile, in any order, with and without network', () => {
  test.each([
    ['newest', 0, false],
    ['newest', 0, true],
    ['theirs', 0, false],
    ['mine', 0, false],
    ['newest', 300_000, false],
  ] as const)(
    'agree in the end, and no edit that somebody saw and replaced comes back (%s, clocks off by %d ms, late copies: %s)',
    (policy, skew, lates) => {
      fc.assert(
        fc.property(
          fc.array(step, { maxLength: 14 }),
          fc.array(fc.integer({ min: -skew, max: skew }), { minLength: 3, maxLength: 3 }),
          (steps, skews) => {
            const { back, agree } = run(steps, policy, skews, lates);
            expect([back, agree]).toEqual([[], true]);
          },
        ),
        { numRuns: runs(2_000) },
      );
    },
  );
});
