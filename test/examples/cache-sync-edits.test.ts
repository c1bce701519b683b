import { describe, expect, onTestFinished, test } from 'vitest';

import { ProfileTable } from '../../examples/cache-sync/database/profile-table.js';
import {
  applied,
  changeOf,
  edited,
  newest,
  resolved,
  type ConflictPolicy,
  type EditableProfile,
  type Profile,
} from '../../examples/cache-sync/profile.js';

const NOW = 1_000_000;
const MINUTE = 60_000;

const BASE: Profile = { name: { value: 'Ada', at: 0, by: 'them' }, mail: { value: 'a@b', at: 0, by: 'them' } };

type Values = Parameters<typeof edited>[1];

const edit = (by: string, base: EditableProfile, values: Values, at: number): EditableProfile =>
  edited(base, values, { at, by });

/** What the object has when `local` reached it, and any conflict is decided. */
function met(object: Profile, local: EditableProfile, policy: ConflictPolicy = 'newest', now = NOW): Profile {
  const next = applied(object, changeOf(local), now);
  if (next !== 'conflict') return next;
  const decided = resolved(policy, local, object);
  return decided === 'remote' ? object : met(object, decided, policy, now);
}

describe('an edit that somebody has seen and replaced', () => {
  test('does not come back with a later edit of another field', () => {
    const first = edit('me', BASE, { name: 'Mine' }, 10);
    // While the first is being delivered.
    const second = edit('me', first, { mail: 'me@b' }, 11);
    const object = met(BASE, first);

    const replaced = met(object, edit('they', object, { name: 'Theirs' }, 20));

    expect(met(replaced, second, 'mine')).toMatchObject({ name: { value: 'Theirs' }, mail: { value: 'me@b' } });
  });

  test('does not come back by a clock that is ahead', () => {
    const first = edit('me', BASE, { name: 'Mine' }, NOW + 5 * MINUTE);
    const second = edit('me', first, { mail: 'me@b' }, NOW + 5 * MINUTE + 1);
    const object = met(BASE, first);

    const replaced = met(object, edit('they', object, { name: 'Theirs' }, NOW + 1_000));

    expect(met(replaced, second)).toMatchObject({ name: { value: 'Theirs' }, mail: { value: 'me@b' } });
  });

  test('does not come back when it is delivered again because its answer was lost', () => {
    const mine = edit('me', BASE, { name: 'Mine' }, 10);
    const object = met(BASE, mine);

    const replaced = met(object, edit('they', object, { name: 'Theirs' }, 20));

    expect(met(replaced, mine, 'mine').name.value).toBe('Theirs');
  });

  test('does not come back when a copy of its request is late', () => {
    const first = edit('me', BASE, { name: 'One' }, 10);
    const second = edit('me', first, { name: 'Two' }, 11);

    expect(met(met(met(BASE, first), second), first).name.value).toBe('Two');
  });

  test('is older than what replaced it, although the server’s clock was set back', () => {
    const one = met(BASE, edit('me', BASE, { name: 'One' }, NOW * 10), 'newest', NOW);
    const two = met(one, edit('they', one, { name: 'Two' }, NOW * 10), 'newest', NOW - 5_000);

    expect(newest(two, one).name.value).toBe('Two');
  });

  test('does not come back over a script’s, although it was made by a clock that is ahead', () => {
    const table = new ProfileTable(':memory:');
    onTestFinished(() => table.close());
    const now = Date.now();
    const before = table.get('ada')!;
    const object = met(before, edit('me', before, { name: 'Ada King' }, now + MINUTE / 2), 'newest', now);
    table.take([{ id: '1', key: 'ada', value: object }]);
    table.edit('ada', 'name', 'By a script');

    const later = met(object, edit('me', object, { mail: 'me@b' }, now + MINUTE / 2), 'newest', now);
    const [outcome] = table.take([{ id: '2', key: 'ada', value: later }]);
    if (typeof outcome === 'object' && 'conflict' in outcome)
      table.take([{ id: '2.1', key: 'ada', value: newest(later, outcome.conflict) }]);

    expect(table.get('ada')).toMatchObject({ name: { value: 'By a script' }, mail: { value: 'me@b' } });
  });
});
